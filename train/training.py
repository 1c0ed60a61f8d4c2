"""Train one policy, whichever trainer does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from train.contract import FloatArray
from train.course import Course
from train.errors import ProjectError
from train.methods import method
from train.policy import Policy, PolicySpec
from train.task import Task

TRAINERS = ("auto", "reference", "kernel")
"""``auto`` takes the compiled kernel where it knows the environment, else the reference."""

COMPILED = ("CartPole-v0", "CartPole-v1", "Acrobot-v1")
"""Environments that the kernel knows (:mod:`train.environments`)."""

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
    task: Task, spec: PolicySpec, progress: Callable[[Standing], None] | None = None, trainer: str = "auto"
) -> TrainingResult:
    """Train the policy ``spec`` on ``task``; equal arguments give equal bytes.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind, or ``trainer`` cannot train on it.
    """
    for course in _run(task, spec, resolve_trainer(task, trainer)):
        if progress is not None:
            mean = float(np.mean(course.returns[-WINDOW:]))
            progress(Standing(len(course.returns), task.training.episodes, mean, course.steps_per_second))
    policy = course.parameters.policy(spec, method(spec).deployed_contract(task))
    return TrainingResult(policy, np.array(course.returns), course.steps, course.steps_per_second)


def resolve_trainer(task: Task, trainer: str) -> str:
    """``reference`` or ``kernel``, whichever ``trainer`` means for ``task``.

    Raises:
        ProjectError: there is no such trainer, or it cannot train on ``task``.
    """
    if trainer not in TRAINERS:
        raise ProjectError(f"unknown trainer '{trainer}'; choose one of {', '.join(TRAINERS)}")
    compiled = task.environment in COMPILED and not task.environment_options
    if trainer == "kernel" and not compiled:
        raise ProjectError(
            f"task '{task.name}': the kernel knows only {', '.join(COMPILED)} with their usual options; "
            "use the reference trainer"
        )
    return "kernel" if compiled and trainer != "reference" else "reference"


def _run(task: Task, spec: PolicySpec, trainer: str) -> Iterator[Course]:
    if trainer == "kernel":
        from train import kernel

        return kernel.run(task, spec)
    from train import reference  # brings torch

    return reference.run(task, spec)
