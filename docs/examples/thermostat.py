"""A room with a heater, as a Gymnasium environment: the example of docs/tutorial.md."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

WANTED, OUTSIDE = 20.0, 5.0
STEPS = 100


class Thermostat(gym.Env[NDArray[np.float32], int]):
    """Keep a room near 20 °C by switching its heater, which warms up and cools down slowly.

    Observation: degrees above the wanted temperature, and the change since the last step. Actions: 0 off, 1 on.
    Reward: 1 for each step within half a degree.
    """

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)
    action_space = gym.spaces.Discrete(2)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start at a temperature between 17 and 23 °C with a cold heater."""
        super().reset(seed=seed)
        self._room, self._heater, self._step = float(self.np_random.uniform(17, 23)), OUTSIDE, 0
        self._change = 0.0
        return self._observation(), {}

    def step(self, action: int) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """One minute: the heater follows the switch, the room follows the heater and the weather."""
        self._heater += 0.3 * ((60.0 if action else OUTSIDE) - self._heater)
        before = self._room
        self._room += 0.01 * (self._heater - self._room) + 0.007 * (OUTSIDE - self._room)
        self._change = self._room - before
        self._step += 1
        reward = float(abs(self._room - WANTED) < 0.5)
        return self._observation(), reward, False, self._step >= STEPS, {}

    def _observation(self) -> NDArray[np.float32]:
        return np.array([self._room - WANTED, self._change], dtype=np.float32)


gym.register("Thermostat-v0", entry_point="thermostat:Thermostat")
