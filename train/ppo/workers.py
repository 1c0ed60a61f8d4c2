"""Environments in processes, one for each processor; what they bring lies in memory that the learner sees.

Each process acts by itself for a whole rollout, with the actor's numbers that the learner has written before: nothing
is sent for a step. Every environment has its own stream of random numbers and of seeds, so that the number of processes
changes nothing.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.task import Task
from hls4rl.train.compiled import compiled
from hls4rl.train.ppo.layout import Layout, Numbers
from hls4rl.train.ppo.objective import Head, chances, draw
from hls4rl.train.ppo.passes import forward
from hls4rl.train.workers import START, Handler, WorkerProcesses, shares

START.set_forkserver_preload([__name__])


@dataclass(frozen=True)
class Shape:
    """What a rollout holds."""

    num_steps: int
    num_envs: int
    features: int
    dimensions: int
    """Of an action."""
    numbers: int
    """The actor's, and the logarithms of its deviations."""


class Shared:
    """A rollout's arrays, in memory that all processes see."""

    def __init__(self, shape: Shape, memory: dict[str, Any] | None = None) -> None:
        grid = (shape.num_steps, shape.num_envs)
        shapes = {
            "observations": (*grid, shape.features), "after": (*grid, shape.features), "rewards": grid,
            "actions": (*grid, shape.dimensions), "ends": grid, "last": (shape.num_envs, shape.features),
            "numbers": (shape.numbers,),
        }
        self.memory = memory or {
            name: START.RawArray(ctypes.c_double, int(np.prod(size))) for name, size in shapes.items()
        }
        arrays = {name: np.frombuffer(self.memory[name]).reshape(size) for name, size in shapes.items()}
        self.observations: FloatArray = arrays["observations"]
        """Flattened, as the environment gave them, shape (steps, environments, features)."""
        self.after: FloatArray = arrays["after"]
        """Where an episode was truncated, the observation that the step led to."""
        self.last: FloatArray = arrays["last"]
        """After the last step, shape (environments, features)."""
        self.actions: FloatArray = arrays["actions"]
        """As drawn, shape (steps, environments, action dimensions)."""
        self.rewards: FloatArray = arrays["rewards"]
        self.ends: FloatArray = arrays["ends"]
        """1 where an episode terminated with the step, 2 where it was truncated, else 0."""
        self.numbers: FloatArray = arrays["numbers"]
        """The actor's, rounded, and the logarithms of its deviations; to be written before a rollout."""


class RolloutWorkers:
    """Copies of a task's environment that play side by side."""

    def __init__(self, task: Task, shape: Shape, head: Head, seed: int) -> None:
        """Start the environments.

        Raises:
            ProjectError: the task's environment cannot be made.
        """
        self.shared = Shared(shape)
        arguments = [
            (task, shape, self.shared.memory, head, seed, share.tolist()) for share in shares(shape.num_envs)
        ]
        self._processes = WorkerProcesses(_prepare, arguments, "plays episodes")
        self.close = self._processes.close
        """End the processes."""

    def play(self, layout: Layout, fresh: int | None) -> list[tuple[int, float]]:
        """Play one rollout.

        Args:
            layout: of the actor.
            fresh: where not None, every environment begins a new episode first, with random numbers of this number.

        Returns:
            The step (counted in the rollout) and the return of each episode that ended, in the order of the steps.
        """
        answers = self._processes.ask([(layout, fresh)] * len(self._processes))
        return sorted(episode for answer in answers for episode in answer)


def _prepare(task: Task, shape: Shape, memory: dict[str, Any], head: Head, seed: int, share: list[int]) -> Handler:
    return _Players(task, Shared(shape, memory), head, seed, share).play


