"""Train one policy, whichever trainer does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from train import reference
from train.contract import FloatArray
from train.methods import method
from train.policy import Policy, PolicySpec
from train.task import Task

WINDOW = 100
"""Episodes of the running mean that progress shows."""


@dataclass(frozen=True)
class Standing:
    """How far one training run has come."""

    episode: int
    episodes: int
    mean_return: float
    """Mean over the last :data:`WINDOW` episodes."""
    steps_per_second: float


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained policy and how it came about."""

    policy: Policy
    """With the contract that is deployed: integers only."""
    returns: FloatArray
    """Return of each training episode, actions sampled; shape (episodes,)."""
    steps: int
    """Environment steps in all."""
    steps_per_second: float


def train_policy(
    task: Task, spec: PolicySpec, progress: Callable[[Standing], None] | None = None
) -> TrainingResult:
    """Train the policy ``spec`` on ``task``; equal arguments give equal bytes.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind.
    """
    for course in reference.run(task, spec):
        if progress is not None:
            mean = float(np.mean(course.returns[-WINDOW:]))
            progress(Standing(len(course.returns), task.training.episodes, mean, course.steps_per_second))
    policy = course.parameters.policy(spec, method(spec).deployed_contract(task))
    return TrainingResult(policy, np.array(course.returns), course.steps, course.steps_per_second)
