"""Games played by processes, as many as there are processors.

Each process keeps a share of the games and plays a batch's steps on its own, under the policy that lies in memory that
all of them see. Every game has a source of chances of its own, and a pass over one frame does not depend on the frames
beside it, so that the number of processes changes nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.task import Task
from hls4rl.train.checkpoint import below
from hls4rl.train.parameters import Parameters
from hls4rl.train.pixels.rallies import Games, RolloutBatch, together
from hls4rl.train.pixels.sparse import forward
from hls4rl.train.vpg.kernel import Formats
from hls4rl.train.workers import START, Handler, WorkerProcesses, shares

START.set_forkserver_preload([__name__])


class RolloutWorkers:
    """Copies of a task's environment, played side by side."""

    def __init__(self, task: Task, count: int, hidden: int, rng: np.random.Generator) -> None:
        """Start ``count`` games.

        Raises:
            ProjectError: the task's environment cannot be made, or cannot keep its state.
        """
        features, actions = task.spaces
        sizes = (features, hidden, actions)
        memory = START.RawArray(ctypes.c_float, hidden * (features + 1) + actions * (hidden + 1))
        self.network = _network(memory, *sizes)
        """Quantised parameters that the games are played with; to be written before :meth:`play`."""
        rngs, self._shares = rng.spawn(count), shares(count)
        arguments = [(task, [rngs[game] for game in share], memory, sizes) for share in self._shares]
        self._processes = WorkerProcesses(_prepare, arguments, "plays games")
        self.close = self._processes.close
        """End the processes."""

    def play(self, steps: int, formats: Formats) -> RolloutBatch:
        """Play ``steps`` steps of each game."""
        return together(self._processes.ask([("play", steps, formats)] * len(self._processes)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state between two calls of :meth:`play`, as arrays by name."""
        states = [state for share in self._processes.ask([("state",)] * len(self._processes)) for state in share]
        return {f"{game}.{name}": array for game, state in enumerate(states) for name, array in state.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`arrays` answered."""
        self._processes.ask([("restore", [below(f"{game}.", arrays) for game in share]) for share in self._shares])


def _prepare(task: Task, rngs: list[np.random.Generator], memory: Any, sizes: tuple[int, int, int]) -> Handler:
    return partial(_answer, Games(task, rngs), _network(memory, *sizes))


def _answer(games: Games, network: Parameters, request: str, *arguments: Any) -> Any:
    if request == "play":
        steps, formats = arguments
        return games.play(steps, lambda frames: forward(formats, network, frames))
    if request == "state":
        return games.states()
    games.restore(*arguments)
    return None


def _network(memory: Any, features: int, hidden: int, actions: int) -> Parameters:
    """Parameters in ``memory``, laid out as by :func:`hls4rl.train.pixels.sparse.columns_first`."""
    numbers: NDArray[Any] = np.frombuffer(memory, dtype=np.float32)
    places = np.cumsum([features * hidden, hidden, actions * hidden])
    hidden_weight, hidden_bias, output_weight, output_bias = np.split(numbers, places)
    return Parameters.of([
        hidden_weight.reshape(features, hidden).T, hidden_bias, output_weight.reshape(actions, hidden), output_bias
    ])
