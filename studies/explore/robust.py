"""Whether a policy can do more than its task asks: longer episodes where the environment has them, else noisy sensors.

CartPole-v0 ends after 200 steps, before a cart that drifts has reached the end of its track; CartPole-v1 shows it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from hls4rl.backend import Backend
from hls4rl.gym_loop import play
from hls4rl.task import Task

LONGER = {"CartPole-v0": "CartPole-v1"}
"""Environments with a longer version of themselves."""
NOISE = 0.02
"""Deviation of the sensors' noise elsewhere, as a share of the largest value that the converter takes."""


class NoisySensors(gym.Wrapper[Any, Any, Any, Any]):
    """Gaussian noise on each feature, the same after each ``reset`` with the same seed."""

    def __init__(self, env: gym.Env[Any, Any], deviation: np.ndarray[Any, np.dtype[np.float64]]) -> None:
        super().__init__(env)
        self._deviation, self._rng = deviation, np.random.default_rng(0)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See Gymnasium."""
        if seed is not None:
            self._rng = np.random.default_rng((seed, 1))
        observation, info = self.env.reset(seed=seed, options=options)
        return self._noisy(observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """See Gymnasium."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._noisy(observation), reward, terminated, truncated, info

    def _noisy(self, observation: Any) -> Any:
        return observation + self._deviation * self._rng.standard_normal(len(observation))


class _NoisyTask(Task):
    def make(self) -> gym.Env[Any, Any]:
        kind = self.observation
        reach = 2.0 ** (kind.integer_bits - 1) / np.array(kind.scale, dtype=np.float64)
        return NoisySensors(super().make(), NOISE * reach)


class Robustness(NamedTuple):
    """The check of a task: what is played, and the mean return that passes."""

    task: Task
    bar: float | None
    """None where the task names none."""
    words: str

    def mean(self, backend: Backend, episodes: int, first_seed: int) -> float:
        """Mean return of ``backend``."""
        return play(self.task, backend, episodes, first_seed).mean_return

    def passes(self, mean: float) -> bool | None:
        """Whether a mean return is enough."""
        return None if self.bar is None else mean >= self.bar


def robustness(task: Task) -> Robustness:
    """The check that ``task`` gets."""
    if task.environment in LONGER and not task.environment_options:
        longer = LONGER[task.environment]
        return Robustness(
            dataclasses.replace(task, environment=longer), gym.spec(longer).reward_threshold, f"on {longer}"
        )
    fields = {item.name: getattr(task, item.name) for item in dataclasses.fields(Task)}
    return Robustness(_NoisyTask(**fields), task.solved, f"with noise of {NOISE:.0%} on each feature")
