"""The plots, as SVG that takes its colours from the page: one drawing serves light, dark and paper.

Matplotlib draws them: the project has it anyway, an SVG prints sharp and needs no script, and a page of a dozen plots
stays far below a megabyte, where Plotly or Bokeh would put several megabytes of script into each file.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from hls4rl.train.methods import METHODS

INK, FAINT, ACCENT = "#010101", "#020202", "#030303"
_METHODS = {name: (f"#0404{place:02x}", kind.marker) for place, (name, kind) in enumerate(METHODS.items(), 1)}
_THEME = {INK: "var(--ink)", FAINT: "var(--faint)", ACCENT: "var(--accent)"} | {
    colour: f"var(--{method})" for method, (colour, _) in _METHODS.items()
}
_SERIES = [colour for colour, _ in _METHODS.values()]
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9, "text.color": INK, "axes.edgecolor": FAINT,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "path.simplify": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.4, "grid.alpha": 0.6,
    "legend.frameon": False, "legend.labelcolor": INK, "figure.facecolor": "none", "axes.facecolor": "none",
}
LABELS = {"lut": "look-up tables", "latency_ns": "latency, ns", "energy_pj": "energy, pJ", "return": "mean return"}

RECORD_LABELS = {"lut6": "LUT6, not placed", "lut4": "LUT4, placed", "latency_ns": "latency, ns"}


def training(policy: Mapping[str, Any], name: str) -> str:
    """Training returns of all seeds, block means; the deployed seed in front."""
    curves, block = policy["training"]["seeds"], policy["training"]["block"]
    with _drawing((5.4, 2.7)) as (figure, axes):
        for item in sorted(curves, key=lambda item: item["deployed"]):
            episodes = (np.arange(len(item["curve"])) + 0.5) * block
            colour, width = (ACCENT, 1.8) if item["deployed"] else (FAINT, 0.9)
            label = f"seed {item['seed']}, deployed" if item["deployed"] else None
            axes.plot(episodes, item["curve"], gid=f"tip-{item['seed']}", label=label, color=colour,
                      linewidth=width)
        others = sum(not item["deployed"] for item in curves)
        if others:
            axes.plot([], [], color=FAINT, linewidth=0.9, label=f"the {others} other seeds")
        _bar(axes, policy["solved_from"], "solved")
        axes.set(xlabel="training episode", ylabel=f"return, mean of {block}")
        axes.legend(fontsize=8, loc="lower right")
        tips = {f"tip-{item['seed']}": f"seed {item['seed']}: validation {item['validation_return']:.1f}, "
                f"greedy {item['greedy_return']:.1f}, sampled {_figure(item['sampled_return'])}" for item in curves}
        return _svg(figure, name, f"training returns of {len(curves)} seeds", tips)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


def weights(policy: Mapping[str, Any], name: str) -> str:
    """All layers' parameters as coloured cells: purple below zero, orange above."""
    if "units" in policy["weights"]:
        return _pixel_weights(policy["weights"], name)
    layers, names = policy["weights"]["layers"], policy["episode"]["output_names"]
    pictures = [np.hstack([np.asarray(layer["weight"]), np.transpose([layer["bias"]])]) for layer in layers]
    rows = [*([str(unit) for unit in range(len(picture))] for picture in pictures[:-1]), names]
    columns = ["unit before; last: bias"] * len(layers)
    # Features stand at the left, where there is room for their names.
    pictures[0], rows[0] = pictures[0].T, [*policy["episode"]["features"], "bias"]
    columns[0] = "unit" if len(layers) > 1 else ", ".join(names)
    units = sum(len(layer["bias"]) for layer in layers[:-1])
    heights = [len(names) for names in rows]
    with plt.rc_context({**_STYLE, "axes.grid": False}):
        figure, grid = plt.subplots(
            len(layers), 1, figsize=(5.4, 0.3 + 0.6 * len(layers) + 0.17 * sum(heights)), height_ratios=heights,
            layout="constrained", squeeze=False,
        )
        for axes, picture, names, label in zip(grid[:, 0], pictures, rows, columns, strict=True):
            bound = float(np.abs(picture).max()) or 1.0
            drawn = axes.pcolormesh(picture, cmap="PuOr_r", vmin=-bound, vmax=bound, rasterized=True)
            drawn.set_gid("cells")
            axes.invert_yaxis()
            axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=7)
            axes.set_xlabel(label, fontsize=8)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
            bar = figure.colorbar(drawn, ax=axes, aspect=8, pad=0.01)
            bar.outline.set_visible(False)
            bar.ax.tick_params(labelsize=7)
        return _svg(figure, name, f"weights of {units} hidden units", {})


