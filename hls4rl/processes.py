"""Processes that end with whoever started them, however that one ends: Ctrl-C, SIGTERM, a closed terminal, SIGKILL.

One mechanism for all: a *lifeline*, a pipe whose writing end the owner alone holds. The kernel closes it when the owner
ends, and sends SIGKILL to those who are tied to the other end (``O_ASYNC``, see fcntl(2)): at once, needing no thread
of theirs, no interpreter lock, and no parent's thread to live on (which ``PR_SET_PDEATHSIG`` does).

* A *tool* (:func:`run`, :func:`started`) leads a session of its own, and its whole process group is tied, so that what
  it starts in turn ends too: ABC under Yosys, the compiler proper under g++.
* A *worker* (:func:`worker_pool`, or :func:`follow_owner` at a worker's start) is tied to the pipe that multiprocessing
  makes anyway; that one follows the real owner, also under a fork server.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from threading import Thread
from typing import IO, Any

from hls4rl import lifeline
from hls4rl.errors import ProjectError

MAKE = "HLS4RL_MAKE"
"""Variable in which the Makefile names make's own process: a command that make started ends with make."""
STOP_SECONDS = 5.0
"""A tool that is asked to end gets so long."""

_tools: set[subprocess.Popen[Any]] = set()
_closing = False


def run(
    command: Sequence[str | Path], directory: Path, *, text: str | None = None, log: IO[str] | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end, and return its status and output; what it leaves running is ended with it.

    Args:
        text: for its standard input; without, that is empty.
        log: file that gets standard output and standard error, which are returned otherwise.
        timeout: seconds after which it is ended.

    Raises:
        FileNotFoundError: there is no such program.
        subprocess.TimeoutExpired: it took longer than ``timeout``.
        KeyboardInterrupt: this process is being ended.
    """
    streams = {"stdout": log or subprocess.PIPE, "stderr": subprocess.STDOUT if log else subprocess.PIPE}
    source = {"stdin": subprocess.DEVNULL if text is None else subprocess.PIPE}
    with started(command, cwd=directory, text=True, errors="replace", **streams, **source) as tool:
        out, errors = tool.communicate(text, timeout)
    if _closing:  # its end was ours, and says nothing about it
        raise KeyboardInterrupt
    return subprocess.CompletedProcess(list(command), tool.returncode, out, errors)


@contextlib.contextmanager
def started(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A tool that runs beside this process, with :class:`subprocess.Popen`'s ``options``; ended with the block.

    It is asked by SIGTERM, given :data:`STOP_SECONDS`, then killed with all that it started.
    """
    if _closing:
        raise KeyboardInterrupt
    program = shutil.which(command[0])
    if program is None:
        raise FileNotFoundError(f"{command[0]} is not installed")
    theirs, ours = os.pipe()
    try:
        tool = subprocess.Popen(
            [sys.executable, "-I", "-S", lifeline.__file__, str(theirs), os.path.abspath(program), *command[1:]],
            pass_fds=[theirs], start_new_session=True, **options,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    with tool:
        _tools.add(tool)
        try:
            yield tool
            _ask_to_end(tool)
        finally:
            _tools.discard(tool)
            os.close(ours)  # and with it goes whatever the tool left running
            _kill(tool)


def end_tools() -> None:
    """End all tools at once, and start no more: this process is about to end."""
    global _closing
    _closing = True
    for tool in tuple(_tools):
        _kill(tool)


@contextlib.contextmanager
def worker_pool(
    workers: int, prepare: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """So many worker processes, each prepared by ``prepare(*arguments)``; after an error or Ctrl-C all end at once."""
    pool = new_pool(workers, prepare, *arguments)
    try:
        yield pool
    except BrokenProcessPool as error:
        end_workers()
        raise ProjectError(
            "a worker process has ended in the midst of its work (killed, or out of memory); run the same command "
            "again to go on"
        ) from error
    except BaseException:
        end_workers()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def new_pool(workers: int, prepare: Callable[..., None] | None = None, *arguments: Any) -> ProcessPoolExecutor:
    """Workers as :func:`worker_pool` has them, for the caller to end."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(prepare, arguments))


def end_workers() -> None:
    """End this process's workers now; what they were making stays undone."""
    for child in multiprocessing.active_children():
        child.terminate()


def follow_owner() -> None:
    """Of a worker: leave the terminal's signals to the owner, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    owner = multiprocessing.parent_process()
    assert owner is not None
    lifeline.tie(owner.sentinel, os.getpid())


def follow_make() -> None:
    """Where the Makefile started this process: get SIGTERM when make is gone, be it by SIGKILL."""
    number = os.environ.pop(MAKE, None)
    if number is None:
        return
    try:
        make = os.pidfd_open(int(number))
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGTERM)
        return

    def follow() -> None:
        select.select([make], [], [])
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=follow, daemon=True).start()


def _begin(prepare: Callable[..., None] | None, arguments: tuple[Any, ...]) -> None:
    follow_owner()
    if prepare is not None:
        prepare(*arguments)


def _ask_to_end(tool: subprocess.Popen[Any]) -> None:
    if tool.poll() is None:
        tool.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            tool.wait(STOP_SECONDS)


def _kill(tool: subprocess.Popen[Any]) -> None:
    if tool.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(tool.pid, signal.SIGKILL)
