"""Figures 3 to 6 as the paper lays them out, and two of ours. Each is written as PDF, SVG and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter

from hls4rl.hls_projects.summary import load_summary
from hls4rl.policy import METHODS
from hls4rl.run import RUNS, Run
from hls4rl.studies.paper import statistics
from hls4rl.studies.paper.jobs import OWN, TASKS
from hls4rl.studies.paper.policy_cost import cost_of
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.task import load_task

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Okabe and Ito's palette, told apart by the colour-blind too."""
LABELS = {"fp": "FP", "binaryconnect": "BC", "binarynet": "BN", "compression": "Comp", "pruning": "Prune"}
TITLES = {"cartpole": "CartPole-v0", "acrobot": "Acrobot-v1", "pong": "Pong"}
BASELINE_WIDTH = 128
"""Hidden units of the full-precision policy that the paper compares with."""
STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "legend.framealpha": 0.8, "legend.edgecolor": "none",
    "svg.hashsalt": "hls4rl", "figure.constrained_layout.use": True, "legend.fontsize": 8,
}
_FIGURES = {
    "fig3-binaryconnect": ("binaryconnect", ("acrobot", "cartpole")),
    "fig4-binarynet": ("binarynet", ("cartpole", "acrobot")),
    "fig5-compression": ("compression", ("cartpole", "acrobot")),
    "fig6-pruning": ("pruning", ("cartpole", "acrobot")),
}


def draw_all(results: Results, directory: Path) -> list[Path]:
    """Draw every figure into ``directory``; returns the PNG files."""
    directory.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        paths = [
            save(_learning_curves(results, variant, method, tasks), directory / f"{name}-{variant}")
            for name, (method, tasks) in _FIGURES.items()
            for variant in _variants(method)
        ]
        paths.append(save(_capacity(results), directory / "capacity"))
        paths.append(save(_cost(results), directory / "cost"))
    return paths


def draw_task(results: Results, task: str, directory: Path) -> list[Path]:
    """Draw the learning curves of a task beside the two control tasks; returns the PNG files."""
    directory.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        return [
            save(_learning_curves(results, OWN.name, method, (task,)), directory / f"{name}-{task}")
            for name, (method, _) in _FIGURES.items()
        ]


def _variants(method: str) -> tuple[str, ...]:
    # The paper's own binary weights are plain ±1.
    binary = method in ("binaryconnect", "binarynet")
    return ("plain-unit-signs", "plain", "steady") if binary else ("plain", "steady")


def _learning_curves(results: Results, variant: str, method: str, tasks: tuple[str, ...]) -> Any:
    figure, axes = plt.subplots(len(tasks), 1, figsize=(5.2, 2.6 * len(tasks)), squeeze=False)
    recipe = variant.split("-")[0]
    widest = BASELINE_WIDTH if BASELINE_WIDTH in results.widths else max(results.widths)
    for axis, task in zip(axes[:, 0], tasks, strict=True):
        _curve(axis, results, Cell(recipe, task, "fp", widest), "#333333")
        for colour, hidden in zip(COLOURS, results.widths, strict=False):
            _curve(axis, results, Cell(variant, task, method, hidden), colour)
        cell = Cell(recipe, task, "fp", widest)
        if method in ("compression", "pruning"):
            axis.axvline(results.episodes(cell) * load_task(task).midpoint, color="0.4", linestyle=":", linewidth=1)
        axis.set(title=f"{TITLES.get(task, task)} ({variant})", ylabel="return", xlim=(0, results.episodes(cell)))
        axis.legend(ncols=2, loc="best")
    axes[-1, 0].set_xlabel("episodes")
    return figure


