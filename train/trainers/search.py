"""Random search on the deployed integers: for tasks that ask for it, and any environment."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.methods import METHODS
from hls4rl.train.trainers import Trainer


def _refusal(task: Task, spec: PolicySpec) -> str | None:
    if task.pixels is not None:
        return "its file has [pixels], whose observations are too wide for a search; leave TRAINER out"
    if not METHODS[spec.method].searchable:
        able = [f"METHOD={name}" for name, kind in METHODS.items() if kind.searchable]
        return f"the search moves fixed-point weights, each by itself; take {' or '.join(able)}"
    return None


TRAINER = Trainer(4, "search.trainer", _refusal, wanted=lambda task: task.search is not None, takes_source=True)
