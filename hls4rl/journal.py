"""What a command tells while it is at work: a moving line on a terminal, else plain lines, and always a log."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.markup import escape

LOG = "progress.log"
"""In the folder of a run; every call goes on at its end."""
SECONDS = 10.0
"""Between two lines about the same thing."""


def note(directory: Path, text: str) -> None:
    """Add a line to the log in ``directory``."""
    with contextlib.suppress(OSError), (directory / LOG).open("a", encoding="utf-8") as log:  # the work goes on without
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {' '.join(text.split())}\n")


@contextlib.contextmanager
def working(console: Console, name: str, directory: Path) -> Iterator[None]:
    """Say that ``name`` is being made, and how long it took, on ``console`` and in the log of ``directory``."""
    start = time.perf_counter()
    note(directory, f"{name} …")
    if not console.is_terminal:
        console.print(escape(f"  {name} …"))
    try:
        with console.status(escape(f"{name} …")):
            yield
    except BaseException as error:
        note(directory, f"{name}: ended after {time.perf_counter() - start:.1f} s by {type(error).__name__}: {error}")
        raise
    took = f"{name}: {time.perf_counter() - start:.1f} s"
    note(directory, took)
    console.print(escape(f"  {took}"))
