"""What there is to train and measure: each job is one policy of one variant, and depends on no other job."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.gym_loop import play
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import PolicySpec
from hls4rl.studies.paper.rates import published_rate
from hls4rl.studies.paper.variants import CONTROLS, OWN, PIXELS, RECIPES, VARIANTS, WIDTHS
from hls4rl.task import Task, load_task, with_settings
from hls4rl.train.methods import METHODS, PAPER_METHODS, method
from hls4rl.train.pixels.arcade import PONG
from hls4rl.train.selection import EVALUATION_SEED, policy_inputs
from hls4rl.train.trainers import resolve_trainer
from hls4rl.train.training import TrainingResult, train_policy, train_state

PONG_WIDTHS = (128, 256)
POLICIES = 10
"""Seeds of one cell of the grid."""
EVALUATION_EPISODES = 100
"""Greedy episodes of each policy under each condition."""
BINS = 60
"""Points of a learning curve."""
WINDOW = 100
"""Episodes whose mean decides when a task is solved."""
LAST_SHARE = 0.1
"""Share of the training episodes, from the end, whose mean return counts as final."""
LONG = 500
"""Steps of an episode that try a policy's endurance, where its environment ends sooner."""
NOISE = 0.05
"""Deviation of the sensors' noise that tries a policy's robustness, as a share of each feature's largest value."""


@dataclass(frozen=True)
class Job:
    """One policy to train and measure."""

    variant: str
    spec: PolicySpec
    episodes: int | None = None
    """Training episodes, instead of the task's setting."""
    rate: float | None = None
    """Learning rate, instead of the variant's."""

    @property
    def task(self) -> Task:
        """The task with the variant's settings."""
        return _task(self.variant, self.spec.task, self.spec.method, self.episodes, self.rate)

    @property
    def inputs(self) -> str:
        """Digits that stand for all that the row depends on."""
        inputs = [policy_inputs(self.task, self.spec), EVALUATION_EPISODES, BINS, NOISE, LONG]
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:12]


@cache
def _task(name: str, task: str, method: str, episodes: int | None, rate: float | None) -> Task:
    variant = VARIANTS[name]
    if rate is None and variant.tuned is not None:
        rate = published_rate(variant.tuned, task, method)
    changes = {"episodes": episodes, "learning_rate": rate}
    settings = variant.settings | {key: value for key, value in changes.items() if value is not None}
    return with_settings(with_settings(load_task(task), "training", **settings), "pixels", **variant.pixels)


@dataclass(frozen=True)
class Outcome:
    """What a job brings home; plain data, so that it travels between machines."""

    job: Job
    row: dict[str, Any]


def paper_jobs() -> list[Job]:
    """All policies of the paper's grid in each recipe, and the controls; the paper's own come first."""
    variants = sorted((*RECIPES, *CONTROLS), key=lambda item: not item.name.startswith(("paper", "small", "few")))
    return [
        Job(variant.name, PolicySpec(task, method, (hidden,), seed))
        for late in (False, True)
        for variant in variants
        for task in variant.tasks
        if (task == "cartpole1") == late
        for method in variant.methods
        for hidden in variant.widths
        for seed in range(POLICIES)
    ]


def quick_jobs() -> list[Job]:
    """A small slice that shows all of the whole in a minute or two."""
    return [
        dataclasses.replace(job, episodes=300) for job in paper_jobs()
        if job.spec.hidden in ((16,), (64,)) and job.spec.seed < 2
    ]


def task_jobs(task: str, *, quick: bool = False, seeds: int = POLICIES) -> list[Job]:
    """All five methods on one task, with the settings of its file and the paper's widths for Pong.

    Args:
        task: name of a shipped task.
        quick: one small policy of each method, a few episodes, instead of ``seeds`` in each of two widths.
        seeds: policies of a cell.

    Raises:
        ProjectError: no such task.
    """
    found = load_task(task)
    if quick:
        return [Job(OWN.name, PolicySpec(found.name, method, (16,), 0), 16) for method in PAPER_METHODS]
    # Those that others go on from come first, so that nobody waits for a first half that another one trains.
    methods = sorted(PAPER_METHODS, key=lambda name: METHODS[name].switches)
    return [
        Job(variant.name, PolicySpec(found.name, method, (hidden,), seed))
        for hidden in PONG_WIDTHS for method in methods for variant in (PIXELS if found.pixels else (OWN,))
        if method in variant.methods for seed in range(seeds)
    ]


