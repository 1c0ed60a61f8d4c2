"""Games played side by side, cut into rallies: a rally is the stretch of steps up to a reward.

A rally's outcome says little of the rallies before it, so each is an episode of its own to policy gradient: its return
is discounted from its end, and only whole rallies are learnt from. Steps of a rally that is not over wait for the next
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray, IntArray
from hls4rl.task import Task
from hls4rl.train.compiled import compiled
from hls4rl.train.pixels import chances as kept
from hls4rl.train.pixels.arcade import open_arcade
from hls4rl.train.pixels.sparse import Frame, Frames
from hls4rl.train.vpg.advantage import returns_to_go
from hls4rl.train.vpg.kernel import Passes

LARGEST_SEED = 2**31 - 1


class RolloutBatch(NamedTuple):
    """The steps of whole rallies, game after game, and the scores of the games that ended, likewise."""

    frames: Frames
    actions: IntArray
    """Shape (N,)."""
    log_probabilities: FloatArray
    """Shape (N,)."""
    returns: FloatArray
    """Return-to-go within each step's rally; shape (N,)."""
    scores: FloatArray
    """Shape (games that ended,)."""


class _Stretch(NamedTuple):
    """Steps of one game."""

    frames: Frames
    actions: IntArray
    """Shape (N,)."""
    log_probabilities: FloatArray
    """Shape (N,)."""
    rewards: FloatArray
    """Shape (N,)."""
    ends: NDArray[np.bool_]
    """Whether a rally or the game ended with the step; shape (N,)."""

    @classmethod
    def empty(cls) -> _Stretch:
        """No steps."""
        nothing = np.zeros(0)
        return cls(Frames.of([]), nothing.astype(np.int64), nothing, nothing, nothing.astype(np.bool_))

    def and_then(self, other: _Stretch) -> _Stretch:
        """These steps and those."""
        arrays: list[Any] = [np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True)]
        return _Stretch(Frames.join([self.frames, other.frames]), *arrays)

    def part(self, start: int, end: int) -> _Stretch:
        """Some of the steps."""
        arrays: list[Any] = [array[start:end] for array in self[1:]]
        return _Stretch(self.frames.take(np.arange(start, end)), *arrays)


class Games:
    """Copies of a task's environment, the rallies that they are in, and for each game the source of its chances."""

    def __init__(self, task: Task, rngs: Sequence[np.random.Generator]) -> None:
        self._discount, self._rngs, self._arcade = task.training.discount, rngs, open_arcade(task, len(rngs))
        self._frames = Frames.of([self._start(game) for game in range(len(rngs))])
        self._score = np.zeros(len(rngs))
        self._rallies = [_Stretch.empty() for _ in rngs]

    def play(self, steps: int, decide: Callable[[Frames], Passes]) -> RolloutBatch:
        """Play ``steps`` steps of each game, with actions drawn from the policy that ``decide`` answers."""
        chances = np.array([rng.random(steps) for rng in self._rngs]).T
        every, seen = np.arange(len(self._rngs)), []
        actions = np.zeros((steps, len(every)), dtype=np.int64)
        log_probabilities, rewards, overs = np.zeros(actions.shape), np.zeros(actions.shape), actions != 0
        for step in range(steps):
            passes = decide(self._frames)
            actions[step] = draw(passes.policy, chances[step])
            log_probabilities[step] = passes.logarithm[every, actions[step]]
            seen.append(self._frames)
            self._frames, rewards[step], overs[step] = self._arcade.step(actions[step])
            if overs[step].any():
                self._start_again(overs[step])
        scores = self._scores(rewards, overs)
        frames, batches = Frames.join(seen), []
        for game, ended in enumerate(scores):
            own = frames.take(game + len(every) * np.arange(steps))
            ends = (rewards[:, game] != 0) | overs[:, game]
            played = _Stretch(own, actions[:, game], log_probabilities[:, game], rewards[:, game], ends)
            batches.append(self._cut(game, played, ended))
        return together(batches)

    def states(self) -> list[dict[str, NDArray[Any]]]:
        """The whole state of each game between two batches, as arrays by name."""
        return [self._state(game, frame) for game, frame in enumerate(self._frames.split())]

    def restore(self, states: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        """Go back to what :meth:`states` answered."""
        frames = []
        for game, state in enumerate(states):
            self._arcade.restore(game, state["console"])
            self._score[game] = float(state["score"][0])
            seen = Frames(state["places"], state["values"], state["starts"])
            frames.append(seen.take(np.zeros(1, dtype=np.int64)))
            rally, nothing = seen.take(np.arange(1, len(seen.starts) - 1)), np.zeros(len(seen.starts) - 2)
            self._rallies[game] = _Stretch(
                rally, state["actions"], state["log_probabilities"], nothing, nothing.astype(np.bool_)
            )
            kept.restore(self._rngs[game], state["chances"])
        self._frames = Frames.join(frames)

    def _state(self, game: int, frame: Frame) -> dict[str, NDArray[Any]]:
        rally = self._rallies[game]
        frames = Frames.join([Frames.of([frame]), rally.frames])
        return {
            "console": self._arcade.snapshot(game), "score": self._score[game:game + 1].copy(),
            "places": frames.places, "values": frames.values, "starts": frames.starts,
            "actions": rally.actions, "log_probabilities": rally.log_probabilities,
            "chances": kept.kept(self._rngs[game]),
        }

    def _start(self, game: int) -> Frame:
        return self._arcade.start(game, int(self._rngs[game].integers(LARGEST_SEED)))

    def _start_again(self, overs: NDArray[np.bool_]) -> None:
        frames = self._frames.split()
        for game in np.flatnonzero(overs).tolist():
            frames[game] = self._start(game)
        self._frames = Frames.of(frames)

    def _scores(self, rewards: FloatArray, overs: NDArray[np.bool_]) -> list[FloatArray]:
        """Of each game, the scores of those that ended."""
        found = []
        for game, over in enumerate(overs.T):
            parts = [part.sum() for part in np.split(rewards[:, game], np.flatnonzero(over) + 1)]
            parts[0] += self._score[game]
            *ended, self._score[game] = parts
            found.append(np.array(ended))
        return found

    def _cut(self, game: int, steps: _Stretch, scores: FloatArray) -> RolloutBatch:
        """The rallies of one game that are over; the rest waits."""
        steps = self._rallies[game].and_then(steps)
        ends = np.flatnonzero(steps.ends) + 1
        over = int(ends[-1]) if len(ends) else 0
        self._rallies[game] = steps.part(over, len(steps.actions))
        rallies = np.split(steps.rewards[:over], ends[:-1])
        returns = [returns_to_go(rally, self._discount) for rally in rallies]
        whole = steps.part(0, over)
        return RolloutBatch(
            whole.frames, whole.actions, whole.log_probabilities, np.concatenate(returns), scores
        )


def together(batches: Sequence[RolloutBatch]) -> RolloutBatch:
    """One batch of several, in their order."""
    frames, *others = zip(*batches, strict=True)
    return RolloutBatch(Frames.join(frames), *(np.concatenate(arrays) for arrays in others))


@compiled
def draw(policy: FloatArray, chances: FloatArray) -> IntArray:
    """An action from each row of ``policy``, shape (N, actions), by a number from 0 to 1 each."""
    found = np.zeros(len(policy), dtype=np.int64)
    for row in range(len(policy)):
        total = 0.0
        for action in range(policy.shape[1] - 1):
            total += policy[row, action]
            if total <= chances[row]:
                found[row] += 1
    return found
