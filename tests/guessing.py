"""The smallest environment there is: say whether a number is above zero. For tests of a user's own module."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray


class Guessing(gym.Env[NDArray[np.float32], np.int64]):
    """Ten numbers an episode, a point for each right answer."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._left = 10
        return self._draw(), {}

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Answer."""
        right = float(int(action) == int(self._number > 0))
        self._left -= 1
        return self._draw(), right, self._left == 0, False, {}

    def _draw(self) -> NDArray[np.float32]:
        self._number = np.float32(self.np_random.uniform(-1.0, 1.0))
        return np.array([self._number], dtype=np.float32)


gym.register("Mine-v0", "mine:Guessing")
