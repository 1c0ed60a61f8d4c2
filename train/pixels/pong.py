"""Pong seen as the paper sees it: 80×80 difference frames of Atari's screen, three actions.

The preprocessing is the usual one for policy gradients on Pong (A. Karpathy, "Deep Reinforcement Learning: Pong from
Pixels", 2016): the 160 rows of the playing field, every second pixel of both axes, background erased and everything
else 1, and of that the difference to the frame before, which is all zero at the start of a game. Its pixels are -1, 0
or +1, so that two bits hold them. The environment below is the only place where it is done: training, evaluation and
hardware in the loop all see what it gives.

A game differs from another by up to 30 frames without an action at its start (Mnih et al., "Human-level control through
deep reinforcement learning", 2015): the emulator is deterministic otherwise, and a greedy policy would always play the
same game. Gym's Pong-v0, the paper's, drew more: an action lasted 2 to 4 pictures, and in each the one before it went
on with a probability of 0.25 (Machado et al., "Revisiting the Arcade Learning Environment", 2018); that is
``environment_options = { frameskip = [2, 5], repeat_action_probability = 0.25 }``.

Training plays the same games on compiled consoles (:mod:`hls4rl.train.pixels.console`); evaluation plays these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.errors import ProjectError
from hls4rl.train.pixels import chances

ROWS = slice(34 + 1, 34 + 1 + 160, 2)
"""Every second one of the screen's rows between the walls' inner edges."""
COLUMNS = slice(0, 160, 2)
PIXELS = 80 * 80
BACKGROUND = (34, 228)
"""Colours of the playing field, as ALE numbers them: while playing, and before the first frame of a game."""
ACTIONS = (0, 2, 3)
"""Numbers of ALE's actions that are the policy's, among those that mean something: stay, up (RIGHT), down (LEFT)."""
_MOVES = (ale_py.Action.NOOP, ale_py.Action.RIGHT, ale_py.Action.LEFT)
START_FRAMES = 30
"""Frames without an action at the start of a game, at most."""
FRAME_SKIP = 4
"""Pictures that an action lasts."""

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


class Pace:
    """How many pictures an action lasts, and whether each of them still has the action before."""

    def __init__(self, frameskip: int | Sequence[int] = FRAME_SKIP, repeat_action_probability: float = 0.0) -> None:
        """Take Gymnasium's own words: ``frameskip`` is a number, or the first one and the one after the last."""
        self._least, end = (frameskip, frameskip + 1) if isinstance(frameskip, int) else tuple(frameskip)
        self.most, self._repeat = end - 1, repeat_action_probability
        if not (1 <= self._least <= self.most and 0 <= self._repeat < 1):
            raise ProjectError(
                f"Pong: a frameskip of {frameskip} with repeat_action_probability = {repeat_action_probability}; give "
                "a frameskip from 1, or [first, last + 1], and a probability below 1"
            )

    @property
    def is_steady(self) -> bool:
        """Whether nothing is left to chance."""
        return self._least == self.most and not self._repeat

    def draw(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """For each picture of one step, whether the action before goes on."""
        pictures = self.most if self._least == self.most else int(rng.integers(self._least, self.most + 1))
        return rng.random(pictures) < self._repeat if self._repeat else np.zeros(pictures, dtype=np.bool_)


class PongPixels(gym.Env[NDArray[np.float32], np.int64]):
    """Gymnasium's ALE/Pong-v5 with fixed options, its observation the flat difference frame, shape (6400,)."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, render_mode: str | None = None, **pace: Any) -> None:
        """Make the game; ``pace``: see :class:`Pace`."""
        self.render_mode, self._pace, self._last = render_mode, Pace(**pace), ale_py.Action.NOOP
        # The console's memory is the cheapest observation; the screen is looked at where it lies.
        self.game: gym.Env[NDArray[np.uint8], np.int64] = gym.make(
            "ALE/Pong-v5", obs_type="ram", frameskip=1, repeat_action_probability=0.0,
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
        self._before, self._last = lit(self.emulator.getScreen()), ale_py.Action.NOOP
        return np.zeros(PIXELS, dtype=np.float32), info

    def step(self, action: np.int64) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Take ``action`` for some pictures; the reward is +1 or -1 where a point ends, else 0."""
        reward, console = 0.0, self.emulator
        for repeated in self._pace.draw(self.np_random):
            self._last = self._last if repeated else _MOVES[action]
            reward += float(console.act(self._last))
        return self._difference(), reward, console.game_over(with_truncation=False), console.game_truncated(), {}

    def snapshot(self) -> NDArray[np.uint8]:
        """The state of console and converter, shape (bytes,)."""
        console = np.frombuffer(self.emulator.cloneState().serialize(), dtype=np.uint8)
        last = np.array([self._last.value], dtype=np.uint8)
        return np.concatenate([np.packbits(self._before), last, chances.kept(self.np_random), console])

    def restore(self, state: NDArray[np.uint8]) -> None:
        """Go back to what :meth:`snapshot` answered; the game must have been reset once."""
        before, last, drawn, console = np.split(state, np.cumsum([PIXELS // 8, 1, chances.BYTES]))
        self._before, self._last = np.unpackbits(before).astype(np.bool_), ale_py.Action(int(last[0]))
        chances.restore(self.np_random, drawn)
        self.emulator.restoreState(ale_py.ALEState(console.tobytes()))

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
