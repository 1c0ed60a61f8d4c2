"""Games of Pong on compiled consoles, stepped together; what :class:`hls4rl.train.pixels.pong.PongPixels` plays."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.utils import seeding
from numpy.typing import NDArray

from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.train.pixels import chances
from hls4rl.train.pixels.console.library import console_library
from hls4rl.train.pixels.pong import PIXELS, START_FRAMES, Pace
from hls4rl.train.pixels.sparse import Frame, Frames

MOST_SKIP = 8
"""Pictures of a step at most; as ``console.cpp`` has it."""
TURNS = np.array([0, -1, 1], dtype=np.int8)
"""How an action turns the paddle."""


class PongArcade:
    """See :class:`hls4rl.train.pixels.arcade.Arcade`."""

    def __init__(self, count: int, **options: Any) -> None:
        """Make ``count`` consoles; ``options`` are those of :class:`hls4rl.train.pixels.pong.PongPixels`."""
        self._library, self._pace = console_library(), Pace(**options)
        if self._pace.most > MOST_SKIP:
            raise ProjectError(f"a frameskip of {self._pace.most}; the compiled console plays {MOST_SKIP} at most")
        self._consoles = np.zeros((count, self._library.console_bytes()), dtype=np.uint8)
        self._kept = int(self._library.console_state_bytes())
        self._places = np.array([console.ctypes.data for console in self._consoles], dtype=np.uint64)
        self._turns, self._pictures = np.zeros((count, MOST_SKIP), dtype=np.int8), np.zeros(count, dtype=np.int64)
        self._seen = np.zeros(count * PIXELS, dtype=np.int16), np.zeros(count * PIXELS, dtype=np.int8)
        self._starts, self._rewards = np.zeros(count + 1, dtype=np.int64), np.zeros(count)
        self._over = np.zeros(count, dtype=np.int8)
        arrays = self._places, self._turns, self._pictures, *self._seen, self._starts, self._rewards, self._over
        self._addresses = [array.ctypes.data for array in arrays]
        self._rngs = [np.random.default_rng(0) for _ in range(count)]
        self._last = np.zeros(count, dtype=np.int8)

    def start(self, game: int, seed: int, start_frames: int | None = None) -> Frame:
        """Begin a game anew, with up to 30 pictures without an action; what is seen first is no difference at all."""
        rng = self._rngs[game] = seeding.np_random(seed)[0]
        drawn = int(rng.integers(START_FRAMES + 1))
        self._library.console_start(int(self._places[game]), drawn if start_frames is None else start_frames)
        self._last[game] = 0
        return Frame(np.zeros(0, dtype=np.int16), np.zeros(0, dtype=np.int8))

    def step(self, actions: IntArray) -> tuple[Frames, FloatArray, NDArray[np.bool_]]:
        """One action in each game; answers differences of the field, rewards, and which games are over."""
        turns = TURNS[actions]
        if self._pace.is_steady:
            self._turns[:], self._pictures[:] = turns[:, None], self._pace.most
        else:
            self._draw(turns)
        consoles, *others = self._addresses
        self._library.console_step(consoles, len(actions), *others)
        self._refuse()
        end = int(self._starts[-1])
        frames = Frames(self._seen[0][:end].copy(), self._seen[1][:end].copy(), self._starts.copy())
        return frames, self._rewards.copy(), self._over != 0

    @property
    def consoles(self) -> list[int]:
        """Addresses of the consoles, for ``console.cpp``'s functions."""
        return [int(place) for place in self._places]

    def snapshot(self, game: int) -> NDArray[np.uint8]:
        """The state of one game, shape (bytes,)."""
        console = self._consoles[game, :self._kept]
        return np.concatenate([self._last[game:game + 1].view(np.uint8), chances.kept(self._rngs[game]), console])

    def restore(self, game: int, state: NDArray[np.uint8]) -> None:
        """Go back to what :meth:`snapshot` answered."""
        self._last[game] = state[:1].view(np.int8)[0]
        chances.restore(self._rngs[game], state[1:1 + chances.BYTES])
        self._consoles[game, :self._kept] = state[1 + chances.BYTES:]

    def _draw(self, turns: NDArray[np.int8]) -> None:
        """How often each game's action is repeated, and which pictures keep the one before."""
        for game, turn in enumerate(turns):
            repeats = self._pace.draw(self._rngs[game])
            self._pictures[game] = len(repeats)
            for picture, repeated in enumerate(repeats):
                self._last[game] = self._last[game] if repeated else turn
                self._turns[game, picture] = self._last[game]

    def _refuse(self) -> None:
        if self._consoles[:, 0].any():  # a console's first bytes are why it cannot go on
            (games,) = np.nonzero(self._consoles[:, 0])
            why = self._library.console_refusal(int(self._places[games[0]])).decode()
            raise ProjectError(f"Pong's compiled console {why}; this is a bug, please report it")
