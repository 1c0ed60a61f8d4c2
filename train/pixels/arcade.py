"""Copies of a task's environment that step together: any of Gymnasium's, or Pong's compiled consoles."""

from __future__ import annotations

from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.task import Task
from hls4rl.train.pixels.sparse import Frame, Frames

PONG = "hls4rl.train.pixels.pong:hls4rl/PongPixels-v0"


class Arcade(Protocol):
    """Games by number; a frame's values are in units of the observation type."""

    def start(self, game: int, seed: int) -> Frame:
        """Begin a game anew; answers what is seen."""
        ...

    def step(self, actions: IntArray) -> tuple[Frames, FloatArray, NDArray[np.bool_]]:
        """One action in each game; answers what is seen, rewards, and which games are over."""
        ...

    def snapshot(self, game: int) -> NDArray[np.uint8]:
        """The whole state of a game, shape (bytes,)."""
        ...

    def restore(self, game: int, state: NDArray[np.uint8]) -> None:
        """Go back to what :meth:`snapshot` answered."""
        ...


class GymArcade:
    """Copies of the environment, one after the other; its state must be one that can be kept."""

    def __init__(self, task: Task, count: int) -> None:
        self._task, self._envs = task, [task.make() for _ in range(count)]

    def start(self, game: int, seed: int) -> Frame:
        """See :class:`Arcade`."""
        return self._seen(self._envs[game].reset(seed=seed)[0])

    def step(self, actions: IntArray) -> tuple[Frames, FloatArray, NDArray[np.bool_]]:
        """See :class:`Arcade`."""
        answers = [env.step(action) for env, action in zip(self._envs, actions, strict=True)]
        frames = Frames.of([self._seen(observation) for observation, *_ in answers])
        rewards = np.array([float(reward) for _, reward, *_ in answers])
        return frames, rewards, np.array([terminated or truncated for _, _, terminated, truncated, _ in answers])

    def snapshot(self, game: int) -> NDArray[np.uint8]:
        """See :class:`Arcade`."""
        state: NDArray[np.uint8] = _resumable(self._envs[game]).snapshot()
        return state

    def restore(self, game: int, state: NDArray[np.uint8]) -> None:
        """See :class:`Arcade`."""
        _resumable(self._envs[game]).restore(state)

    def _seen(self, observation: FloatArray) -> Frame:
        places = np.flatnonzero(observation)  # the converter makes a 0 of a 0, and is asked for the rest alone
        return Frame.of(self._task.integers(observation[places], places), places)


def open_arcade(task: Task, count: int) -> Arcade:
    """``count`` copies of the task's environment: compiled ones if it is Pong, seen as it is.

    Raises:
        ProjectError: the environment cannot be made, or cannot keep its state.
    """
    if task.environment == PONG and not task.wrappers and _seen_as_it_is(task):
        from hls4rl.train.pixels.console.arcade import PongArcade

        return PongArcade(count, **task.environment_options)
    return GymArcade(task, count)


def _seen_as_it_is(task: Task) -> bool:
    """Whether the converter leaves a difference of -1 or 1 what it is."""
    ones = np.ones(task.features)
    return all(np.array_equal(task.integers(sign * ones), sign * ones) for sign in (-1, 1))


def _resumable(env: gym.Env[Any, Any]) -> Any:
    game: Any = env.unwrapped
    if not hasattr(game, "snapshot"):
        raise ProjectError(
            f"{game}: its state cannot be kept, so that training could not go on after an interruption; give the "
            "environment snapshot() and restore() as train/pixels/pong.py has them, or leave [pixels] out of the file"
        )
    return game
