"""What is known of an executor before it is opened; one file of :mod:`hls4rl.hls_projects.executors` each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.run import Run


@dataclass(frozen=True)
class Executor:
    """One kind of executor of a built policy; its module's name is what a user calls it."""

    place: int
    """Its rank from software to gates, in tables and in the order of comparisons."""
    label: str
    """What it is, for reports."""
    artefact: Callable[[Run, str], Path]
    """What must have been built of a run for a part, given by its name: the folder."""
    open: Callable[[Path], Backend]
    """Loads the files of that folder; libraries that take long to import are imported here only."""
    gates: bool = False
    """Whether it simulates our own RTL, which the vendor's flow doesn't have."""
    shows_logits: bool = True
    """Whether it answers logits too, or actions only."""
    offered: Callable[[Path], bool] | None = None
    """Whether that folder has what it takes, where not every part's has; None: every one."""
    sampled: int | None = None
    """Of wide observations it drives no episodes, since a step takes its gates 0.1 s or more whether 1 frame or 64 pass
    side by side, but answers as many of the reference's observations."""
