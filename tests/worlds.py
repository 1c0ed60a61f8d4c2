"""Environments of our own with observations and actions of every kind, as a user's module would have them."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

ACTIONS: dict[str, gym.Space[Any]] = {
    "discrete": gym.spaces.Discrete(3, start=-1),
    "multidiscrete": gym.spaces.MultiDiscrete([3, 1, 4]),
    "multibinary": gym.spaces.MultiBinary(3),
    "box": gym.spaces.Box(np.array([-1.0, 0.0]), np.array([3.0, 10.0]), dtype=np.float64),
    "unbounded": gym.spaces.Box(-np.inf, np.inf, (2, 2), np.float32),
}


class World(gym.Env[Any, Any]):
    """A drifting point whose observation is a Dict; the reward weighs the action, so that each bit of it shows."""

    def __init__(self, actions: str = "box") -> None:
        self.action_space = ACTIONS[actions]
        self.observation_space = gym.spaces.Dict({
            "place": gym.spaces.Box(-np.inf, np.inf, (2, 2), np.float64),
            "mode": gym.spaces.Discrete(3),
            "flags": gym.spaces.MultiBinary(2),
            "pair": gym.spaces.Tuple([gym.spaces.Box(10.0, 12.0, (1,), np.float32), gym.spaces.Discrete(2)]),
        })

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self._place, self._steps = self.np_random.normal(size=(2, 2)), 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action), action
        push = np.resize(np.asarray(action, dtype=np.float64), (2, 2))
        self._place = 0.9 * self._place + 0.05 * push + self.np_random.normal(scale=0.3, size=(2, 2))
        self._steps += 1
        return self._seen(), float((push * [[1.0, 0.5], [0.25, 0.125]]).sum()), False, self._steps >= 40, {}

    def _seen(self) -> dict[str, Any]:
        total = float(self._place.sum())
        return {
            "place": self._place, "mode": int(abs(total)) % 3,
            "flags": (self._place[0] > 0).astype(np.int8),
            "pair": (np.array([11.0 + np.tanh(total)], dtype=np.float32), int(total > 0)),
        }


for name in ACTIONS:
    gym.register(id=f"Worlds/{name}-v0", entry_point=World, max_episode_steps=40, kwargs={"actions": name})
