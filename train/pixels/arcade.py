"""Copies of a task's environment that step together: any of Gymnasium's, or Pong's compiled consoles."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.actions import DiscreteActions
from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.task import Task
from hls4rl.train.pixels.sparse import Frame, Frames

PONG = "hls4rl.train.pixels.pong:hls4rl/PongPixels-v0"


MOST_FEATURES, MOST_BITS = 1 << 15, 8
"""What a :class:`hls4rl.train.pixels.sparse.Frame` can hold."""


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
