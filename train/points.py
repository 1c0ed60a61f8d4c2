"""Games played side by side, cut into points: a point is the stretch of steps up to a reward.

A point's outcome says little of the points before it, so each is an episode of its own to policy gradient: its return
is discounted from its end, and only whole points are learnt from. Steps of a point that is not over wait for the next
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from train.advantage import SMALLEST_VARIANCE, returns_to_go
from train.contract import FloatArray, IntArray
from train.errors import ProjectError
from train.kernel import Passes
from train.sparse import Frame, Frames
from train.task import Task

LARGEST_SEED = 2**31 - 1


class Step(NamedTuple):
    """One step of a game."""

    frame: Frame
    action: int
    log_probability: float
    """Of the action, when it was drawn."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The steps of whole points."""

    frames: list[Frame]
    actions: IntArray
    """Shape (N,)."""
    log_probabilities: FloatArray
    """Shape (N,)."""
    advantages: FloatArray
    """Return-to-go within each step's point, standardised over the batch; shape (N,)."""


class Resumable(Protocol):
    """An environment whose state can be kept."""

    def snapshot(self) -> NDArray[np.uint8]:
        """The whole state, shape (bytes,)."""
        ...

    def restore(self, state: NDArray[np.uint8]) -> None:
        """Go back to what :meth:`snapshot` answered."""
        ...


class Games:
    """Copies of a task's environment that are played side by side, each with the point it is in."""

    def __init__(self, task: Task, count: int, rng: np.random.Generator) -> None:
        self._task, self._rng = task, rng
        self._envs = [task.make() for _ in range(count)]
        self._frames = [self._start(env) for env in self._envs]
        self._points: list[list[Step]] = [[] for _ in range(count)]
        self._scores = np.zeros(count)
        self._over: list[tuple[list[Step], FloatArray]] = []

    def play(self, steps: int, decide: Callable[[Frames], Passes]) -> list[float]:
        """Play ``steps`` steps of each game with actions drawn from the policy that ``decide`` answers.

        Returns:
            The scores of the games that ended, in that order.
        """
        scores: list[float] = []
        for _ in range(steps):
            passes = decide(Frames.of(self._frames))
            levels = np.cumsum(passes.policy[:, :-1], axis=1)
            actions = (levels <= self._rng.random((len(levels), 1))).sum(axis=1)
            for game, action in enumerate(actions.tolist()):
                step = Step(self._frames[game], action, float(passes.logarithm[game, action]))
                scores += self._step(game, step)
        return scores

    def batch(self) -> Batch | None:
        """The points that ended since the last call; None if there are none."""
        if not self._over:
            return None
        steps = [step for point, _ in self._over for step in point]
        returns = np.concatenate([returns for _, returns in self._over])
        self._over = []
        return Batch(
            [step.frame for step in steps],
            np.array([step.action for step in steps], dtype=np.int64),
            np.array([step.log_probability for step in steps]),
            (returns - returns.mean()) / np.sqrt(returns.var() + SMALLEST_VARIANCE),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state between two batches, as arrays by name."""
        steps = [step for point in self._points for step in point]
        frames = Frames.of([*self._frames, *(step.frame for step in steps)])
        return {
            "games": np.stack([_resumable(env).snapshot() for env in self._envs]),
            "scores": self._scores, "places": frames.places, "values": frames.values, "starts": frames.starts,
            "lengths": np.array([len(point) for point in self._points]),
            "actions": np.array([step.action for step in steps], dtype=np.int64),
            "log_probabilities": np.array([step.log_probability for step in steps]),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`arrays` answered."""
        for env, state in zip(self._envs, arrays["games"], strict=True):
            _resumable(env).restore(state)
        frames = Frames(arrays["places"], arrays["values"], arrays["starts"]).split()
        self._frames, waiting = frames[:len(self._envs)], frames[len(self._envs):]
        steps = map(Step, waiting, arrays["actions"].tolist(), arrays["log_probabilities"].tolist())
        self._points = [[next(steps) for _ in range(length)] for length in arrays["lengths"]]
        self._scores, self._over = arrays["scores"].copy(), []

    def close(self) -> None:
        """Let go of the environments."""
        for env in self._envs:
            env.close()

    def _start(self, env: gym.Env[Any, Any]) -> Frame:
        observation, _ = env.reset(seed=int(self._rng.integers(LARGEST_SEED)))
        return Frame.of(self._task.integers(observation))

    def _step(self, game: int, step: Step) -> list[float]:
        env = self._envs[game]
        observation, reward, terminated, truncated, _ = env.step(step.action)
        self._points[game].append(step)
        self._scores[game] += float(reward)
        if reward != 0 or terminated or truncated:
            rewards = np.zeros(len(self._points[game]))
            rewards[-1] = float(reward)
            self._over.append((self._points[game], returns_to_go(rewards, self._task.training.discount)))
            self._points[game] = []
        if not (terminated or truncated):
            self._frames[game] = Frame.of(self._task.integers(observation))
            return []
        score, self._scores[game] = float(self._scores[game]), 0.0
        self._frames[game] = self._start(env)
        return [score]


def _resumable(env: gym.Env[Any, Any]) -> Resumable:
    game: Any = env.unwrapped
    if not hasattr(game, "snapshot"):
        raise ProjectError(
            f"{game}: its state cannot be kept, so that training could not go on after an interruption; give the "
            "environment snapshot() and restore() as train/pixels.py has them, or leave [pixels] out of the task's file"
        )
    resumable: Resumable = game
    return resumable
