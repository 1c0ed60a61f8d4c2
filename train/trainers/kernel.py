"""The compiled kernel: for environments that it knows, and networks with one hidden layer."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.methods import METHODS
from hls4rl.train.trainers import Trainer

COMPILED = ("CartPole-v0", "CartPole-v1", "Acrobot-v1")
"""Environments that the kernel knows (:mod:`hls4rl.train.environments`)."""


def is_compiled(task: Task, spec: PolicySpec) -> bool:
    """Whether the kernel can train this policy: it knows the environment and the network's form."""
    usual = not task.environment_options and not task.wrappers and task.source is None
    return (
        task.environment in COMPILED and usual and len(spec.hidden) == 1
        and (task.network.activation == "relu" or METHODS[spec.method].signs)
    )


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    return None if is_compiled(task, spec) else (
        f"the kernel knows only {', '.join(COMPILED)} with their usual options, and networks with one hidden layer of "
        "ReLUs or signs; use the reference trainer"
    )


TRAINER = Trainer(2, "vpg.kernel", _refusal)