def _pixel_weights(weights: Mapping[str, Any], name: str) -> str:
    """What the units that weigh most look for, each as a picture; as square as the number of features lets it be."""
    rows = np.asarray(weights["layers"][0]["weight"])
    features = rows.shape[1]
    height = next(height for height in range(math.isqrt(features), 0, -1) if features % height == 0)
    bound = float(np.abs(rows).max()) or 1.0
    with plt.rc_context({**_STYLE, "axes.grid": False}):
        figure, grid = plt.subplots(2, -(-len(rows) // 2), figsize=(5.4, 3.0), layout="constrained", squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, row, unit in zip(grid.flat, rows, weights["units"], strict=False):
            drawn = axes.imshow(row.reshape(height, -1), cmap="PuOr_r", vmin=-bound, vmax=bound, interpolation="none")
            axes.set_title(f"unit {unit}", fontsize=7)
        figure.colorbar(drawn, ax=grid, aspect=30, pad=0.01).ax.tick_params(labelsize=7)
        return _svg(figure, name, f"weights of the {len(rows)} units that weigh most", {})


def episode(policy: Mapping[str, Any], name: str) -> str:
    """Each feature over an episode, and the actions below."""
    told = policy["episode"]
    observed, actions = np.asarray(told["observations"]), np.asarray(told["actions"])
    with plt.rc_context(_STYLE):
        figure, (axes, below) = plt.subplots(
            2, 1, figsize=(5.4, 3.3), height_ratios=[4, 1], sharex=True, layout="constrained"
        )
        for index in range(observed.shape[1]):
            label = told["features"][index] if index < len(told["features"]) else None
            axes.plot(observed[:, index], color=_SERIES[index % len(_SERIES)], linewidth=1.2, label=label,
                      linestyle=("-", "--", ":", "-.")[index % 4])
        if observed.shape[1] <= 8:
            axes.legend(fontsize=7, ncols=2, loc="best")
        axes.set_ylabel("observed")
        for index in range(actions.shape[1]):
            colour = INK if actions.shape[1] == 1 else _SERIES[index % len(_SERIES)]
            below.step(np.arange(len(actions)), actions[:, index], where="post", color=colour, linewidth=0.8)
        below.set(xlabel="step", ylabel="action")
        if policy["discrete"]:
            below.set_yticks(range(len(told["output_names"])), told["output_names"], fontsize=7)
            below.set(ylabel="", ylim=(-0.4, len(told["output_names"]) - 0.6))
        return _svg(figure, name, f"one episode of {told['steps']} steps", {})


def fold(policy: Mapping[str, Any], name: str) -> str:
    """Latency against look-up tables, from the fewest units to unrolled logic."""
    points = sorted(policy["folds"], key=lambda point: -point["latency_ns"])
    with _drawing((5.4, 2.7)) as (figure, axes):
        x, y = ([point[key] for point in points] for key in ("lut", "latency_ns"))
        axes.plot(x, y, color=FAINT, linewidth=0.9)
        tips = {}
        for index, point in enumerate(points):
            label = f"{point['fold']}" if point["fold"] else "unrolled"
            axes.plot([point["lut"]], [point["latency_ns"]], marker="o", color=ACCENT, gid=f"tip-{index}")
            axes.annotate(label, (point["lut"], point["latency_ns"]), (5, 4), textcoords="offset points", fontsize=8)
            tips[f"tip-{index}"] = f"{label}: {point['lut']} LUT, {point['dsp']} DSP, {point['latency_ns']} ns"
        axes.set(xlabel=LABELS["lut"], ylabel=LABELS["latency_ns"])
        for which, values in (("x", x), ("y", y)):
            _plain_logarithm(axes, which, values)
        axes.margins(0.15)
        return _svg(figure, name, f"latency against area of {len(points)} cores of this policy", tips)


def critical_path(policy: Mapping[str, Any], name: str) -> str:
    """The longest path as a bar: cells and wires in their order."""
    looks = {"logic": (ACCENT, "cell"), "routing": (FAINT, "wire")}
    with _drawing((5.4, 1.15)) as (figure, axes):
        at, tips = 0.0, {}
        for index, step in enumerate(policy["critical_path"]["steps"]):
            colour, word = looks.get(step["kind"], (INK, "register"))
            axes.barh(0, step["delay_ns"], left=at, color=colour, height=0.7, edgecolor=INK, linewidth=0.3)
            axes.patches[-1].set_gid(f"tip-{index}")
            tips[f"tip-{index}"] = f"{word}: {step['delay_ns']} ns"
            at += step["delay_ns"]
        for colour, word in (*looks.values(), (INK, "register")):
            axes.bar(0, 0, color=colour, label=word)
        axes.set(xlabel="ns", yticks=[], ylim=(-0.5, 0.5), xlim=(0, at * 1.01))
        axes.legend(fontsize=7, ncols=3, loc="lower right", bbox_to_anchor=(1, 0.95))
        return _svg(figure, name, f"critical path of {at:.2f} ns", tips)


def fronts(points: Sequence[Mapping[str, Any]], solved: float | None, name: str) -> list[str]:
    """Return against look-up tables, latency and energy, and, of designs that solve the task, latency against tables.

    Each point has its explanation.
    """
    drawn = [_front(points, key, "return", solved, f"{name}-{key}") for key in LABELS if key != "return"] \
        if points else []
    solving = [point for point in points if point["solved"] is not False]
    return [*drawn, _front(solving, "lut", "latency_ns", None, f"{name}-solving")] if solving else drawn


def _front(
    points: Sequence[Mapping[str, Any]], across: str, up: str, solved: float | None, name: str
) -> str:
    with _drawing((4.6, 2.8)) as (figure, axes):
        tips = {}
        for index, point in reversed(list(enumerate(points))):  # those on the front last: on top
            colour, marker = _METHODS[point["method"]]
            size, alpha = (8, 1.0) if point["front"] else (5, 0.45)
            axes.plot([point[across]], [point[up]], marker=marker, color=colour, linestyle="", gid=f"tip-{index}",
                      markeredgecolor=INK if point["front"] else colour, markeredgewidth=0.8,
                      markersize=size, alpha=alpha)
            tips[f"tip-{index}"] = explain(point)
        for method in dict.fromkeys(point["method"] for point in points):
            axes.plot([], [], marker=_METHODS[method][1], color=_METHODS[method][0], linestyle="", label=method)
        _bar(axes, solved, "solved")
        axes.set(xlabel=LABELS[across], ylabel=LABELS[up])
        if up == "return":
            values = [point[up] for point in points] + ([] if solved is None else [solved])
            slack = 0.12 * (max(values) - min(values)) or 1.0
            axes.set_ylim(min(values) - slack, max(values) + slack)
        else:
            axes.set_title("designs that solve the task", fontsize=9)
            _plain_logarithm(axes, "y", [point[up] for point in points])
        _plain_logarithm(axes, "x", [point[across] for point in points])
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5), handletextpad=0.1)
        return _svg(figure, name, f"{LABELS[up]} against {LABELS[across]}, {len(points)} designs", tips)


