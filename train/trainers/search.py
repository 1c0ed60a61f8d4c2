"""Random search on the deployed integers: for tasks that ask for it, and any environment."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.trainers import Trainer

METHODS = ("fp", "pruning", "ternary")


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    if task.pixels is not None:
        return "its file has [pixels], whose observations are too wide for a search; leave TRAINER out"
    if spec.method not in METHODS:
        return f"the search moves fixed-point weights; take METHOD={', '.join(METHODS[:-1])} or {METHODS[-1]}"
    return None


TRAINER = Trainer(3, "search.trainer", _refusal, wanted=lambda task: task.search is not None)
