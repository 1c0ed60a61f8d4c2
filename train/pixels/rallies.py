"""Games played side by side, cut into rallies: a rally is the stretch of steps up to a reward.

A rally's outcome says little of the rallies before it, so each is an episode of its own to policy gradient: its return
is discounted from its end, and only whole rallies are learnt from. Steps of a rally that is not over wait for the next
batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.actions import DiscreteActions
from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.task import Task
from hls4rl.train.pixels.sparse import Frame, Frames
from hls4rl.train.vpg.advantage import returns_to_go
from hls4rl.train.vpg.kernel import Passes

LARGEST_SEED = 2**31 - 1
MOST_FEATURES, MOST_BITS = 1 << 15, 8
"""What a :class:`hls4rl.train.pixels.sparse.Frame` can hold."""


class Step(NamedTuple):
    """One step of a game."""

    frame: Frame
    action: int
    log_probability: float
    """Of the action, when it was drawn."""


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


class Resumable(Protocol):
    """An environment whose state can be kept."""

    def snapshot(self) -> NDArray[np.uint8]:
        """The whole state, shape (bytes,)."""
        ...

    def restore(self, state: NDArray[np.uint8]) -> None:
        """Go back to what :meth:`snapshot` answered."""
        ...


class Game:
    """One copy of a task's environment, the rally that it is in, and the source of its chances."""

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        self._task, self._rng = task, rng
        self._env = task.make()
        self.frame, self._score = self._start(), 0.0
        self._rally: list[Step] = []
        self._over: list[Step] = []
        self._returns: list[FloatArray] = []
        self._scores: list[float] = []

    def draw(self, policy: FloatArray) -> int:
        """An action from ``policy``, shape (actions,)."""
        return int((np.cumsum(policy[:-1]) <= self._rng.random()).sum())

    def step(self, action: int, log_probability: float) -> None:
        """Take ``action``, which had that probability; a game that is over starts again."""
        self._rally.append(Step(self.frame, action, log_probability))
        observation, reward, terminated, truncated, _ = self._env.step(action)
        self._score += float(reward)
        if reward != 0 or terminated or truncated:
            rewards = np.zeros(len(self._rally))
            rewards[-1] = float(reward)
            self._over += self._rally
            self._returns.append(returns_to_go(rewards, self._task.training.discount))
            self._rally = []
        self.frame = self._seen(observation)
        if terminated or truncated:
            self._scores.append(self._score)
            self.frame, self._score = self._start(), 0.0

    def batch(self) -> RolloutBatch:
        """What has ended since the last call."""
        actions, log_probabilities = _drawn(self._over)
        found = RolloutBatch(
            Frames.of([step.frame for step in self._over]), actions, log_probabilities,
            np.concatenate([np.zeros(0), *self._returns]), np.array(self._scores, dtype=np.float64),
        )
        self._over, self._returns, self._scores = [], [], []
        return found

    def state(self) -> dict[str, NDArray[Any]]:
        """The whole state between two batches, as arrays by name."""
        frames = Frames.of([self.frame, *(step.frame for step in self._rally)])
        actions, log_probabilities = _drawn(self._rally)
        chances = self._rng.bit_generator.state
        words = [chances["state"]["state"], chances["state"]["inc"], chances["has_uint32"], chances["uinteger"]]
        return {
            "console": _resumable(self._env).snapshot(), "score": np.array([self._score]),
            "places": frames.places, "values": frames.values, "starts": frames.starts,
            "actions": actions, "log_probabilities": log_probabilities,
            "chances": np.frombuffer(b"".join(word.to_bytes(16, "little") for word in words), dtype=np.uint8),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`state` answered."""
        _resumable(self._env).restore(state["console"])
        self._score = float(state["score"][0])
        self.frame, *waiting = Frames(state["places"], state["values"], state["starts"]).split()
        drawn = zip(waiting, state["actions"].tolist(), state["log_probabilities"].tolist(), strict=True)
        self._rally = [Step(*step) for step in drawn]
        words = state["chances"].tobytes()
        number, step, has_half, half = (int.from_bytes(words[i:i + 16], "little") for i in range(0, len(words), 16))
        self._rng.bit_generator.state = {
            "bit_generator": "PCG64", "state": {"state": number, "inc": step}, "has_uint32": has_half, "uinteger": half,
        }

    def _start(self) -> Frame:
        observation, _ = self._env.reset(seed=int(self._rng.integers(LARGEST_SEED)))
        return self._seen(observation)

    def _seen(self, observation: FloatArray) -> Frame:
        places = np.flatnonzero(observation)  # the converter makes a 0 of a 0, and is asked for the rest alone
        return Frame.of(self._task.integers(observation[places], places), places)


def require_fit(task: Task) -> None:
    """Insist that games of ``task`` can be played here.

    Raises:
        ProjectError: what it shows does not fit into a frame, its actions are not one choice, or its state cannot be
            kept.
    """
    actions, bits, where = task.actions, task.observation.bits, f"task '{task.name}'"
    remedy = "show fewer or narrower ones, as train/pixels/pong.py does, or leave [pixels] out of the file"
    if task.features > MOST_FEATURES or bits > MOST_BITS:
        raise ProjectError(
            f"{where}: [pixels] is for {MOST_FEATURES:,} features of {MOST_BITS} bits at most, but {task.environment} "
            f"has {task.features:,}, of {bits} bits; {remedy}"
        )
    if task.converter.offset.any():
        raise ProjectError(f"{where}: [pixels] is for pixels that are mostly 0; leave out observation.offset")
    if not isinstance(actions, DiscreteActions) or actions.start:
        raise ProjectError(
            f"{where}: [pixels] is for actions that are one choice from 0 on; leave [pixels] out of the file"
        )
    with contextlib.closing(task.make()) as env:
        _resumable(env)


def play(games: Sequence[Game], steps: int, decide: Callable[[Frames], Passes]) -> RolloutBatch:
    """Play ``steps`` steps of each game, with actions drawn from the policy that ``decide`` answers."""
    for _ in range(steps):
        passes = decide(Frames.of([game.frame for game in games]))
        for game, policy, logarithm in zip(games, passes.policy, passes.logarithm, strict=True):
            action = game.draw(policy)
            game.step(action, float(logarithm[action]))
    return together([game.batch() for game in games])


def together(batches: Sequence[RolloutBatch]) -> RolloutBatch:
    """One batch of several, in their order."""
    frames, *others = zip(*batches, strict=True)
    lengths = [np.diff(item.starts) for item in frames]
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths), dtype=np.int64)])
    places, values = (np.concatenate([getattr(item, name) for item in frames]) for name in ("places", "values"))
    return RolloutBatch(Frames(places, values, starts), *(np.concatenate(arrays) for arrays in others))


def _drawn(steps: Sequence[Step]) -> tuple[IntArray, FloatArray]:
    """Actions and their log-probabilities."""
    return np.array([step.action for step in steps], dtype=np.int64), np.array(
        [step.log_probability for step in steps], dtype=np.float64
    )


def _resumable(env: gym.Env[Any, Any]) -> Resumable:
    game: Any = env.unwrapped
    if not hasattr(game, "snapshot"):
        raise ProjectError(
            f"{game}: its state cannot be kept, so that training could not go on after an interruption; give the "
            "environment snapshot() and restore() as train/pixels/pong.py has them, or leave [pixels] out of the file"
        )
    resumable: Resumable = game
    return resumable
