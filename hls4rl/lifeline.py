"""``python lifeline.py FD PROGRAM [ARGUMENT …]``: become PROGRAM, tied to the pipe FD. See :mod:`hls4rl.processes`.

Starts with nothing but the standard library, in milliseconds; it is replaced by the program, so that process number
and status are the program's own.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys


def tie(pipe: int, target: int) -> None:
    """Let the kernel send SIGKILL to ``target`` when the last writer of ``pipe`` is gone; it may be gone already.

    Args:
        pipe: the reading end, which nobody reads and which must stay open; nothing may be written to it.
        target: a process, or the negative number of a process group.
    """
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, target)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:
        os.kill(target, signal.SIGKILL)


if __name__ == "__main__":
    tie(int(sys.argv[1]), -os.getpid())
    os.execv(sys.argv[2], sys.argv[2:])
