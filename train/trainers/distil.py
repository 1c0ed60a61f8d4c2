"""Training after a policy that exists, the teacher: for imported policies, and any environment."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.trainers import Trainer


def is_taught(task: Task) -> bool:
    """Whether ``task`` has a teacher."""
    return task.source is not None and task.source.distil


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    if not is_taught(task):
        return "nobody is there to learn from; give the teacher's file with TEACHER"
    return None if task.distillation.rounds else "distillation.rounds is 0, which trains nothing; leave it out"


TRAINER = Trainer(0, "distillation", _refusal, wanted=is_taught, takes_source=True, by_episodes=False)
