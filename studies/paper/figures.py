"""Figures 3 to 6 as the paper lays them out, and three of ours. Each is written as PDF, SVG and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter

from hls4rl.hls_projects.summary import load_summary
from hls4rl.run import RUNS, Run
from hls4rl.studies.paper import statistics
from hls4rl.studies.paper.checks import Pairs
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.studies.paper.variants import BINARY, OWN, TASKS
from hls4rl.task import load_task
from hls4rl.train.methods import METHODS, PAPER_METHODS

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Okabe and Ito's, told apart by the colour-blind too: for widths and comparisons; methods have their own colours."""
TITLES = {"cartpole": "CartPole-v0", "cartpole1": "CartPole-v1", "acrobot": "Acrobot-v1", "pong": "Pong"}
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
_DEPLOYED = "steady"
"""The recipe whose policies are worth an accelerator."""


def draw_all(results: Results, directory: Path) -> list[Path]:
    """Draw every figure into ``directory``; returns the PNG files."""
    directory.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        paths = [
            save(_learning_curves(results, variant, method, tasks), directory / f"{name}-{variant}")
            for name, (method, tasks) in _FIGURES.items()
            for variant in _variants(results, method)
        ]
        if _with_larger_step(results):
            paths.append(save(_step(results), directory / "step"))
        if results.recipes:
            paths.append(save(_capacity(results), directory / "capacity"))
        if _DEPLOYED in results.recipes:
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


def _variants(results: Results, method: str) -> list[str]:
    found = {cell.variant for cell in results.cells}
    scaled = method in BINARY and "paper" in results.recipes and "paper-scaled" in found
    return [*results.recipes, *(["paper-scaled"] if scaled else [])]


def _learning_curves(results: Results, variant: str, method: str, tasks: tuple[str, ...]) -> Any:
    figure, axes = plt.subplots(len(tasks), 1, figsize=(5.2, 2.6 * len(tasks)), squeeze=False)
    recipe = variant.removesuffix("-scaled")
    widest = BASELINE_WIDTH if BASELINE_WIDTH in results.widths else max(results.widths)
    for axis, task in zip(axes[:, 0], tasks, strict=True):
        curve(axis, results, Cell(recipe, task, "fp", widest), METHODS["fp"].colour)
        for colour, hidden in zip(PALETTE, results.widths, strict=False):
            curve(axis, results, Cell(variant, task, method, hidden), colour)
        cell = Cell(recipe, task, "fp", widest)
        if METHODS[method].switches:
            axis.axvline(results.episodes(cell) * load_task(task).midpoint, color="0.4", linestyle=":", linewidth=1)
        axis.set(title=f"{TITLES.get(task, task)} ({variant})", ylabel="return", xlim=(0, results.episodes(cell)))
        axis.legend(ncols=2, loc="best")
    axes[-1, 0].set_xlabel("episodes")
    return figure


def curve(axis: Any, results: Results, cell: Cell, colour: str, **style: Any) -> None:
    """Mean and deviation of a cell's learning curves; nothing if there is no such cell.

    Args:
        style: of the mean's line.
    """
    if cell not in results:
        return
    curves, episodes = results.curves(cell), results.episodes(cell)
    points = (np.arange(curves.shape[1]) + 0.5) * episodes / curves.shape[1]
    mean, deviation = curves.mean(0), curves.std(0)
    line = {"linewidth": 1.2, "label": f"{METHODS[cell.method].label} {cell.hidden}", **style}
    axis.plot(points, mean, color=colour, **line)
    axis.fill_between(points, mean - deviation, mean + deviation, color=colour, alpha=0.12, linewidth=0)


def _capacity(results: Results) -> Any:
    recipes = results.recipes
    tasks = [task for task in TASKS if any(cell.task == task for cell in results.cells)]
    figure, axes = plt.subplots(
        len(recipes), len(tasks), figsize=(3.2 * len(tasks), 2.1 * len(recipes)), squeeze=False, sharex=True
    )
    for row, variant in enumerate(recipes):
        for axis, task in zip(axes[row], tasks, strict=True):
            axis.set_title(f"{TITLES[task]} ({variant})")
            if not any((cell.variant, cell.task) == (variant, task) for cell in results.cells):
                axis.remove()
                continue
            for index, method in enumerate(PAPER_METHODS):
                found = [Cell(variant, task, method, hidden) for hidden in results.widths]
                _points(axis, results, found, METHODS[method].colour, index)
            axis.set_xscale("log", base=2)
            axis.set_xticks(results.widths, [str(width) for width in results.widths])
        axes[row, 0].set_ylabel("final return (IQM)")
    for axis in axes[-1]:
        axis.set_xlabel("hidden units")
    axes[0, 0].legend(ncols=2, loc="best")
    return figure


