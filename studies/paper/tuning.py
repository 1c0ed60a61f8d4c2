"""``make tune``: the learning rate of every method in every recipe, with the same budget for each.

Each method on each of the two control tasks gets the same trials: every rate of its optimiser's grid, times the same
seeds, which the grid does not use, at one width. The best mean return over the whole of training wins: it has no
ceiling, and a policy that falls back pays for it. What is tuned is the rate alone; all else is the recipe's.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.artefact import write_json
from hls4rl.policy import PolicySpec
from hls4rl.studies.paper.jobs import Job, Outcome
from hls4rl.studies.paper.variants import CONTROL_TASKS, VARIANTS
from hls4rl.train.methods import PAPER_METHODS

RECIPES = ("paper", "plain", "steady")
GRIDS = {"sgd": (0.01, 0.03, 0.1, 0.3, 1.0), "adam": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)}
LITERAL_GRID = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3)
SEEDS = (1000, 1001, 1002)
HIDDEN = 64


def tuning_jobs() -> list[Job]:
    """All trials; those of eq. 4 to the letter, for fp alone, come last."""
    jobs = [
        Job(recipe, PolicySpec(task, method, (HIDDEN,), seed), rate=rate)
        for recipe, task, method in itertools.product(RECIPES, CONTROL_TASKS, PAPER_METHODS)
        for rate in GRIDS[VARIANTS[recipe].settings.get("optimiser", "adam")]
        for seed in SEEDS
    ]
    return jobs + [
        Job("paper-literal", PolicySpec(task, "fp", (HIDDEN,), seed), rate=rate)
        for task in CONTROL_TASKS for rate in LITERAL_GRID for seed in SEEDS
    ]


def choose(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write the best rates, and what every trial came to, to ``path``."""
    areas: dict[tuple[str, str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for outcome in outcomes:
        spec, rate = outcome.job.spec, outcome.job.rate
        assert rate is not None
        areas[outcome.job.variant, spec.task, spec.method][rate].append(outcome.row["area"])
    rates: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    trials: dict[str, Any] = defaultdict(lambda: defaultdict(dict))
    for (recipe, task, method), found in sorted(areas.items()):
        means = {rate: round(float(np.mean(values)), 2) for rate, values in sorted(found.items())}
        rates[recipe][task][method] = max(means, key=lambda rate: (means[rate], -rate))
        trials[recipe][task][method] = {f"{rate:g}": mean for rate, mean in means.items()}
    write_json(path, {
        "command": "make tune",
        "criterion": "mean return over all training episodes, mean over the seeds",
        "seeds": list(SEEDS), "hidden": HIDDEN, "rates": rates, "trials": trials,
    })
