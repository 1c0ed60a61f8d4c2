"""The verb ``curves``: learning curves of a task's runs, laid out as the paper's Figures 5 and 6.

Where a grid of policies takes a cluster, as Pong's does, these are the runs that ``make train`` and ``make synth``
have made here; one that is still training is drawn as far as it has come.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from hls4rl.artefact import verified
from hls4rl.cli import print_result
from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.options import Env, Root
from hls4rl.plain import read_json
from hls4rl.run import RUNS, root_word
from hls4rl.studies.paper.figures import BASELINE_WIDTH, PALETTE, STYLE, save
from hls4rl.task import Task, load_task
from hls4rl.train.methods import METHODS, PAPER_METHODS

WINDOW = 40
"""Episodes of the running mean."""
Curves = dict[tuple[str, int], list[FloatArray]]
"""Returns of the training episodes of each seed, by method and hidden units."""


def curves(env: Env = "cartpole", root: Root = RUNS) -> None:
    """Draw the learning curves of all runs of a task: one panel a method, fp in each, mean and deviation of the seeds.

    Example: hls4rl curves --env pong
    """
    task, place = load_task(env), root
    found = read_curves(place / task.name)
    if not found:
        raise ProjectError(
            f"{place / task.name}: no run of the paper's methods with the task's own settings has {WINDOW} episodes "
            f"here; say make train ENV={env}{root_word(root)} first"
        )
    with plt.rc_context(STYLE):
        print_result(save(draw(task, found), place / task.name / "learning"))


def read_curves(directory: Path) -> Curves:
    """The curves of the runs in ``directory`` whose settings are the defaults, finished or not."""
    curves: Curves = defaultdict(list)
    for run_directory in sorted(directory.glob("*-h*-s*")):
        name = re.fullmatch(r"(\w+)-h(\d+)-s\d+", run_directory.name)
        returns = _returns(run_directory)
        if name and name[1] in PAPER_METHODS and len(returns) >= WINDOW:
            curves[name[1], int(name[2])].append(returns)
    return dict(curves)


def draw(task: Task, curves: Curves) -> Any:
    """One panel for each method but fp, in the paper's order."""
    methods = [method for method in PAPER_METHODS[1:] if any(name == method for name, _ in curves)] or ["fp"]
    figure, axes = plt.subplots(len(methods), 1, figsize=(5.2, 2.6 * len(methods)), squeeze=False, sharex=True)
    for axis, method in zip(axes[:, 0], methods, strict=True):
        _panel(axis, task, method, curves)
    axes[-1, 0].set_xlabel("episodes")
    return figure


def _panel(axis: Any, task: Task, method: str, curves: Curves) -> None:
    if method != "fp":
        _curve(axis, "fp", BASELINE_WIDTH, curves, METHODS["fp"].colour)
    widths = sorted(hidden for name, hidden in curves if name == method)
    for colour, hidden in zip(itertools.cycle(PALETTE), widths, strict=False):
        _curve(axis, method, hidden, curves, colour)
    if METHODS[method].switches:
        axis.axvline(task.training.episodes * task.midpoint, color="0.4", linestyle=":", linewidth=1)
    axis.set(title=task.name, ylabel="return", xlim=(0, task.training.episodes))
    axis.legend(ncols=2, loc="best")


def _curve(axis: Any, method: str, hidden: int, curves: Curves, colour: str) -> None:
    seeds = curves.get((method, hidden), [])
    if not seeds:
        return
    shortest = min(map(len, seeds))
    smooth = np.array([np.convolve(seed[:shortest], np.ones(WINDOW) / WINDOW, "valid") for seed in seeds])
    episodes, mean, deviation = np.arange(WINDOW, shortest + 1), smooth.mean(0), smooth.std(0)
    count = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
    axis.plot(episodes, mean, color=colour, linewidth=1.2, label=f"{METHODS[method].label} {hidden}{count}")
    axis.fill_between(episodes, mean - deviation, mean + deviation, color=colour, alpha=0.12, linewidth=0)


def _returns(directory: Path) -> FloatArray:
    finished, running = directory / "policy" / "training.json", directory / "curve.jsonl"
    remedy = "run its `make train` again"
    if finished.parent.is_dir():
        verified(finished.parent, remedy)
        return np.array(read_json(finished, remedy)["training_returns"], dtype=np.float64)
    try:
        lines = running.read_text(encoding="utf-8").splitlines() if running.is_file() else []
        return np.array([json.loads(line)["return"] for line in lines], dtype=np.float64)
    except (ValueError, KeyError, TypeError) as error:
        raise ProjectError(f"{running}: not the curve of a training run ({error}); remove it, then {remedy}") from error

