"""The verbs that build one policy and compare its executors: ``synth``, ``evaluate``, ``parts``."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from rich.console import Console
from rich.table import Table

from hls4rl.artefact import write_json
from hls4rl.cli import print_result
from hls4rl.contract import read_type
from hls4rl.errors import ProjectError
from hls4rl.hls_projects import summary
from hls4rl.hls_projects.build import find_run, synthesise
from hls4rl.hls_projects.evaluate import default_episodes, require_equal
from hls4rl.hls_projects.evaluate import evaluate as compare
from hls4rl.hls_projects.executors import EXECUTORS, backends_of, open_backend
from hls4rl.hls_projects.fpga.parts import load_part, part_names
from hls4rl.options import Clock, Episodes, Part, PolicyOptions, grouped, option
from hls4rl.policy import PolicySpec
from hls4rl.task import Task, settings_of, with_settings
from hls4rl.verdict import is_solved, solved_markup

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)

Tool = Annotated[str, option("--tool", "open: Yosys and nextpnr, nothing to install; vitis: AMD's tools on PATH.")]
BackendName = Annotated[str, option("--backend", f"{', '.join(EXECUTORS)} or all.")]
Onnx = Annotated[
    Path | None,
    option("--onnx", "Instead of training: build this QONNX model from elsewhere (Brevitas, QKeras)."),
]


InputType = Annotated[
    str | None,
    option("--input", "With --onnx: the observation's type, as 'ap_fixed<16,6>', where the model doesn't quantise it."),
]


@dataclass(frozen=True)
class BuildOptions(PolicyOptions):
    """A policy, and the FPGA and clock that it is built for."""

    part: Part = None
    clock_mhz: Clock = None

    def read(self) -> tuple[Task, PolicySpec]:
        """See :meth:`hls4rl.options.PolicyOptions.read`."""
        task, spec = super().read()
        task = with_settings(task, "hardware", part=self.part, clock_mhz=self.clock_mhz)
        load_part(task.hardware.part)  # an unknown part is told before hours of training
        return task, spec


@grouped
def synth(
    build: BuildOptions, tool: Tool = "open", episodes: Episodes = None, onnx: Onnx = None,
    input_type: InputType = None,
) -> None:
    """Train (where needed), export, convert, C-simulate, place and route; compare every executor; print the figures.

    Without --seed several seeds are trained and the best by validation is built. A second call redoes nothing.

    With --onnx that model is built instead, for the part, clock and hardware settings of the task. Its scales are
    folded to powers of two without changing any result, or it is refused with the node's name; then every backend is
    held to the model's integers.

    \b
    Examples:
      hls4rl synth --env acrobot --method compression --hidden 64
      hls4rl synth --env ./mine.toml --set 'observation.bits=4 hardware.stages=2' --clock-mhz 100
      hls4rl synth --onnx policy.onnx --part ice40-up5k --clock-mhz 12
      hls4rl synth --onnx classifier.onnx --input 'ap_fixed<16,6>'
    """
    task, spec = build.read()
    if onnx is not None:
        _build_onnx(onnx, build, task, input_type, episodes)
        return
    if input_type is not None:
        raise ProjectError("--input names the type of an imported model's observation; give the model with --onnx")
    result = synthesise(
        task, spec, choose_seed=build.seed is None, root=build.root, tool=tool, episodes=episodes, console=CONSOLE
    )
    summary.print_summary(result.summary, CONSOLE)
    print_result(result.path)


def _build_onnx(
    model: Path, build: BuildOptions, task: Task, input_type: str | None, episodes: int | None
) -> None:
    kind = None if input_type is None else read_type(input_type)
    # torch, ONNX Runtime and QONNX take seconds to import; mistakes need none of them.
    from hls4rl.hls_projects.imported import build_imported, print_imported

    hardware = task.hardware
    if not hardware.fold and "hardware.fold" not in settings_of(build.settings):
        hardware = replace(hardware, fold="auto")
    path = build_imported(model, hardware, build.root, CONSOLE, kind, task if build.env else None, episodes)
    print_imported(path, CONSOLE)
    print_result(path)


@grouped
def evaluate(build: BuildOptions, backend: BackendName = "all", episodes: Episodes = None) -> None:
    """Let a backend drive Gymnasium and compare every logit and action with the float64 Brevitas policy.

    Exits with a status other than 0 if a single step differs.
    """
    task, spec = build.read()
    episodes = episodes or default_episodes(task)
    chosen = find_run(task, spec, build.seed is None, build.root)
    offered = backends_of(chosen, task.hardware.part)
    names = offered if backend == "all" else ("torch", backend) if backend != "torch" else ("torch",)
    for name in names:
        open_backend(name, chosen, task.hardware.part)  # a wrong name or a missing build is told before any episode
    with CONSOLE.status(f"{episodes} episodes on {', '.join(names)} …"):
        comparisons = compare(task, chosen, task.hardware.part, names, episodes)
    table = Table()
    for label in ("backend", "mean return", "steps", "mismatches", "logits compared"):
        table.add_column(label, justify="left" if label == "backend" else "right")
    for item in comparisons:
        mean = "–" if item.mean_return is None else f"{item.mean_return:.2f}"
        table.add_row(item.backend, mean, f"{item.steps:,}", f"{item.mismatches:,}",
                      "yes" if item.logits_compared else "action only")
    CONSOLE.print(table)
    reached = comparisons[0].mean_return
    CONSOLE.print(f"solved: {solved_markup(reached, task.solved)}")
    path = chosen.directory / f"evaluation-{backend}.json"
    write_json(path, {
        "task": task.name, "run": chosen.spec.directory_name, "episodes": episodes,
        "solved": is_solved(reached, task.solved), "solved_from": task.solved,
        "mismatches": sum(item.mismatches for item in comparisons),
        "backends": [item.to_json() for item in comparisons],
    })
    require_equal(comparisons)
    print_result(path)


def parts() -> None:
    """List the parts, and what can be had for each: bitstream, or cell counts only."""
    table = Table()
    for label in ("part", "device", "result"):
        table.add_column(label)
    for name in part_names():
        part = load_part(name)
        table.add_row(name, part.device, part.result)
    CONSOLE.print(table)
