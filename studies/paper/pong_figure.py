"""Learning curves of the grid's policies of Pong: one panel a method, beside full precision and a control."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from hls4rl.studies.paper.checks import Pairs
from hls4rl.studies.paper.figures import PALETTE, STYLE, curve, save
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.task import load_task
from hls4rl.train.methods import METHODS, PAPER_METHODS

BESIDE = {
    "binaryconnect": ("own-kl", "binaryconnect"), "binarynet": ("own-kl", "binarynet"),
    "compression": ("own-late", "fp"), "pruning": ("own-reset", "fp"),
}
"""Of each method, the variant and method that are drawn dashed."""


def draw(results: Results, directory: Path) -> Path:
    """Draw them as ``pong.png``, PDF and SVG; returns the PNG file."""
    directory.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(2, 2, figsize=(9.6, 6.0), sharex=True, sharey=True)
        for axis, method in zip(axes.flat, PAPER_METHODS[1:], strict=True):
            _panel(axis, results, method)
        for axis in axes[-1]:
            axis.set_xlabel("games of training")
        for axis in axes[:, 0]:
            axis.set_ylabel("return, actions drawn")
        return save(figure, directory / "pong")


def _panel(axis: Any, results: Results, method: str) -> None:
    base = Pairs(results).reference("own", "pong")
    curve(axis, results, base, METHODS["fp"].colour)
    variant, other = BESIDE[method]
    for colour, hidden in zip(PALETTE, results.widths, strict=False):
        curve(axis, results, Cell("own", "pong", method, hidden), colour)
        curve(axis, results, Cell(variant, "pong", other, hidden), colour, linestyle="--",
              label=f"{METHODS[other].label} {hidden}, {variant}")
    if METHODS[method].switches:
        axis.axvline(results.episodes(base) * load_task("pong").midpoint, color="0.4", linestyle=":", linewidth=1)
    axis.set(title=METHODS[method].label, xlim=(0, results.episodes(base)))
    axis.legend(loc="best")
