"""An environment of one's own, a Dict to see and a Box of uneven bounds to act in, on the board by a task file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from random_policies import random_policy
from random_run import PART, run_of

from hls4rl.firmware.boards import load_board
from hls4rl.firmware.hil import Session, open_board, require_exact, run_hil
from hls4rl.firmware.picture import film
from hls4rl.task import Task, load_task
from hls4rl.train.network import TorchBackend

pytestmark = pytest.mark.xdist_group("firmware")
EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.syspath_prepend(EXAMPLES)
    return load_task(str(EXAMPLES / "greenhouse.toml"))


def test_its_parts_and_bounds_are_read_off_the_environment(task: Task) -> None:
    assert task.feature_names[:3] == ["air[0]", "air[1]", "moisture[0]"]
    assert (task.converter.offset[:3] > 5).all()
    ends = [task.actions.decode(np.array([value, value])).tolist() for value in (-31, 0, 31)]
    assert ends == [[-1.0, 0.0], [1.0, 5.0], [3.0, 10.0]]
    switches = load_task(str(EXAMPLES / "greenhouse-switches.toml"))
    assert switches.spaces == (8, 5 + 3)


def test_a_board_drives_it_and_it_is_drawn(task: Task, tmp_path: Path) -> None:
    run = run_of(random_policy(task, "fp", 4, 3), tmp_path)
    session = Session(task, run, PART, load_board("ulx3s"))
    result = run_hil(session, 2)
    require_exact(result)
    assert result["steps_compared"] == 2 * 96
    with open_board(session) as board:
        drawn = film(task, board, TorchBackend(run.load_policy()), 0, tmp_path / "film.gif", "greenhouse")
    assert drawn == {"return": result["returns"][0], "steps": 96, "mismatches": 0}
    with Image.open(tmp_path / "film.gif") as picture:
        assert picture.n_frames > 40  # type: ignore[attr-defined]
