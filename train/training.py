"""Train one policy, whichever trainer does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.policy import Policy, PolicySpec
from hls4rl.task import Task
from hls4rl.train.calibration import deployed
from hls4rl.train.state import TrainingState
from hls4rl.train.trainers import TRAINERS, load_trainer, resolve_trainer

WINDOW = 100
"""Episodes of the running mean that progress shows."""


@dataclass(frozen=True)
class Standing:
    """How far one training run has come."""

    episode: int
    episodes: int
    """In all; 0: nobody knows."""
    mean_return: float
    """Mean over the last :data:`WINDOW` episodes."""
    steps_per_second: float
    steps: int = 0
    total_steps: int | None = None
    """Of the whole run, where these and not its episodes are counted."""

    def __str__(self) -> str:
        """As one line says it."""
        of = f"/{self.episodes}" if self.episodes else ""
        done = f"{self.episode}{of} episodes"
        if self.total_steps is not None:
            done = f"{self.steps:,}/{self.total_steps:,} steps"
        return f"{done}, return {self.mean_return:.1f}, {self.steps_per_second:,.0f} steps/s"


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """A trained policy and how it came about."""

    policy: Policy
    """With the contract that is deployed: integers only."""
    returns: FloatArray
    """Return of each training episode, actions sampled; shape (episodes,)."""
    steps: int
    """Environment steps in all."""
    steps_per_second: float
    ends: IntArray
    """Steps up to the end of each training episode, shape (episodes,); empty from trainers that play one at a time."""
    saturated: list[dict[str, Any]] | None = None
    """Of each layer, what its calibrated formats cut off (:mod:`hls4rl.train.calibration`); None where the task file
    gives the formats."""


def train_policy(
    task: Task, spec: PolicySpec, progress: Callable[[Standing], None] | None = None, directory: Path | None = None,
) -> TrainingResult:
    """Train the policy ``spec`` on ``task``; equal arguments give equal bytes.

    Args:
        task: what to control.
        spec: which policy.
        progress: told how far it has come.
        directory: where a trainer that takes long keeps its state, to go on from there when it is called again.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind, or its trainer cannot train on it.
    """
    if task.training.raw_observations:
        raise ProjectError(
            f"task '{task.name}': training.raw_observations is true, and what is trained on the environment's floats "
            "cannot be deployed behind the host's converter; leave it out (`make paper` measures such policies)"
        )
    if task.is_rounded:
        return _imported(task, spec)
    state = train_state(task, spec, progress, directory)
    policy, saturated = state.deployed or deployed(task, spec, state.parameters)
    ends = np.array(state.ends, dtype=np.int64)
    return TrainingResult(policy, np.array(state.returns), state.steps, state.steps_per_second, ends, saturated)


def _imported(task: Task, spec: PolicySpec) -> TrainingResult:
    from hls4rl.train.pretrained.imported import import_policy

    policy, saturated = import_policy(task, spec)
    return TrainingResult(policy, np.zeros(0), 0, 0.0, np.zeros(0, dtype=np.int64), saturated)


def train_state(
    task: Task, spec: PolicySpec, progress: Callable[[Standing], None] | None = None, directory: Path | None = None,
) -> TrainingState:
    """As :func:`train_policy`, up to the last episode: latent parameters, in the formats of training."""
    episodes = task.training.episodes if TRAINERS[resolve_trainer(task, spec)].by_episodes else 0
    for state in load_trainer(task, spec)(task, spec, directory):
        if progress is not None and state.returns:
            mean = float(np.mean(state.returns[-WINDOW:]))
            progress(Standing(
                len(state.returns), episodes, mean, state.steps_per_second, state.steps, state.total_steps
            ))
    return state
