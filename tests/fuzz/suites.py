"""What lies, stalls or breaks on purpose: malicious boards at both drivers of the link, environments, task files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from fuzz.console import against_ale
from fuzz.corruption import corrupted_artefacts
from hostile import boards, environments, tasks
from hostile.boards import BOARDS, FICKLE, Board

FICKLE_BOARDS = 60
"""Boards that draw anew for each request what they do, each from a seed of its own."""


def boards_at_python(fraction: float, seed: int) -> dict[str, int]:
    """Each malicious board at the Python driver; how many there were.

    Raises:
        AssertionError: an answer was wrong, the patience was passed, or the cause doesn't fit.
    """
    return _boards(boards.try_python, fraction, seed)


def boards_at_c(fraction: float, seed: int) -> dict[str, int]:
    """The same at the C driver, compiled with the address and undefined-behaviour sanitisers."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        host = boards.build_host(Path(folder), sanitised=True)
        return _boards(lambda board, start: boards.try_c(board, host, start), fraction, seed)


def hostile_environments(fraction: float, seed: int) -> dict[str, int]:
    """Each hostile environment, trained and evaluated; how many were refused in a line, and how many handled."""
    cases = environments.CASES[seed % _every(fraction)::_every(fraction)]
    wrong = []
    for case in cases:
        with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
            if fault := environments.try_case(case, Path(folder)):
                wrong.append(f"{case.name}: {fault}")
    _require_none(wrong, len(cases))
    outcomes = [case.outcome for case in cases]
    return {"environments": len(cases), "wrong": 0, **{name: outcomes.count(name) for name in sorted(set(outcomes))}}


def hostile_tasks(fraction: float, seed: int) -> dict[str, int]:
    """Task files with one wrong value each, for every key."""
    cases = tasks.cases()[seed % _every(fraction)::_every(fraction)]
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        wrong = [
            f"{key.name} = {value}: {fault}" for key, value in cases
            if (fault := tasks.try_value(key, value, Path(folder)))
        ]
    _require_none(wrong, len(cases))
    return {"task files": len(cases), "keys": len({key.name for key, _ in cases}), "accepted": 0}


def _every(fraction: float) -> int:
    return max(1, round(1 / fraction))


def _require_none(wrong: list[str], count: int) -> None:
    if wrong:
        raise AssertionError(f"{len(wrong)} of {count}: {'; '.join(wrong)}")


def _boards(attempt: Callable[[Board, int], str], fraction: float, seed: int) -> dict[str, int]:
    trials = [(board, seed) for board in BOARDS[::_every(fraction)]]
    trials += [(FICKLE, seed + number) for number in range(max(1, round(FICKLE_BOARDS * fraction)))]
    wrong = [f"{board.name} (seed {start}): {fault}" for board, start in trials if (fault := attempt(board, start))]
    _require_none(wrong, len(trials))
    return {"boards": len(trials), "wrong": 0, "past the patience": 0}


SUITES: dict[str, Callable[[float, int], dict[str, int]]] = {
    "malicious boards, Python driver": boards_at_python, "malicious boards, C driver, sanitised": boards_at_c,
    "hostile environments": hostile_environments, "hostile task files": hostile_tasks,
    "corrupted artefacts": corrupted_artefacts, "Pong's console against ALE": against_ale,
}
"""By name: tried with a fraction of all cases and a seed; answers what it counted."""
