"""Processes that each keep a share of a task's environments and answer requests about it, one line to each.

They end with whoever started them. A failure in one of them is told, and ends the work.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.errors import ProjectError
from hls4rl.processes import follow_owner

START = multiprocessing.get_context("forkserver")  # quick, and no thread of ours is copied in mid-air

Handler = Callable[..., Any]
"""Answers one request, whose items are its arguments."""


def shares(environments: int) -> list[NDArray[np.int64]]:
    """The numbers of the environments that each process keeps: as many processes as there are processors."""
    return np.array_split(np.arange(environments), min(environments, len(os.sched_getaffinity(0))))


class WorkerProcesses:
    """One process for each share."""

    def __init__(self, prepare: Callable[..., Handler], arguments: Sequence[tuple[Any, ...]], work: str) -> None:
        """Start them.

        Args:
            prepare: a module's function, which makes a process's handler of its ``arguments``, there.
            arguments: of each process.
            work: what they do, for messages: "plays games".

        Raises:
            ProjectError: one of them cannot prepare.
        """
        self._work, self._lines = work, list[Connection]()
        # Dask's workers are daemonic, which Python lets have no children, lest these outlive them; ours follow us.
        multiprocessing.current_process().daemon = False
        for item in arguments:
            ours, theirs = START.Pipe()
            START.Process(target=_serve, args=(theirs, prepare, item), daemon=True).start()
            theirs.close()  # so that the end of the process ends the line
            self._lines.append(ours)
        with self._closed_on_error():
            self._answers()

    def __len__(self) -> int:
        return len(self._lines)

    def ask(self, requests: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The answer of each process to its own of ``requests``."""
        with self._closed_on_error():
            for line, request in zip(self._lines, requests, strict=True):
                line.send(request)
            return self._answers()

    def close(self) -> None:
        """End the processes."""
        for line in self._lines:
            line.close()

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
                f"a process that {self._work} has ended (killed, or out of memory); say the same again, and training "
                "goes on from its last checkpoint"
            ) from error
        except BaseException:
            self.close()
            raise


def _serve(line: Connection, prepare: Callable[..., Handler], arguments: tuple[Any, ...]) -> None:
    """Answer until the line is closed; a failure is told, and is the end."""
    follow_owner()
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        try:
            handler = prepare(*arguments)
            line.send(None)
            while True:
                line.send(handler(*line.recv()))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # whatever it is, the one at the other end has to know
            line.send(error)
