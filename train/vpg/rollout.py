"""Play one episode with the sampled policy on Gymnasium.

A Brevitas forward pass costs a millisecond, so a rollout evaluates the already quantised parameters in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import ActivationType, Contract, FixedPoint, FloatArray, IntArray
from hls4rl.task import Task
from hls4rl.train.parameters import Parameters


@dataclass(frozen=True, eq=False)
class Trajectory:
    """One episode of T steps."""

    observations: FloatArray
    """Shape (T, features), in real units."""
    actions: IntArray
    """Shape (T,)."""
    rewards: FloatArray
    """Shape (T,)."""


def play_episode(
    env: gym.Env[Any, Any], task: Task, contract: Contract, quantised: Parameters, rng: np.random.Generator
) -> Trajectory:
    """One episode from ``env.reset()`` to its end, each action drawn from the softmax of the logits."""
    observations, actions, rewards = [], [], []
    floats, _ = env.reset()
    finished = False
    while not finished:
        observation = task.training_view(floats)
        action = sample(logits(quantised, contract, observation), rng)
        floats, reward, terminated, truncated, _ = env.step(action)
        finished = terminated or truncated
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
    return Trajectory(np.array(observations), np.array(actions, dtype=np.int64), np.array(rewards))


def logits(quantised: Parameters, contract: Contract, observation: NDArray[np.floating[Any]]) -> FloatArray:
    """The network of one observation, shape (features,), in real units; returns shape (actions,)."""
    sums = quantised.hidden_weight @ observation + quantised.hidden_bias
    return quantised.output_weight @ activate(sums, contract.activation) + quantised.output_bias


def activate(sums: FloatArray, kind: ActivationType) -> FloatArray:
    """The hidden layer's activation: ReLU (truncated and saturated where it is fixed-point) or sign."""
    if kind is None:
        return np.maximum(sums, 0.0)
    if isinstance(kind, FixedPoint):
        steps = np.clip(np.floor(sums / kind.lsb), 0, kind.maximum)
        return np.asarray(steps * kind.lsb, dtype=np.float64)
    return np.where(sums >= 0, 1.0, -1.0)


def sample(values: FloatArray, rng: np.random.Generator) -> int:
    """An action drawn from the softmax of the logits ``values``, by inversion of one uniform number."""
    weights = np.exp(values - values.max())
    return int(np.searchsorted(np.cumsum(weights[:-1]), rng.random() * weights.sum(), side="right"))
