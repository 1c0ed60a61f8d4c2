"""Signals that ask a command to end, as one orderly interruption that is not lost.

While PyTorch and others are imported, the exception that tells of Ctrl-C is swallowed: it is remembered here.
"""

from __future__ import annotations

import os
import signal
import time
from threading import Thread
from types import FrameType

from hls4rl.processes import end_tools

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, ``kill``, and a terminal that was closed."""
PATIENCE_SECONDS = 10.0
"""A command that has not ended so long after the first signal, in the midst of a library's work, ends at once."""
_TOGETHER_SECONDS = 0.5
"""Signals so close come from one cause: make hands on what its process group has got already."""

_received: int | None = None
_last = -_TOGETHER_SECONDS


def listen() -> None:
    """From here on, remember such a signal besides raising ``KeyboardInterrupt``; for the main thread.

    A SIGHUP that is ignored stays so: ``nohup`` means it.
    """
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _remember)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    Thread(target=_end_at_last, args=(reading,), daemon=True).start()


def heed() -> None:
    """Raise ``KeyboardInterrupt`` again if there was a signal that nobody heeded."""
    if _received is not None:
        raise KeyboardInterrupt


def received() -> int | None:
    """The first signal that came, if any."""
    return _received


def _remember(number: int, _frame: FrameType | None) -> None:
    global _received, _last
    _received = _received or number
    before, _last = _last, time.monotonic()
    if _last - before >= _TOGETHER_SECONDS:
        end_tools()
        raise KeyboardInterrupt


def _end_at_last(signals: int) -> None:
    # Python's own handlers wait for the main thread, which may be in compiled code for minutes.
    while (number := os.read(signals, 1)[0]) not in SIGNALS:
        pass
    time.sleep(PATIENCE_SECONDS)
    os._exit(128 + number)
