"""Train one policy, whichever trainer does it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.policy import Policy, PolicySpec
from hls4rl.task import Task
from hls4rl.train.methods import method
from hls4rl.train.state import TrainingState

TRAINERS = ("auto", "reference", "kernel", "pixels")
"""``auto`` takes the one for pixels if the task asks for it, the compiled kernel where it knows the environment, else
the reference."""

COMPILED = ("CartPole-v0", "CartPole-v1", "Acrobot-v1")
"""Environments that the kernel knows (:mod:`hls4rl.train.environments`)."""

WINDOW = 100
"""Episodes of the running mean that progress shows."""


@dataclass(frozen=True)
class Standing:
    """How far one training run has come."""

    episode: int
    episodes: int
    mean_return: float
    """Mean over the last :data:`WINDOW` episodes."""
    steps_per_second: float


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


def train_policy(
    task: Task, spec: PolicySpec, progress: Callable[[Standing], None] | None = None, trainer: str = "auto",
    directory: Path | None = None,
) -> TrainingResult:
    """Train the policy ``spec`` on ``task``; equal arguments give equal bytes.

    Args:
        task: what to control.
        spec: which policy.
        progress: told how far it has come.
        trainer: one of :data:`TRAINERS`.
        directory: where a trainer that takes long keeps its state, to go on from there when it is called again.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind, or ``trainer`` cannot train on it.
    """
    if task.training.raw_observations:
        raise ProjectError(
            f"task '{task.name}': training.raw_observations is true, and what is trained on the environment's floats "
            "cannot be deployed behind the host's converter; leave it out (`make paper` measures such policies)"
        )
    state = train_state(task, spec, progress, trainer, directory)
    policy = state.parameters.policy(spec, method(spec).deployed_contract(task))
    ends = np.array(state.ends, dtype=np.int64)
    return TrainingResult(policy, np.array(state.returns), state.steps, state.steps_per_second, ends)


def train_state(
    task: Task, spec: PolicySpec, progress: Callable[[Standing], None] | None = None, trainer: str = "auto",
    directory: Path | None = None,
) -> TrainingState:
    """As :func:`train_policy`, up to the last episode: latent parameters, in the formats of training."""
    for state in _run(task, spec, resolve_trainer(task, spec, trainer), directory):
        if progress is not None and state.returns:
            mean = float(np.mean(state.returns[-WINDOW:]))
            progress(Standing(len(state.returns), task.training.episodes, mean, state.steps_per_second))
    return state


def resolve_trainer(task: Task, spec: PolicySpec, trainer: str = "auto") -> str:
    """``reference``, ``kernel`` or ``pixels``, whichever ``trainer`` means for ``task`` and ``spec``.

    Raises:
        ProjectError: there is no such trainer, or it cannot train this policy on ``task``.
    """
    if trainer not in TRAINERS:
        raise ProjectError(f"unknown trainer '{trainer}'; choose one of {', '.join(TRAINERS)}")
    if trainer == "kernel" and not is_compiled(task, spec):
        raise ProjectError(
            f"task '{task.name}': the kernel knows only {', '.join(COMPILED)} with their usual options, and networks "
            "with one hidden layer of ReLUs or signs; use the reference trainer"
        )
    if trainer == "pixels" and task.pixels is None:
        raise ProjectError(f"task '{task.name}': its file has no [pixels]; use another trainer, or see pong.toml")
    if trainer in ("auto", "pixels") and task.pixels is not None:
        if len(spec.hidden) != 1:
            raise ProjectError(
                f"task '{task.name}': the trainer from pixels has one hidden layer; give HIDDEN a single number, "
                "or use the reference trainer"
            )
        return "pixels"
    if trainer != "auto":
        return trainer
    return "kernel" if is_compiled(task, spec) else "reference"


def is_compiled(task: Task, spec: PolicySpec) -> bool:
    """Whether the kernel can train this policy: it knows the environment and the network's form."""
    usual = not task.environment_options and not task.wrappers
    return (
        task.environment in COMPILED and usual and len(spec.hidden) == 1
        and (task.network.activation == "relu" or spec.method in ("binarynet", "ternary"))
    )


def load_trainer(task: Task, spec: PolicySpec, trainer: str = "auto") -> ModuleType:
    """The module that trains, with all that it needs imported.

    Call it before the work begins: libraries may swallow a Ctrl-C while they are imported.

    Raises:
        ProjectError: there is no such trainer, or it cannot train this policy on ``task``.
    """
    modules = {"pixels": "pixels.trainer", "kernel": "vpg.kernel", "reference": "vpg.reference"}
    return importlib.import_module(f"hls4rl.train.{modules[resolve_trainer(task, spec, trainer)]}")


def _run(task: Task, spec: PolicySpec, trainer: str, directory: Path | None) -> Iterator[TrainingState]:
    run: Callable[..., Iterator[TrainingState]] = load_trainer(task, spec, trainer).run
    return run(task, spec, directory) if trainer == "pixels" else run(task, spec)