def explain(point: Mapping[str, Any]) -> str:
    """A point in words."""
    stages = f"{point['cycles']} cycle{'s' if point['cycles'] != 1 else ''}"
    stages += f" on {point['fold']} unit{'s' if point['fold'] != 1 else ''} side by side" if point["fold"] else ""
    units = "one layer" if point["hidden"] == "0" else f"{point['hidden']} unit{'s' if point['hidden'] != '1' else ''}"
    return (
        f"{point['label']}: {point['method']}, {units}, {point['bits']}-bit weights, "
        f"{point['input_bits']}-bit inputs, {point['part']}. Return {point['return']:.2f}, {point['lut']} LUT, "
        f"{point['latency_ns']} ns in {stages}, {point['energy_pj']:.2f} pJ"
        f"{'; on the front' if point['front'] else ''}"
    )


def records(record: Mapping[str, Any], name: str) -> list[str]:
    """Returns of an environment's seeds against tables of 6 and 4 inputs and latency; of peers where both are known."""
    return [_record(record, key, label, f"{name}-{key}") for key, label in RECORD_LABELS.items()]


def _record(record: Mapping[str, Any], across: str, label: str, name: str) -> str:
    short = {"latency_ns": "ns"}.get(across, across)
    with _drawing((3.6, 2.6)) as (figure, axes):
        tips = {}
        for index, line in enumerate(record["lines"]):
            axes.errorbar([line[across]], [line["return_netlist"]], [line["interval"]], color=ACCENT, linewidth=0.8)
            axes.plot([line[across]], [line["return_netlist"]], "o", color=ACCENT, gid=f"tip-{index}")
            tips[f"tip-{index}"] = f"{line['network']}, seed {line['seed']}: " \
                f"{line['return_netlist']:.1f} ± {line['interval']:.1f}, " \
                f"{line['lut6']} LUT6, {line['lut4']} LUT4, {line['latency_ns']} ns"
        for index, peer in enumerate(peer for peer in record["peers"] if short in peer):
            axes.plot([peer[short]], [peer["return"]], "s", color=FAINT, gid=f"tip-peer-{index}")
            tips[f"tip-peer-{index}"] = f"{peer['name']}: {peer['return']}; {peer['note']}"
        axes.set(xlabel=label, ylabel=LABELS["return"])
        axes.set_xlim(left=0)
        return _svg(figure, name, f"return against {label}, {len(record['lines'])} seeds", tips)


