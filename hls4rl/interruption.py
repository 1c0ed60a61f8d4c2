"""Ctrl-C that is not lost: while PyTorch and others are imported, the exception that tells of it is swallowed."""

from __future__ import annotations

import signal
from types import FrameType

_interrupted = False


def listen() -> None:
    """From here on, remember a Ctrl-C besides raising ``KeyboardInterrupt``; for the main thread."""
    signal.signal(signal.SIGINT, _remember)


def heed() -> None:
    """Raise ``KeyboardInterrupt`` again if there was a Ctrl-C that nobody heeded."""
    if _interrupted:
        raise KeyboardInterrupt


def _remember(_signal: int, _frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt
