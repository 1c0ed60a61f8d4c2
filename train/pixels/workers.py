"""Games played by processes, as many as there are processors: emulators hold the interpreter's lock while they run.

Each process keeps a share of the games and plays a batch's steps on its own, under the policy that lies in memory that
all of them see. Every game has a source of chances of its own, and a pass over one frame does not depend on the frames
beside it, so that the number of processes changes nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.processes import follow_owner
from hls4rl.task import Task
from hls4rl.train.checkpoint import below
from hls4rl.train.parameters import Parameters
from hls4rl.train.pixels.rallies import Game, RolloutBatch, play, together
from hls4rl.train.pixels.sparse import forward
from hls4rl.train.vpg.kernel import Formats

_START = multiprocessing.get_context("forkserver")  # quick, and no thread of ours is copied in mid-air
_START.set_forkserver_preload([__name__])


class RolloutWorkers:
    """Copies of a task's environment, played side by side."""

    def __init__(self, task: Task, count: int, hidden: int, rng: np.random.Generator) -> None:
        """Start ``count`` games.

        Raises:
            ProjectError: the task's environment cannot be made, or cannot keep its state.
        """
        features, actions = task.spaces
        sizes = (features, hidden, actions)
        memory = _START.RawArray(ctypes.c_double, hidden * (features + 1) + actions * (hidden + 1))
        self.network = _network(memory, *sizes)
        """Quantised parameters that the games are played with; to be written before :meth:`play`."""
        rngs = rng.spawn(count)
        self._shares = np.array_split(np.arange(count), min(count, len(os.sched_getaffinity(0))))
        self._lines: list[Connection] = []
        for share in self._shares:
            ours, theirs = _START.Pipe()
            _START.Process(
                target=_serve, args=(theirs, task, [rngs[game] for game in share], memory, sizes), daemon=True
            ).start()
            theirs.close()  # so that the end of the process ends the line
            self._lines.append(ours)
        with self._closed_on_error():
            self._answers()

    def play(self, steps: int, formats: Formats) -> RolloutBatch:
        """Play ``steps`` steps of each game."""
        return together(self._ask([("play", (steps, formats))] * len(self._lines)))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole state between two calls of :meth:`play`, as arrays by name."""
        states = [state for share in self._ask([("state", ())] * len(self._lines)) for state in share]
        return {f"{game}.{name}": array for game, state in enumerate(states) for name, array in state.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to what :meth:`arrays` answered."""
        self._ask([("restore", ([below(f"{game}.", arrays) for game in share],)) for share in self._shares])

    def close(self) -> None:
        """End the processes."""
        for line in self._lines:
            line.close()

    def _ask(self, requests: list[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        with self._closed_on_error():
            for line, request in zip(self._lines, requests, strict=True):
                line.send(request)
            return self._answers()

    def _answers(self) -> list[Any]:
        answers = [line.recv() for line in self._lines]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            self.close()
            raise ProjectError(
                "a process that plays games has ended (killed, or out of memory); say the same again, and training "
                "goes on from its last checkpoint"
            ) from error
        except BaseException:
            self.close()
            raise


def _serve(
    line: Connection, task: Task, rngs: list[np.random.Generator], memory: Any, sizes: tuple[int, int, int]
) -> None:
    """Play a share of the games until the line is closed; a failure is told, and is the end."""
    follow_owner()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            network, games = _network(memory, *sizes), [Game(task, rng) for rng in rngs]
            line.send(None)
            while True:
                request, arguments = line.recv()
                line.send(_answer(games, network, request, *arguments))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # whatever it is, the one at the other end has to know
            line.send(error)


def _answer(games: list[Game], network: Parameters, request: str, *arguments: Any) -> Any:
    if request == "play":
        steps, formats = arguments
        return play(games, steps, lambda frames: forward(formats, network, frames))
    if request == "state":
        return [game.state() for game in games]
    for game, state in zip(games, *arguments, strict=True):
        game.restore(state)
    return None


def _network(memory: Any, features: int, hidden: int, actions: int) -> Parameters:
    """Parameters in ``memory``, laid out as by :func:`hls4rl.train.pixels.sparse.columns_first`."""
    numbers: FloatArray = np.frombuffer(memory)
    places = np.cumsum([features * hidden, hidden, actions * hidden])
    hidden_weight, hidden_bias, output_weight, output_bias = np.split(numbers, places)
    return Parameters.of([
        hidden_weight.reshape(features, hidden).T, hidden_bias, output_weight.reshape(actions, hidden), output_bias
    ])