def _points(axis: Any, results: Results, cells: list[Cell], colour: str, index: int) -> None:
    found = [(cell.hidden, statistics.interquartile_mean(results.final(cell))) for cell in cells if cell in results]
    values = np.array([item.value for _, item in found])
    errors = [values - [item.low for _, item in found], [item.high for _, item in found] - values]
    axis.errorbar(
        np.array([hidden for hidden, _ in found]) * 2 ** (0.08 * (index - 2)), values, np.abs(errors), color=colour,
        marker="o", markersize=3, capsize=2, linewidth=1, label=METHODS[cells[0].method].label,
    )


def _with_larger_step(results: Results) -> list[str]:
    pairs = Pairs(results)
    return [
        name for name in ("few-bits", "small-step", "paper")
        if pairs.has(f"{name}-late", "cartpole", "fp") and pairs.has(name, "cartpole", "compression")
    ]


def _step(results: Results) -> Any:
    """Why compression helps at a small step: against fp, and against fp with a larger step after the midpoint."""
    pairs = Pairs(results)
    rows = _with_larger_step(results)
    figure, axes = plt.subplots(1, len(rows), figsize=(3.6 * len(rows), 2.8), squeeze=False)
    comparisons = (
        ("compression", "", "compression - fp"), ("compression", "-late", "compression - fp, larger step"),
        ("pruning", "", "pruning - fp"),
    )
    for axis, recipe in zip(axes[0], rows, strict=True):
        for colour, (method, rival, label) in zip(PALETTE, comparisons, strict=False):
            widths = [
                width for width in pairs.widths(recipe, "cartpole", method)
                if Cell(recipe + rival, "cartpole", "fp", width) in results
            ]
            found = [
                statistics.Effect([pairs.paired(
                    Cell(recipe, "cartpole", method, width), Cell(recipe + rival, "cartpole", "fp", width)
                )]).interval for width in widths
            ]
            values = np.array([item.value for item in found])
            errors = [values - [item.low for item in found], [item.high for item in found] - values]
            axis.errorbar(widths, values, np.nan_to_num(np.abs(errors), posinf=0), color=colour, marker="o",
                          markersize=3, capsize=2, linewidth=1, label=label)
        axis.axhline(0, color="0.4", linewidth=0.8)
        axis.set_xscale("log", base=2)
        axis.set_xticks(results.widths, [str(width) for width in results.widths])
        axis.set(title=f"CartPole-v0 ({recipe})", xlabel="hidden units")
    axes[0, 0].set_ylabel("difference of final returns")
    axes[0, 0].legend(fontsize=7)
    return figure


def _cost(results: Results) -> Any:
    tasks = [task for task in TASKS if any((cell.variant, cell.task) == (_DEPLOYED, task) for cell in results.cells)]
    built = {task: {method: _built(task, method) for method in PAPER_METHODS} for task in tasks}
    amounts = ["energy_pj", "energy_sram_pj", "parameter_bits"]
    names = ["pJ per action, weights in logic", "pJ per action, weights in SRAM", "parameter bits"]
    if any(found[0] for by_method in built.values() for found in by_method.values()):
        amounts.append("lut")
        names.append("LUTs of runs built here")
    figure, axes = plt.subplots(
        len(amounts), len(tasks), figsize=(3.2 * len(tasks), 2.2 * len(amounts)), squeeze=False, sharey="col"
    )
    for column, task in enumerate(tasks):
        for method in PAPER_METHODS:
            colour = METHODS[method].colour
            cells = [Cell(_DEPLOYED, task, method, hidden) for hidden in results.widths]
            cells = [cell for cell in cells if cell in results]
            costs = [results.best_cost(cell) for cell in cells]
            returns = [float(results.deployed(cell).mean()) for cell in cells]
            for axis, amount in zip(axes[:, column], amounts, strict=True):
                if amount == "lut":
                    axis.plot(*built[task][method], color=colour, marker="o", markersize=3, linestyle="none")
                else:
                    axis.plot([getattr(item, amount) for item in costs], returns, color=colour, marker="o",
                              markersize=3, linewidth=0.8, label=METHODS[method].label)
        for axis, name in zip(axes[:, column], names, strict=True):
            axis.set_xscale("log")
            axis.xaxis.set_minor_formatter(NullFormatter())
            axis.set_xlabel(name)
        axes[0, column].set_title(TITLES[task])
    for row in axes:
        row[0].set_ylabel("deployed return")
    axes[0, 0].legend(ncols=2)
    return figure


def _built(task: str, method: str) -> tuple[list[int], list[float]]:
    # Runs that are placed already; to place all of the grid would take hours
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
