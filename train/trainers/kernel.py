"""The compiled kernel: for environments that it knows."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.trainers import Trainer

COMPILED = ("CartPole-v0", "CartPole-v1", "Acrobot-v1")
"""Environments that the kernel knows (:mod:`hls4rl.train.environments`)."""


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    if task.environment in COMPILED and not task.environment_options:
        return None
    return f"the kernel knows only {', '.join(COMPILED)} with their usual options; use the reference trainer"


TRAINER = Trainer(1, "vpg.kernel", _refusal)
