"""The verb ``observe``: what an environment shows, beside the range that the host's converter keeps of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from hls4rl.artefact import write_json
from hls4rl.cli import print_result
from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.integer_backend import IntegerBackend
from hls4rl.options import PolicyOptions, grouped
from hls4rl.policy import load_policy
from hls4rl.ranges import STEPS, Ranges, ranges_of, visited
from hls4rl.run import Run
from hls4rl.task import Task

RESULT = "observe.json"
PICTURE = "observe.png"
MOST_DRAWN = 64
"""Features that are drawn: the first ones."""
_BINS = 40


@grouped
def observe(
    policy: PolicyOptions,
    steps: Annotated[
        int, typer.Option(min=100, help="Steps to look at, of random episodes and of the policy's.")
    ] = STEPS,
) -> None:
    """Show what the environment's features are like, and what the converter keeps of them.

    Random episodes, and those of the policy if it is trained. Of each feature: the range seen, the scale and offset in
    use, the share that saturates, and the scale and offset that would suit. observe.png has the histograms, with the
    range of the input type shaded.

    Example: hls4rl observe --env pendulum
    """
    task, spec = policy.read()
    seen = {"random": visited(task, None, steps)}
    trained = Run(spec, policy.root).policy
    if trained.is_file():
        backend = IntegerBackend(load_policy(trained).network)
        seen["policy"] = visited(task, lambda floats: backend.infer(task.integers(floats)).actions, steps)
    ranges = ranges_of(task, np.concatenate(list(seen.values())))
    directory = policy.root / task.name
    directory.mkdir(parents=True, exist_ok=True)
    found = summary(task, seen, ranges)
    _print(task, found)
    draw(task, seen, directory / PICTURE)
    write_json(directory / RESULT, found)
    print_result(directory / RESULT)


def summary(task: Task, seen: dict[str, FloatArray], ranges: Ranges) -> dict[str, Any]:
    """What ``observe.json`` holds."""
    converter = task.converter
    return {
        "task": task.name, "steps": {name: len(values) for name, values in seen.items()},
        "bits": task.observation.bits, "integer_bits": task.observation.integer_bits,
        "features": [
            {
                "name": name, "low": float(ranges.low[index]), "high": float(ranges.high[index]),
                "scale": float(converter.scale[index]), "offset": float(converter.offset[index]),
                "saturated": {
                    kind: float(converter.saturated(values)[index]) for kind, values in seen.items()
                },
                "proposed_scale": float(ranges.scale[index]), "proposed_offset": float(ranges.offset[index]),
            }
            for index, name in enumerate(task.feature_names)
        ],
    }


def draw(task: Task, seen: dict[str, FloatArray], path: Path) -> None:
    """Histograms of each feature, with what the converter keeps shaded."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    count = min(task.features, MOST_DRAWN)
    if count < 1:
        raise ProjectError(f"task '{task.name}': no features to draw")
    columns = min(4, count)
    rows = math.ceil(count / columns)
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(3.0 * columns, 1.9 * rows), layout="constrained", squeeze=False
    )
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    converter, kind = task.converter, task.observation.type
    for index, name in enumerate(task.feature_names[:count]):
        axes = grid.flat[index]
        low, high = (
            converter.offset[index] + end * kind.lsb / converter.scale[index] for end in (kind.minimum, kind.maximum)
        )
        axes.axvspan(low, high, color="#56b4e9", alpha=0.2, linewidth=0)
        for label, values in seen.items():
            axes.hist(values[:, index], bins=_BINS, histtype="step", density=True, label=label)
        axes.set_title(name, fontsize=8)
        axes.tick_params(labelsize=6)
        axes.set_yticks([])
    grid.flat[0].legend(fontsize=6)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _print(task: Task, found: dict[str, Any]) -> None:
    table = Table(title=f"{task.name}: {task.features} features, {found['bits']} bits each", title_justify="left")
    kinds = list(found["steps"])
    for column in ("feature", "low", "high", "scale", "offset", *(f"saturated, {kind}" for kind in kinds), "proposed"):
        table.add_column(column, justify="left" if column == "feature" else "right")
    for item in found["features"]:
        shares = (f"{100 * item['saturated'][kind]:.2f} %" for kind in kinds)
        table.add_row(
            item["name"], f"{item['low']:.4g}", f"{item['high']:.4g}", f"{item['scale']:g}", f"{item['offset']:g}",
            *shares, f"{item['proposed_scale']:g}, {item['proposed_offset']:g}",
        )
    Console(highlight=False).print(table)