@contextmanager
def _drawing(size: tuple[float, float]) -> Iterator[tuple[Figure, Axes]]:
    with plt.rc_context(_STYLE):
        yield plt.subplots(figsize=size, layout="constrained")


def _plain_logarithm(axes: Axes, which: str, values: Sequence[float]) -> None:
    if min(values) <= 0:  # an energy of nothing: a policy without additions
        return
    axes.set(**{f"{which}scale": "log"})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1,) if max(values) > 30 * min(values) else (1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _bar(axes: Axes, value: float | None, text: str) -> None:
    if value is not None:
        axes.axhline(value, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(f"{text}: {value:g}", (0.99, value), (0, -2), fontsize=7, va="top", ha="right",
                      xycoords=("axes fraction", "data"), textcoords="offset points")


def _svg(figure: Figure, name: str, label: str, tips: Mapping[str, str]) -> str:
    """The SVG element, its names made unlike those of other plots on the page, with an explanation at each of ``tips``.

    Equal figures give equal text.
    """
    buffer = io.StringIO()
    with plt.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg"):]
    text = re.sub(r'\b(id="|url\(#|href="#)', lambda match: f"{match[1]}{name}-", text)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", text, count=1)
    text = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", text, count=1)
    text = text.replace("<svg ", f'<svg class="plot" role="img" aria-label="{html.escape(label)}" ', 1)
    for colour, variable in _THEME.items():
        text = text.replace(colour, variable)
    for key, tip in tips.items():
        told = html.escape(tip)
        text = text.replace(
            f'<g id="{name}-{key}">', f'<g id="{name}-{key}" class="tip" tabindex="0" data-tip="{told}">'
            f"<title>{told}</title>", 1
        )
    return re.sub(r"\n\s*", "\n", text).strip()