def _curve(axis: Any, results: Results, cell: Cell, colour: str) -> None:
    curves, episodes = results.curves(cell), results.episodes(cell)
    points = (np.arange(curves.shape[1]) + 0.5) * episodes / curves.shape[1]
    mean, deviation = curves.mean(0), curves.std(0)
    axis.plot(points, mean, color=colour, linewidth=1.2, label=f"{LABELS[cell.method]} {cell.hidden}")
    axis.fill_between(points, mean - deviation, mean + deviation, color=colour, alpha=0.12, linewidth=0)


def _capacity(results: Results) -> Any:
    figure, axes = plt.subplots(2, len(TASKS), figsize=(7.2, 4.8), squeeze=False, sharex=True)
    for row, variant in enumerate(("plain", "steady")):
        for axis, task in zip(axes[row], TASKS, strict=True):
            for index, (colour, method) in enumerate(zip(COLOURS, METHODS, strict=False)):
                found = [
                    statistics.interquartile_mean(results.final(Cell(variant, task, method, hidden)))
                    for hidden in results.widths
                ]
                values = np.array([item.value for item in found])
                errors = [values - [item.low for item in found], [item.high for item in found] - values]
                places = np.array(results.widths) * 2 ** (0.08 * (index - 2))
                axis.errorbar(
                    places, values, np.abs(errors), color=colour, marker="o", markersize=3, capsize=2, linewidth=1,
                    label=LABELS[method],
                )
            axis.set_xscale("log", base=2)
            axis.set_xticks(results.widths, [str(width) for width in results.widths])
            axis.set_title(f"{TITLES[task]} ({variant})")
        axes[row, 0].set_ylabel("final return (IQM)")
    for axis in axes[1]:
        axis.set_xlabel("hidden units")
    axes[0, 0].legend(ncols=2, loc="best")
    return figure


def _cost(results: Results) -> Any:
    figure, axes = plt.subplots(3, len(TASKS), figsize=(7.2, 7.0), squeeze=False, sharey="col")
    for column, task in enumerate(TASKS):
        for colour, method in zip(COLOURS, METHODS, strict=False):
            cells = [Cell("steady", task, method, hidden) for hidden in results.widths]
            costs = [cost_of(results.best_policy(cell)) for cell in cells]
            returns = [float(results.deployed(cell).mean()) for cell in cells]
            energies, bits = [item.energy_pj for item in costs], [item.parameter_bits for item in costs]
            for row, amounts in enumerate((energies, bits)):
                axes[row, column].plot(
                    amounts, returns, color=colour, marker="o", markersize=3, linewidth=0.8, label=LABELS[method]
                )
                axes[row, column].set_xscale("log")
                axes[row, column].xaxis.set_minor_formatter(NullFormatter())
            luts, built = _built(task, method)
            axes[2, column].plot(luts, built, color=colour, marker="o", markersize=3, linestyle="none")
        axes[0, column].set(title=TITLES[task], xlabel="energy per action in pJ (Table I)")
        axes[1, column].set_xlabel("parameter bits")
        axes[2, column].set_xlabel("LUTs of the runs that `make synth` or `make matrix` has built here")
    for row in range(3):
        axes[row, 0].set_ylabel("return of the deployed policies")
    axes[0, 0].legend(ncols=2)
    return figure


def _built(task: str, method: str) -> tuple[list[int], list[float]]:
    # Runs that are placed already; to place all of the matrix would take hours
    luts, returns = [], []
    for path in sorted((RUNS / task).glob(f"{method}-h*/report/summary.json")):
        run = Run.at(path.parents[1])
        summary = load_summary(run.verified(run.report) / path.name)
        if summary.get("lut") is not None:
            luts.append(summary["lut"])
            returns.append(summary["return_software"])
    return luts, returns


def save(figure: Any, path: Path) -> Path:
    """Write ``figure`` as PDF, SVG and PNG to ``path`` with these suffixes; returns the PNG file."""
    metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}
    for suffix, values in metadata.items():
        figure.savefig(path.with_suffix(f".{suffix}"), dpi=200, metadata=values)
    plt.close(figure)
    return path.with_suffix(".png")
