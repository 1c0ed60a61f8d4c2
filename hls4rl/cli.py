"""What every verb's command line shares: one-line errors and the final path line."""

from __future__ import annotations

import contextlib
import errno
import gc
import signal
import sys
from pathlib import Path

import typer

from hls4rl.errors import ProjectError
from hls4rl.interruption import listen, received
from hls4rl.processes import follow_make

_INTERRUPTED = 128 + signal.SIGINT


def run(app: typer.Typer, program: str) -> None:
    """Run ``app`` and end the process.

    Whatever the user can mend (a bad option, a :class:`ProjectError`, a full disk, Ctrl-C) ends in one
    line on standard error and a status other than 0; a traceback means a bug of ours. One that was asked to end by
    a signal has the status that shells give to it: 128 and the signal's number.
    """
    listen()
    follow_make()
    try:
        status = _call(app, program)
    except (typer.Abort, KeyboardInterrupt):
        number = received() or signal.SIGINT
        _stop("interrupted; what is finished is kept, run the same command again to go on", 128 + number)
    except typer.TyperException as error:
        _stop(f"{' '.join(error.format_message().split())} (see '{program} --help')", error.exit_code)
    except ProjectError as error:
        _stop(str(error), 1)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise
        _stop(f"cannot write {error.filename or 'a file'}: {error.strerror}; free some space or fix the permissions", 1)
    finally:
        gc.freeze()  # else Python looks through all of PyTorch once more as it ends: a second, or many if others work
    sys.exit(status if isinstance(status, int) else 0)


def print_result(path: Path) -> None:
    """Print ``path`` of a command's JSON result as the last line, for scripts to read."""
    print(path, flush=True)


def _call(app: typer.Typer, program: str) -> object:
    try:
        status = app(prog_name=program, standalone_mode=False)
    except SystemExit as error:  # the commands raise none: to end well with nothing done would be a lie
        raise ProjectError(
            f"code that this command calls ended it before its time, by sys.exit({error.code!r}); look for that in the "
            "modules of the task's environment"
        ) from error
    except Exception as error:
        if received() is not None:  # a worker or a tool got the signal too, and its end was noticed first
            raise KeyboardInterrupt from error
        raise
    if status == _INTERRUPTED:  # typer turns Ctrl-C into this status
        raise KeyboardInterrupt
    return status


def _stop(message: str, status: int) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"error: {message}", file=sys.stderr, flush=True)
    sys.exit(status)
