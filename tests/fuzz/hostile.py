"""What lies, stalls or breaks on purpose: malicious boards at both drivers of the link."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "firmware"))

import hostile_boards
from hostile_boards import BOARDS, FICKLE, Board

FICKLE_BOARDS = 60
"""Boards that draw anew for each request what they do, each from a seed of its own."""


def boards_at_python(fraction: float, seed: int) -> dict[str, int]:
    """Each malicious board at the Python driver; how many there were.

    Raises:
        AssertionError: an answer was wrong, the patience was passed, or the cause doesn't fit.
    """
    return _boards(hostile_boards.try_python, fraction, seed)


def boards_at_c(fraction: float, seed: int) -> dict[str, int]:
    """The same at the C driver, compiled with the address and undefined-behaviour sanitisers."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        host = hostile_boards.build_host(Path(folder), sanitised=True)
        return _boards(lambda board, start: hostile_boards.try_c(board, host, start), fraction, seed)


def _boards(attempt: Callable[[Board, int], str], fraction: float, seed: int) -> dict[str, int]:
    every = max(1, round(1 / fraction))
    trials = [(board, seed) for board in BOARDS[::every]]
    trials += [(FICKLE, seed + number) for number in range(max(1, round(FICKLE_BOARDS * fraction)))]
    wrong = [f"{board.name} (seed {start}): {fault}" for board, start in trials if (fault := attempt(board, start))]
    if wrong:
        raise AssertionError(f"{len(wrong)} of {len(trials)} boards: {'; '.join(wrong)}")
    return {"boards": len(trials), "wrong": 0, "past the patience": 0}


SUITES: dict[str, Callable[[float, int], dict[str, int]]] = {
    "malicious boards, Python driver": boards_at_python, "malicious boards, C driver, sanitised": boards_at_c,
}
"""By name: tried with a fraction of all cases and a seed; answers what it counted."""
