"""Play one episode with the sampled policy on Gymnasium.

A Brevitas forward pass costs a millisecond, so a rollout evaluates the already quantised parameters in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.actions import BoxActions
from hls4rl.contract import ActivationType, Contract, FloatArray, Real, Sign, Table
from hls4rl.task import Task
from hls4rl.train.parameters import Parameters
from hls4rl.train.vpg.distribution import draw


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode of T steps."""

    observations: FloatArray
    """Shape (T, features), in real units."""
    actions: NDArray[Any]
    """Shape (T, action dimensions): int64, or float64 where the action is continuous."""
    rewards: FloatArray
    """Shape (T,)."""
    deviation: float = 0.0
    """Of continuous actions about their mean."""


def play_episode(
    env: gym.Env[Any, Any], task: Task, contract: Contract, quantised: Parameters, rng: np.random.Generator,
    deviation: float = 0.0,
) -> Trajectory:
    """One episode from ``env.reset()`` to its end, each action drawn from the policy."""
    observations, actions, rewards = [], [], []
    floats, _ = env.reset()
    finished = False
    while not finished:
        observation = task.training_view(task.flatten(floats))
        action = draw(contract.output, outputs(quantised, contract, observation), deviation, rng)
        taken = task.actions.real(action) if isinstance(task.actions, BoxActions) else task.actions.decode(action)
        floats, reward, terminated, truncated, _ = env.step(taken)
        finished = terminated or truncated
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
    return Trajectory(np.array(observations), np.array(actions), np.array(rewards), deviation)


def outputs(quantised: Parameters, contract: Contract, observation: NDArray[np.floating[Any]]) -> FloatArray:
    """The network of one observation, shape (features,), in real units; returns shape (outputs,)."""
    values: NDArray[Any] = observation
    for weight, bias, types in zip(quantised.weights, quantised.biases, contract.layers, strict=True):
        values = activate(weight @ values + bias, types.activation)
    return values


def activate(sums: FloatArray, kind: ActivationType) -> FloatArray:
    """An activation in real units: truncated and saturated where it has a type."""
    if kind is None:
        return sums
    if isinstance(kind, Real):
        return _REAL[kind.curve](sums)
    if isinstance(kind, Sign):
        return np.where(sums >= 0, 1.0, -1.0)
    cut = kind.input if isinstance(kind, Table) else kind
    steps = np.clip(np.floor(sums / cut.lsb), cut.minimum, cut.maximum)
    if isinstance(kind, Table):
        steps = np.array(kind.values, dtype=np.float64)[steps.astype(np.int64) - cut.minimum]
    return np.asarray(steps * kind.lsb, dtype=np.float64)


_REAL: dict[str, Callable[[FloatArray], FloatArray]] = {
    "relu": lambda sums: np.maximum(sums, 0.0), "hard-tanh": lambda sums: np.clip(sums, -1.0, 1.0), "tanh": np.tanh,
    "identity": lambda sums: sums,
}
