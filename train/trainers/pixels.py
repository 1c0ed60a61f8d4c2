"""Policy gradient from pixels, many games side by side: for tasks that ask for it."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.trainers import Trainer


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    if task.pixels is None:
        return "its file has no [pixels]; use another trainer, or see pong.toml"
    if len(spec.hidden) != 1:
        return (
            "the trainer from pixels has one hidden layer; give HIDDEN a single number, or use the reference trainer"
        )
    return None


TRAINER = Trainer(1, "pixels.trainer", _refusal, wanted=lambda task: task.pixels is not None)
