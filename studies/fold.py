"""The verb ``fold``: one policy as folded cores of more and more units, and unrolled: area against latency."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hls4rl.artefact import Artefact, digest, exclusive
from hls4rl.backend import Answer, Backend
from hls4rl.checked import read_if_whole, write_checked
from hls4rl.cli import print_result
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.hls_projects.build import find_run
from hls4rl.hls_projects.evaluate import differing
from hls4rl.hls_projects.flow.core import build_core, expect
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.hls_projects.fpga.steps import FOLDER
from hls4rl.hls_projects.simulation.cores import open_rtl
from hls4rl.hls_projects.verbs import BuildOptions
from hls4rl.integer_backend import IntegerBackend
from hls4rl.journal import working
from hls4rl.network import IntegerNetwork
from hls4rl.options import grouped, option
from hls4rl.run import Run
from hls4rl.task import Hardware, Task

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
NAME = "fold.json"
FIGURES = ("lut", "ff", "dsp", "bram", "fmax_mhz", "cycles", "latency_ns")
_FIRST_EPISODE = 3_000_000  # seeds that nothing else uses
_EPISODES = 128
_RANDOM = 1 << 13

Units = Annotated[str, option("--units", "Units to build with, 0 for unrolled logic: 0,1,2,4.")]
Steps = Annotated[int, option("--steps", "Observations to compare each core's RTL on, half of them random.", min=2)]


@grouped
def fold(build: BuildOptions, units: Units = "0,1,2,4", steps: Steps = 100_000) -> None:
    """Build one trained policy with each of --units, hold the RTL to the policy's integers, and draw all in one plot.

    The policy is that of an earlier `make train` or `make synth`. The plot shows all policies of --root that this was
    done for.
    """
    task, spec = build.read()
    run = find_run(task, spec, build.seed is None, build.root)
    path = run.directory / NAME
    network = run.load_policy().network
    chosen = [(count, replace(task.hardware, fold=count)) for count in units_of(units)]
    for _, hardware in chosen:
        expect(network, hardware)  # one that takes too long is told before the first is built
    with exclusive(run.directory):
        points = [_point(task, run, network, hardware, steps) for _, hardware in chosen]
        write_checked(path, {
            "policy": digest(run.policy), "task": task.name, "run": run.spec.directory_name,
            "part": task.hardware.part, "points": points,
        })
    _print(points)
    draw([found for found in map(read_if_whole, sorted(build.root.glob(f"*/*/{NAME}"))) if found],
         build.root / "fold.png")
    wrong = [point for point in points if point["mismatches"]]
    if wrong:
        raise ProjectError(
            f"{wrong[0]['mismatches']} mismatches with {wrong[0]['fold']} units; this is a bug in hls4rl or in a tool "
            f"that it calls: please report it with {path}"
        )
    print_result(path)


def units_of(text: str) -> list[int]:
    """``0,1,2,4`` as numbers, each once, in rising order.

    Raises:
        ProjectError: not such a text.
    """
    try:
        return sorted({int(word) for word in text.split(",")})
    except ValueError as error:
        raise ProjectError(f"UNITS={text} are no numbers of units; write for instance 0,1,2,4") from error


def draw(found: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw look-up tables against latency, a line for each policy, a panel for each task."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    tasks = sorted({item["task"] for item in found})
    figure, grid = pyplot.subplots(1, len(tasks), figsize=(4.6 * len(tasks), 3.6), squeeze=False, layout="constrained")
    for axes, task in zip(grid[0], tasks, strict=True):
        for item in (item for item in found if item["task"] == task):
            points = sorted((point for point in item["points"] if point["latency_ns"]), key=lambda p: -p["latency_ns"])
            x, y = ([point[key] for point in points] for key in ("lut", "latency_ns"))
            line = axes.plot(x, y, marker="o", markersize=4, linewidth=0.8, label=item["run"])[0]
            for point, *place in zip(points, x, y, strict=True):
                text = f"P={point['fold']}" if point["fold"] else "unrolled"
                axes.annotate(text, place, (4, 3), textcoords="offset points", fontsize=6, color=line.get_color())
        axes.set(title=task, xscale="log", yscale="log", xlabel="placed LUTs", ylabel="latency, ns")
        axes.margins(x=0.2)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=6)
    figure.savefig(path, dpi=130, metadata={"Software": None})
    pyplot.close(figure)


def _point(task: Task, run: Run, network: IntegerNetwork, hardware: Hardware, steps: int) -> dict[str, Any]:
    """The core of ``hardware.fold`` units: its figures, and how its RTL did."""
    name = f"{hardware.part}-{hardware.fold or 'unrolled'}"
    settings = {key: value for key, value in asdict(hardware).items() if key != "build_minutes"}
    inputs = {"policy": digest(run.policy), "hardware": settings, "steps": steps}
    artefact = Artefact(run.directory / "fold" / name, inputs)
    if not artefact.is_current:
        with working(CONSOLE, name, run.directory), artefact.build() as directory:
            build_core(network, hardware, directory, run.directory / FOLDER)
            compared = compare(task, IntegerBackend(network), open_rtl(directory), network, steps)
            write_checked(directory / "compared.json", compared)
    built = json.loads((artefact.directory / RESULT).read_text(encoding="utf-8"))
    compared = read_if_whole(artefact.directory / "compared.json") or {}
    return {
        "fold": hardware.fold, **{key: built[key] for key in FIGURES},
        **{key: compared[key] for key in ("steps", "mismatches")},
    }


def compare(task: Task, reference: Backend, core: Backend, network: IntegerNetwork, steps: int) -> dict[str, int]:
    """How many of at least ``steps`` observations, visited ones and as many random ones, ``core`` answers otherwise."""
    done, wrong = 0, 0

    def watch(observations: IntArray, expected: Answer) -> None:
        nonlocal done, wrong
        seen.append(observations)
        if sum(map(len, seen)) >= _RANDOM:
            count(np.concatenate(seen))
            seen.clear()

    def count(observations: IntArray) -> None:
        nonlocal done, wrong
        wrong += int(differing(core.infer(observations), reference.infer(observations)).sum())
        done += len(observations)

    seen, first = list[IntArray](), _FIRST_EPISODE
    while done < steps // 2:
        play(task, reference, _EPISODES, first, watch)
        first += _EPISODES
        if seen:
            count(np.concatenate(seen))
            seen.clear()
    rng, kind = np.random.default_rng(0), network.input
    while done < steps:
        count(rng.integers(kind.minimum, kind.maximum, (_RANDOM, network.features), endpoint=True))
    return {"steps": done, "mismatches": wrong}


def _print(points: Sequence[Mapping[str, Any]]) -> None:
    table = Table()
    for label in ("units", "LUT", "FF", "DSP", "BRAM", "Fmax MHz", "cycles", "latency ns", "steps", "mismatches"):
        table.add_column(label, justify="right")
    for point in points:
        numbers = ("–" if point[key] is None else f"{point[key]:,}" for key in (*FIGURES, "steps", "mismatches"))
        table.add_row(str(point["fold"] or "unrolled"), *numbers)
    CONSOLE.print(table)