class _Players:
    """A process's share of the environments, and their columns of the rollout."""

    def __init__(self, task: Task, shared: Shared, head: Head, seed: int, share: list[int]) -> None:
        self._task, self._shared, self._head, self._seed, self._share = task, shared, head, seed, share
        self._envs, self._decode = [task.make() for _ in share], _decoder(task)
        self._rngs: list[np.random.Generator] = []
        self._totals = [0.0] * len(share)
        converter = task.converter
        lsb = converter.type.lsb
        self._view = (converter.offset, converter.scale / lsb, converter.type.minimum, converter.type.maximum, lsb)

    def play(self, layout: Layout, fresh: int | None) -> list[tuple[int, float]]:
        """One rollout's steps; see :meth:`RolloutWorkers.play`."""
        shared, share, episodes = self._shared, self._share, list[tuple[int, float]]()
        if fresh is not None:
            self._rngs = [np.random.default_rng([self._seed, fresh, place]) for place in share]
            for column, place in enumerate(share):
                shared.last[place] = self._reset(column)
        numbers, observations = shared.numbers.astype(np.float32), shared.last[share]
        steps, _, dimensions = shared.actions.shape
        chance = np.stack([chances(self._head, (steps, dimensions), rng) for rng in self._rngs], axis=1)
        actions = np.empty((len(share), dimensions), dtype=np.float32)
        for step in range(steps):
            shared.observations[step, share] = observations
            act(layout, self._head, numbers, self._view, observations, chance[step], actions)
            shared.actions[step, share] = actions
            for column, place in enumerate(share):
                observations[column] = self._step(step, column, place, actions[column], episodes)
        shared.last[share] = observations
        return episodes

    def _step(
        self, step: int, column: int, place: int, action: Numbers, episodes: list[tuple[int, float]]
    ) -> FloatArray:
        """Take ``action`` in one environment; answers the observation to act upon next."""
        shared = self._shared
        found, reward, terminated, truncated, _ = self._envs[column].step(self._decode(action))
        observation = self._task.flatten(found)
        self._totals[column] += float(reward)
        shared.rewards[step, place] = reward
        shared.ends[step, place] = 1 if terminated else 2 if truncated else 0
        if terminated or truncated:
            shared.after[step, place] = observation
            episodes.append((step, self._totals[column]))
            observation = self._reset(column)
        return observation

    def _reset(self, column: int) -> FloatArray:
        self._totals[column] = 0.0
        observation, _ = self._envs[column].reset(seed=int(self._rngs[column].integers(2**31)))
        return self._task.flatten(observation)


def _decoder(task: Task) -> Any:
    """What turns a drawn action into what ``env.step`` takes; of a flat Box of floats by the affine rule at once."""
    actions = task.actions
    if not actions.is_continuous:
        return lambda action: actions.decode(action.astype(np.int64))
    if not np.issubdtype(actions.dtype, np.floating):  # type: ignore[attr-defined]
        return actions.real  # type: ignore[attr-defined]
    low, high, dtype = actions.low, actions.high, actions.dtype  # type: ignore[attr-defined]
    middle, half = (low + high) / 2, (high - low) / 2
    return lambda action: (middle + half * action.clip(-1.0, 1.0).reshape(low.shape)).astype(dtype)


@compiled
def act(
    layout: Layout, head: Head, numbers: Numbers, view: tuple[FloatArray, FloatArray, int, int, float],
    observations: FloatArray, chance: FloatArray, actions: Numbers,
) -> None:
    """Draw an action for each observation of floats, shape (environments, features), as the converter sees it."""
    offset, scale, low, high, lsb = view
    memory = np.empty(layout.sizes.sum(), dtype=np.float32)
    slopes = np.empty(layout.sizes.sum(), dtype=np.float32)
    for row in range(len(observations)):  # one at a time, so that it doesn't matter who else is in this process
        for feature in range(observations.shape[1]):
            value = np.rint((observations[row, feature] - offset[feature]) * scale[feature])
            memory[feature] = min(max(value, low), high) * lsb
        forward(layout, numbers, memory, slopes, 1)
        outputs = memory[layout.units[-1] : layout.units[-1] + head.outputs]
        draw(head, outputs, numbers[len(numbers) - head.outputs :], chance[row], actions[row])
