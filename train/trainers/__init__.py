"""The trainers, one file each that says what it can train and where its code is: this folder is the list of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hls4rl import registry
from hls4rl.errors import ProjectError
from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.state import TrainingState

Run = Callable[[Task, PolicySpec, Path | None], Iterator[TrainingState]]
"""Trains a policy; yields its state from time to time, and the last one is the result. The folder is where a trainer
that takes long keeps its state, to go on from there; None keeps nothing."""


@dataclass(frozen=True)
class Trainer:
    """One trainer; its module's name is what a user calls it."""

    place: int
    """Its rank: of those that can train a policy, ``auto`` takes the first."""
    module: str
    """Below :mod:`hls4rl.train`; its ``run`` is a :data:`Run`. Imported when it is needed, as numba and torch take
    seconds."""
    refusal: Callable[[Task, PolicySpec], str | None]
    """Why it cannot train a policy on a task, as the end of a sentence with the remedy; None where it can."""
    wanted: Callable[[Task], bool] = lambda task: False
    """Whether the task's file asks for it, so that ``auto`` takes no other."""
    takes_source: bool = False
    """Whether it listens to a teacher."""
    by_episodes: bool = True
    """Whether it is for ``training.episodes`` to say how long it takes."""


TRAINERS: dict[str, Trainer] = registry.load("hls4rl.train.trainers", "TRAINER")
"""By name, the most particular one first."""
CHOICES = ("auto", *TRAINERS)


def resolve_trainer(task: Task, spec: PolicySpec) -> str:
    """The name of the trainer that ``training.trainer`` means for ``task`` and ``spec``.

    Raises:
        ProjectError: there is no such trainer, or it cannot train this policy on ``task``.
    """
    trainer = task.training.trainer
    if trainer not in CHOICES:
        raise ProjectError(f"unknown trainer '{trainer}'; choose one of {', '.join(CHOICES)}")
    if trainer == "auto":
        wanted = [name for name, kind in TRAINERS.items() if kind.wanted(task)]
        able = [name for name, kind in TRAINERS.items() if kind.refusal(task, spec) is None]
        trainer = (wanted or able)[0]
    if task.source is not None and task.source.distil and not TRAINERS[trainer].takes_source:
        raise ProjectError(f"task '{task.name}': TRAINER={trainer} listens to no teacher; leave it out, or take search")
    if reason := TRAINERS[trainer].refusal(task, spec):
        raise ProjectError(f"task '{task.name}': {reason}")
    return trainer


def load_trainer(task: Task, spec: PolicySpec) -> Run:
    """What trains, with all that it needs imported.

    Call it before the work begins: libraries may swallow a Ctrl-C while they are imported.

    Raises:
        ProjectError: there is no such trainer, or it cannot train this policy on ``task``.
    """
    module = importlib.import_module(f"hls4rl.train.{TRAINERS[resolve_trainer(task, spec)].module}")
    run: Run = module.run
    return run
