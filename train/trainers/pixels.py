"""Policy gradient from pixels, many games side by side: for tasks that ask for it."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.trainers import Trainer


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    return None if task.pixels else "its file has no [pixels]; use another trainer, or see pong.toml"


TRAINER = Trainer(0, "pixels.trainer", _refusal)
