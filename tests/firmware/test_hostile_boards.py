"""A sample of the malicious boards against both drivers; `make fuzz` takes all of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.boards import (
    BOARDS,
    FICKLE,
    Board,
    Malice,
    Phase,
    action,
    build_host,
    honest,
    honest_action,
    try_c,
    try_python,
)

pytestmark = pytest.mark.xdist_group("firmware")
SAMPLE = (*BOARDS[::13], FICKLE)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_host(tmp_path_factory.mktemp("c"), sanitised=True)


@pytest.mark.parametrize("board", SAMPLE, ids=lambda board: board.name)
def test_the_python_driver_is_right_or_gives_up_in_time(board: Board) -> None:
    assert try_python(board) == ""


@pytest.mark.parametrize("board", SAMPLE, ids=lambda board: board.name)
def test_the_c_driver_is_right_or_gives_up_in_time(board: Board, host: Path) -> None:
    assert try_c(board, host) == ""


def test_the_trial_can_fail(host: Path) -> None:
    liar = Malice("lies under the right number", lambda request, rng: iter([
        honest(request) if request.kind == 1 else action(request.sequence, (honest_action(request.body) + 1) % 3)
    ]))
    assert try_python(Board(liar, Phase.START)) == try_c(Board(liar, Phase.START), host) == "a wrong action"
    mute = Malice("silent", lambda request, rng: iter(()), "another cause", frozenset({-9}))
    assert "silent for 0.4 s" in try_python(Board(mute, Phase.START))
    assert try_c(Board(mute, Phase.START), host) == "another cause: status -1"


def test_there_are_enough_boards() -> None:
    assert len({board.name for board in BOARDS}) == len(BOARDS) > 100