def run_job(job: Job, place: Path | None = None) -> Outcome:
    """Train and measure; the outcome depends on the job alone.

    Args:
        job: what.
        place: folder that trainers which take long keep their runs in, to go on from there; None keeps nothing.
    """
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    task, run = job.task, None if place is None else place / f"{job.spec.directory_name}-{job.variant}"
    trainer = resolve_trainer(task, job.spec)
    if trainer == "kernel":
        returns, measures = _measure_compiled(task, job.spec)
    else:
        trained = train_policy(task, job.spec, directory=run if trainer == "pixels" else None)
        returns, measures = trained.returns, _measure(task, trained)
    last = max(1, round(LAST_SHARE * len(returns)))
    return Outcome(job, {
        "variant": job.variant, "task": job.spec.task, "method": job.spec.method, "hidden": job.spec.hidden[0],
        "seed": job.spec.seed, "inputs": job.inputs, "rate": task.training.learning_rate, "episodes": len(returns),
        "final": round(float(returns[-last:].mean()), 2), "area": round(float(returns.mean()), 2),
        "solved_at": _solved_at(returns, task.solved), **measures,
        "curve": _curve(returns).round(1).tolist(),
    })


def _measure_compiled(task: Task, spec: PolicySpec) -> tuple[FloatArray, dict[str, Any]]:
    """Returns of training; greedy ones of what is deployed, or of what was trained where that cannot be deployed."""
    from hls4rl.studies.paper.policy_cost import cost_of
    from hls4rl.train.greedy import USUAL, Conditions, greedy_returns, greedy_returns_in_training

    state = train_state(task, spec)
    raw = task.training.raw_observations

    def mean(conditions: Conditions, trained: bool) -> float:
        if trained:
            found = greedy_returns_in_training(
                task, spec, state.parameters, EVALUATION_EPISODES, EVALUATION_SEED, conditions
            )
        else:
            policy = state.parameters.policy(spec, method(spec).deployed_contract(task))
            found = greedy_returns(task, policy, EVALUATION_EPISODES, EVALUATION_SEED, conditions)
        return round(float(found.mean()), 2)

    long = Conditions(LONG) if task.environment.startswith("CartPole") else USUAL
    measures: dict[str, Any] = {
        "greedy": mean(USUAL, trained=True),
        "deployed": None if raw else mean(USUAL, trained=False),
        "long": mean(long, raw),
        "noisy": mean(dataclasses.replace(long, noise=NOISE), raw),
        "cost": None if raw else asdict(cost_of(state.parameters.policy(spec, method(spec).deployed_contract(task)))),
    }
    return np.array(state.returns), measures


def _measure(task: Task, trained: TrainingResult) -> dict[str, Any]:
    """The same on Gymnasium's own environment, for tasks whose environment is not compiled; Pong in all its games."""
    usual: dict[str, Any] = {"greedy": None, "long": None, "noisy": None}
    if task.environment == PONG:
        from hls4rl.studies.paper.pong import measures

        return {**usual, "frames": trained.steps, **measures(task, trained.policy)}
    played = play(task, IntegerBackend(trained.policy.network), EVALUATION_EPISODES, EVALUATION_SEED)
    return {**usual, "deployed": round(played.mean_return, 2)}


def _curve(returns: FloatArray) -> FloatArray:
    return np.array([share.mean() for share in np.array_split(returns, min(BINS, len(returns)))])


def _solved_at(returns: FloatArray, threshold: float | None) -> int | None:
    # The first episode after which the mean over the last hundred reaches the threshold
    if threshold is None or len(returns) < WINDOW:
        return None
    means = np.convolve(returns, np.full(WINDOW, 1 / WINDOW), "valid")
    reached = np.flatnonzero(means >= threshold)
    return int(reached[0]) + WINDOW if reached.size else None


def cells(jobs: list[Job]) -> dict[Job, list[Job]]:
    """Jobs that differ in the seed alone, by that of seed 0."""
    groups: dict[Job, list[Job]] = {}
    for job in jobs:
        groups.setdefault(dataclasses.replace(job, spec=dataclasses.replace(job.spec, seed=0)), []).append(job)
    return groups


__all__ = [
    "EVALUATION_EPISODES", "POLICIES", "WIDTHS", "Job", "Outcome", "cells", "paper_jobs", "quick_jobs", "run_job",
    "task_jobs",
]
