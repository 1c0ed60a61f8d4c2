"""Proximal policy optimisation: for tasks that ask for it, and any environment without pixels."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.trainers import Trainer


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    if task.pixels is not None:
        return "its file has [pixels], which have a trainer of their own; leave TRAINER out"
    if task.training.raw_observations:
        return "TRAINER=ppo sees what the converter sees; leave training.raw_observations out"
    return None


TRAINER = Trainer(5, "ppo.trainer", _refusal, wanted=lambda task: task.ppo is not None)
