"""An environment that is as wide as a picture and as quick as a test needs: find where the stripe has moved."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray

FEATURES = 256
STEPS = 12


class Stripes(gym.Env[FloatArray, np.int64]):
    """Noise of -1, 0 and 1, and a stripe of one of 3 places that the action ought to name."""

    observation_space = gym.spaces.Box(-1.0, 1.0, (FEATURES,), np.float64)
    action_space = gym.spaces.Discrete(3)
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 10}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[FloatArray, dict[str, Any]]:
        """Start an episode."""
        super().reset(seed=seed)
        self._left = STEPS
        return self._look(), {}

    def step(self, action: np.int64) -> tuple[FloatArray, float, bool, bool, dict[str, Any]]:
        """One point for the right place."""
        reward = float(action == self._place)
        self._left -= 1
        return self._look(), reward, self._left == 0, False, {}

    def render(self) -> NDArray[np.uint8]:  # type: ignore[override]
        """The pixels in grey."""
        return np.repeat((127 * (self._pixels + 1)).astype(np.uint8).reshape(16, 16, 1), 3, axis=2)

    def _look(self) -> FloatArray:
        self._place = int(self.np_random.integers(3))
        pixels = (self.np_random.random(FEATURES) < 0.05) * self.np_random.choice([-1.0, 1.0], FEATURES)
        pixels[64 * self._place:64 * self._place + 32] = 1.0
        self._pixels = pixels
        return pixels


gym.register("hls4rl-tests/Stripes-v0", Stripes)
