"""A greenhouse, as a Gymnasium environment with observations in a dictionary and actions with ranges of their own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

WARM, MOIST = 22.0, 60.0
STEPS = 96


class Greenhouse(gym.Env[dict[str, Any], NDArray[Any]]):
    """Keep a greenhouse near 22 °C and its soil near 60 % moist, a quarter of an hour a step, for a day.

    Observation: ``air`` (°C inside and outside), ``moisture`` (%), ``rain`` (does it?) and ``quarter`` of the day.
    Actions: heating of -1 (a fan that cools) … 3 kW and watering of 0 … 10 litres; with ``switches`` five steps of
    the one and three of the other. Reward: 1 a step, less what temperature and moisture are off.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own way)

    def __init__(self, switches: bool = False, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self._switches = switches
        self.action_space = gym.spaces.MultiDiscrete([5, 3]) if switches else gym.spaces.Box(
            np.array([-1.0, 0.0]), np.array([3.0, 10.0]), dtype=np.float64
        )
        self.observation_space = gym.spaces.Dict({
            "air": gym.spaces.Box(-40.0, 80.0, (2,), np.float64),
            "moisture": gym.spaces.Box(0.0, 100.0, (1,), np.float64),
            "quarter": gym.spaces.Discrete(4),
            "rain": gym.spaces.MultiBinary(1),
        })

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Midnight, somewhere between too cold and too warm, too dry and too wet."""
        super().reset(seed=seed)
        self._inside, self._moisture = self.np_random.uniform(10, 30), self.np_random.uniform(40, 80)
        self._mean, self._rain, self._step = self.np_random.uniform(5, 15), False, 0
        return self._seen(), {}

    def step(self, action: NDArray[Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """A quarter of an hour."""
        heat, water = action * [1.0, 5.0] - [1.0, 0.0] if self._switches else action
        self._step += 1
        self._rain = bool(self.np_random.random() < (0.9 if self._rain else 0.05))
        self._inside += 0.15 * (self._outside - self._inside) + 1.2 * heat + self.np_random.normal(scale=0.2)
        self._moisture += 0.6 * water - 0.01 * self._moisture - 0.05 * max(0.0, self._inside) + 0.5 * self._rain
        self._moisture = float(np.clip(self._moisture, 0.0, 100.0))
        reward = 1.0 - abs(self._inside - WARM) / 10 - abs(self._moisture - MOIST) / 50
        return self._seen(), reward, False, self._step >= STEPS, {}

    def render(self) -> NDArray[np.uint8]:
        """A bar each for the temperatures inside and outside and for the moisture, white lines where they should be."""
        picture = np.full((120, 180, 3), 40, dtype=np.uint8)
        bars = ((self._inside / 40, (220, 80, 60)), (self._outside / 40, (90, 130, 200)),
                (self._moisture / 100, (70, 170, 90)))
        for place, (share, colour) in enumerate(bars):
            picture[120 - int(120 * np.clip(share, 0, 1)):, 60 * place + 10:60 * place + 50] = colour
        picture[120 - int(120 * WARM / 40), :110] = picture[120 - int(120 * MOIST / 100), 130:170] = 255
        return picture

    @property
    def _outside(self) -> float:
        return float(self._mean - 6 * np.cos(2 * np.pi * self._step / STEPS) - 2 * self._rain)

    def _seen(self) -> dict[str, Any]:
        return {
            "air": np.array([self._inside, self._outside]), "moisture": np.array([self._moisture]),
            "quarter": min(3, 4 * self._step // STEPS), "rain": np.array([self._rain], dtype=np.int8),
        }


gym.register("Greenhouse-v0", entry_point="greenhouse:Greenhouse")
