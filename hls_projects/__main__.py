"""From a trained policy to a placed-and-routed accelerator that is verified inside the Gym loop."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hls4rl.cli import print_result, run
from hls4rl.hls_projects import pipeline
from hls4rl.hls_projects import summary as report
from hls4rl.hls_projects.evaluate import BACKENDS, default_episodes, evaluate, open_backend, require_equal
from hls4rl.hls_projects.onnx_command import build_onnx
from hls4rl.hls_projects.prove.commands import equality, prove
from hls4rl.options import ActivationBits, Bits, Clusters, Env, Hidden, Method, Percentile, Root, Seed, Settings, choose
from hls4rl.run import RUNS
from hls4rl.stage import write_json
from hls4rl.task import Task, with_settings

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)

app = typer.Typer(help=__doc__, rich_markup_mode=None, add_completion=False)
app.callback(invoke_without_command=True)(build_onnx)

Part = Annotated[str | None, typer.Option(help="Part to build for; `parts` lists them. Default: the task's.")]
Clock = Annotated[float | None, typer.Option("--clock-mhz", help="Clock the pipeline is cut for. Default: the task's.")]
Tool = Annotated[str, typer.Option(help="open: Yosys and nextpnr, nothing to install; vitis: AMD's tools on PATH.")]
Episodes = Annotated[
    int | None,
    typer.Option(min=1, help="Greedy Gymnasium episodes, seeded 0, 1, 2, …; default: 100, or 3 from pixels."),
]
BackendName = Annotated[str, typer.Option(help=f"{', '.join(BACKENDS)} or all.")]


@app.command()
def synth(
    env: Env = "cartpole", method: Method = "binarynet", hidden: Hidden = "16", seed: Seed = None, bits: Bits = 8,
    clusters: Clusters = 8, percentile: Percentile = 50.0, activation_bits: ActivationBits = 0,
    settings: Settings = None, part: Part = None, clock_mhz: Clock = None,
    tool: Tool = "open", episodes: Episodes = None, root: Root = None,
) -> None:
    """Train (where needed), export, convert, C-simulate, place and route; verify every stage; print the figures.

    Without --seed several seeds are trained and the best by validation is built. A second call redoes nothing.
    """
    task, spec = choose(env, method, hidden, seed, bits, clusters, percentile, activation_bits, settings)
    task = for_part(task, part, clock_mhz)
    result = pipeline.synthesise(
        task, spec, choose_seed=seed is None, root=root or RUNS, tool=tool, episodes=episodes, console=CONSOLE
    )
    report.print_summary(result.summary, CONSOLE)
    print_result(result.path)


@app.command(name="evaluate")
def evaluate_command(
    env: Env = "cartpole", method: Method = "binarynet", hidden: Hidden = "16", seed: Seed = None, bits: Bits = 8,
    clusters: Clusters = 8, percentile: Percentile = 50.0, activation_bits: ActivationBits = 0,
    settings: Settings = None, part: Part = None, clock_mhz: Clock = None,
    backend: BackendName = "all", episodes: Episodes = None, root: Root = None,
) -> None:
    """Let a backend drive Gymnasium and compare every logit and action with the float64 Brevitas policy.

    Exits with a status other than 0 if a single step differs.
    """
    task, spec = choose(env, method, hidden, seed, bits, clusters, percentile, activation_bits, settings)
    task = for_part(task, part, clock_mhz)
    episodes = episodes or default_episodes(task)
    chosen = pipeline.find_run(task, spec, seed is None, root or RUNS)
    names = BACKENDS if backend == "all" else ("torch", backend) if backend != "torch" else ("torch",)
    for name in names:
        open_backend(name, chosen, task.hardware.part)  # a wrong name or a missing build is told before any episode
    with CONSOLE.status(f"{episodes} episodes on {', '.join(names)} …"):
        comparisons = evaluate(task, chosen, task.hardware.part, names, episodes)
    table = Table()
    for label in ("backend", "mean return", "steps", "mismatches", "logits compared"):
        table.add_column(label, justify="left" if label == "backend" else "right")
    for item in comparisons:
        mean = "–" if item.mean_return is None else f"{item.mean_return:.2f}"
        table.add_row(item.backend, mean, f"{item.steps:,}", f"{item.mismatches:,}",
                      "yes" if item.logits_compared else "action only")
    CONSOLE.print(table)
    path = chosen.directory / f"evaluation-{backend}.json"
    write_json(path, {
        "task": task.name, "run": chosen.spec.directory_name, "episodes": episodes,
        "mismatches": sum(item.mismatches for item in comparisons),
        "backends": [item.to_json() for item in comparisons],
    })
    require_equal(comparisons)
    print_result(path)


@app.command()
def parts() -> None:
    """List the parts, and what can be had for each: bitstream, or cell counts only."""
    from hls4rl.hls_projects.fpga.parts import load_part, part_names

    table = Table()
    for label in ("part", "device", "result"):
        table.add_column(label)
    for name in part_names():
        part = load_part(name)
        table.add_row(name, part.device, part.result)
    CONSOLE.print(table)


def for_part(task: Task, part: str | None, clock_mhz: float | None) -> Task:
    """``task`` with another part and clock, where these are given."""
    from hls4rl.hls_projects.fpga.parts import load_part

    task = with_settings(task, "hardware", part=part, clock_mhz=clock_mhz)
    load_part(task.hardware.part)  # an unknown part is told before hours of training
    return task


app.command()(prove)
app.command()(equality)

if __name__ == "__main__":
    run(app, "python -m hls4rl.hls_projects")
