"""Pong seen as the paper sees it: 80×80 difference frames of Atari's screen, three actions.

The preprocessing is the usual one for policy gradients on Pong (A. Karpathy, "Deep Reinforcement Learning: Pong from
Pixels", 2016): the 160 rows of the playing field, every second pixel of both axes, background erased and everything
else 1, and of that the difference to the frame before, which is all zero at the start of a game. Its pixels are -1, 0
or +1, so that two bits hold them. The environment below is the only place where it is done: training, evaluation and
hardware in the loop all see what it gives.

A game differs from another by up to 30 frames without an action at its start (Mnih et al., "Human-level control through
deep reinforcement learning", 2015): the emulator is deterministic otherwise, and a greedy policy would always play the
same game.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

ROWS = slice(34 + 1, 34 + 1 + 160, 2)
"""Every second one of the screen's rows between the walls' inner edges."""
COLUMNS = slice(0, 160, 2)
PIXELS = 80 * 80
BACKGROUND = (34, 228)
"""Colours of the playing field, as ALE numbers them: while playing, and before the first frame of a game."""
ACTIONS = (0, 2, 3)
"""Numbers of ALE's actions that are the policy's: stay (NOOP), up (RIGHT), down (LEFT)."""
START_FRAMES = 30
"""Frames without an action at the start of a game, at most."""
FRAME_SKIP = 4
"""Frames that an action lasts."""

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # no banner for each console
gym.register_envs(ale_py)
gym.register("hls4rl/PongPixels-v0", entry_point="hls4rl.train.pixels.pong:PongPixels")


def lit(screen: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels of the reduced playing field are paddle or ball.

    Args:
        screen: colours as ALE numbers them, shape (210, 160).

    Returns:
        Shape (6400,), row by row.
    """
    field = np.ascontiguousarray(screen[ROWS, COLUMNS])
    objects: NDArray[np.bool_] = (field != BACKGROUND[0]) & (field != BACKGROUND[1])
    return objects.reshape(PIXELS)


class PongPixels(gym.Env[NDArray[np.float32], np.int64]):
    """Gymnasium's ALE/Pong-v5 with fixed options, its observation the flat difference frame, shape (6400,).

    No action is ever repeated by chance; each lasts four frames.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        # The console's memory is the cheapest observation; the screen is looked at where it lies.
        self.game: gym.Env[NDArray[np.uint8], np.int64] = gym.make(
            "ALE/Pong-v5", obs_type="ram", frameskip=FRAME_SKIP, repeat_action_probability=0.0,
            full_action_space=False, render_mode=render_mode,
        )
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (PIXELS,), np.float32)
        self.action_space = gym.spaces.Discrete(len(ACTIONS))
        self._before = np.zeros(PIXELS, dtype=np.bool_)

    @property
    def emulator(self) -> ale_py.ALEInterface:
        """The Atari console behind the game."""
        console: ale_py.ALEInterface = self.game.unwrapped.ale  # type: ignore[attr-defined]
        return console

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start a game; ``options={"start_frames": n}`` sets the frames without an action."""
        super().reset(seed=seed)
        _, info = self.game.reset()  # without a seed, which would load the game anew, to no effect: nothing is random
        drawn = int(self.np_random.integers(START_FRAMES + 1))
        for _ in range((options or {}).get("start_frames", drawn)):
            self.emulator.act(ale_py.Action.NOOP)
        self._before = lit(self.emulator.getScreen())
        return np.zeros(PIXELS, dtype=np.float32), info

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Hold ``action`` for four frames; the reward is +1 or -1 where a point ends, else 0."""
        _, reward, terminated, truncated, info = self.game.step(np.int64(ACTIONS[action]))
        return self._difference(), float(reward), terminated, truncated, info

    def snapshot(self) -> NDArray[np.uint8]:
        """The state of console and converter, shape (bytes,)."""
        console = np.frombuffer(self.emulator.cloneState().serialize(), dtype=np.uint8)
        return np.concatenate([np.packbits(self._before), console])

    def restore(self, state: NDArray[np.uint8]) -> None:
        """Go back to what :meth:`snapshot` answered; the game must have been reset once."""
        self._before = np.unpackbits(state[:PIXELS // 8]).astype(np.bool_)
        self.emulator.restoreState(ale_py.ALEState(state[PIXELS // 8:].tobytes()))

    def render(self) -> Any:
        """The screen in colours, shape (210, 160, 3)."""
        return self.game.render()

    def close(self) -> None:
        """Let go of the emulator."""
        self.game.close()

    def _difference(self) -> NDArray[np.float32]:
        now = lit(self.emulator.getScreen())
        frame = now.astype(np.float32) - self._before
        self._before = now
        return frame
