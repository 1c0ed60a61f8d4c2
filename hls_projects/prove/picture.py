"""Counterexamples as a picture: where each one lies in its box, feature by feature, in the environment's units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hls4rl.contract import IntArray
from hls4rl.hls_projects.prove.properties import Property, Verdict
from hls4rl.observations import Converter

_ROW, _HEAD, _WIDTH = 0.32, 0.75, 7.0
"""Inches: of a feature's line, of a title, of the picture."""


def draw_counterexamples(
    properties: Sequence[Property], verdicts: Sequence[Verdict], converter: Converter, path: Path
) -> bool:
    """Draw the refuted ones among ``verdicts`` as SVG to ``path``; False where there is none.

    A line for each feature: the range of the input type, the property's box in it, and the observation that breaks it.
    """
    refuted = [pair for pair in zip(properties, verdicts, strict=True) if pair[1].counterexample is not None]
    if not refuted:
        return False
    from matplotlib.figure import Figure  # half a second that other verbs do without

    features = len(refuted[0][0].low)
    figure = Figure(figsize=(_WIDTH, len(refuted) * (_HEAD + _ROW * features)), layout="constrained")
    for axes, (wanted, verdict) in zip(figure.subplots(len(refuted), squeeze=False)[:, 0], refuted, strict=True):
        assert verdict.counterexample is not None
        integers = np.array(verdict.counterexample["integers"])
        whole = np.array([converter.type.minimum, converter.type.maximum])
        span = whole[1] - whole[0]
        axes.set_title(f"{wanted.name}: action {verdict.counterexample['action']}", fontsize=9, loc="left")
        for index in range(features):
            box, shown = np.array([wanted.low[index], wanted.high[index]]), -index
            axes.plot((whole - whole[0]) / span, [shown, shown], color="0.8", linewidth=5, solid_capstyle="butt")
            axes.plot((box - whole[0]) / span, [shown, shown], color="tab:blue", linewidth=5, solid_capstyle="butt")
            axes.plot((integers[index] - whole[0]) / span, shown, "o", color="tab:red", markersize=6)
            ends = _real(np.stack([np.full(features, end) for end in whole]), converter)[:, index]
            value = _real(integers[None, :], converter)[0, index]
            axes.text(-0.02, shown, f"feature {index}: {ends[0]:g}", ha="right", va="center", fontsize=8)
            axes.text(1.02, shown, f"{ends[1]:g}    here {value:g}", ha="left", va="center", fontsize=8)
        axes.set(xlim=(-0.3, 1.4), ylim=(0.6 - features, 0.6))
        axes.axis("off")
    figure.savefig(path, format="svg", metadata={"Date": None})
    return True


def _real(integers: IntArray, converter: Converter) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Shape (count, features), in the environment's units."""
    real: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    real = integers * converter.type.lsb / converter.scale + converter.offset
    return real
