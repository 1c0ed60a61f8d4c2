"""The verb ``matrix``: every method on two tasks in two widths, built and verified: a table, a picture.

The picture shows what each policy costs against what it earns.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from hls4rl.artefact import write_json
from hls4rl.cli import print_result
from hls4rl.hls_projects import summary
from hls4rl.hls_projects.build import synthesise
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.options import Part, Root
from hls4rl.policy import PolicySpec
from hls4rl.run import RUNS
from hls4rl.task import load_task, with_settings
from hls4rl.train.methods import METHODS, PAPER_METHODS

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)

TASKS = ("cartpole", "acrobot")
HIDDEN = (16, 64)
STEPS = 100_000


def draw_matrix(summaries: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw one panel a task, LUT against latency, the return at each point; the ending of ``path`` says the format."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    tasks = list(dict.fromkeys(item["task"] for item in summaries))
    figure, axes = plt.subplots(1, len(tasks), figsize=(5.2 * len(tasks), 4.2), squeeze=False, layout="constrained")
    for axis, task in zip(axes[0], tasks, strict=True):
        placed = [item for item in summaries if item["task"] == task and item["lut"] and item["latency_ns"]]
        for method, kind in METHODS.items():
            points = sorted((item for item in placed if item["method"] == method), key=lambda item: int(item["hidden"]))
            if points:
                x, y = [item["lut"] for item in points], [item["latency_ns"] for item in points]
                axis.plot(x, y, color=kind.colour, marker=kind.marker, label=method, linewidth=1, markersize=7)
            for item in points:
                text = f"{item['hidden']}: {item['return_netlist']:.0f}"
                axis.annotate(text, (item["lut"], item["latency_ns"]), (5, 5), textcoords="offset points", fontsize=7)
        axis.set(title=f"{task} ({placed[0]['part']})" if placed else task, xscale="log", xlabel="placed LUTs")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.margins(x=0.12)  # room for the last label
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("latency, observation to action, ns")
    drawn = {label: line for axis in axes[0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    title = "label: units: return on the netlist"
    axes[0][-1].legend(drawn.values(), drawn.keys(), title=title, fontsize=8, title_fontsize=7)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def matrix(root: Root = RUNS, part: Part = None) -> None:
    """Build and verify every method × {cartpole, acrobot} × hidden 16 and 64, 100,000 steps a backend each."""
    summaries = []
    for name in TASKS:
        task = with_settings(load_task(name), "hardware", part=part)
        load_part(task.hardware.part)  # an unknown part is told before hours of training
        for method in PAPER_METHODS:
            for hidden in HIDDEN:
                CONSOLE.rule(f"{name} {method} {hidden}")
                spec = PolicySpec(name, method, (hidden,), 0)
                result = synthesise(
                    task, spec, choose_seed=True, root=root, minimum_steps=STEPS, console=CONSOLE
                )
                CONSOLE.print(summary.one_line(result.summary))
                summaries.append(result.summary)
    summary.print_matrix(summaries, CONSOLE)
    path = root / "matrix.json"
    draw_matrix(summaries, root / "matrix.png")
    write_json(path, summaries)
    print_result(path)

