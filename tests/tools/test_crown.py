from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.task import load_task
from tools import crown


class Sign:
    """1 where the first feature is not negative; ``wrong`` says where it lies."""

    def __init__(self, name: str, wrong: int | None = None) -> None:
        self.name, self._wrong = name, wrong

    def infer(self, observations: IntArray) -> Answer:
        actions = (observations[:, :1] >= 0).astype(np.int64)
        if self._wrong is not None:
            actions[self._wrong] ^= 1
        return Answer(actions, None)


def test_the_cases_are_of_every_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(crown.EXAMPLES)
    read = [case.read() for case in crown.CASES.values()]
    assert {len(spec.hidden) for _, spec in read} == {0, 1, 2, 3}
    kinds = {type(task.actions).__name__ for task, spec in read if task.name.startswith("greenhouse")}
    assert kinds == {"BoxActions", "MultiDiscreteActions"}


def test_one_wrong_answer_is_counted_and_kept() -> None:
    standing = crown.Standing("", "", 4, 2, {})
    rows = np.random.default_rng(0).integers(-4, 4, (50, 4))
    assert crown._hold(rows, Sign("torch"), [Sign("rtl"), Sign("board", 7)], standing) == 2
    assert {name: count for name, count in standing.mismatches.items() if count} == {"board": 1}
    assert standing.first == {"executor": "board", "observation": rows[7].tolist()}


def test_visited_observations_are_of_further_episodes_each_time() -> None:
    task, standing = load_task("cartpole"), crown.Standing("", "", 4, 2, {})
    first, second = (crown._visited(task, Sign("torch"), standing) for _ in range(2))
    assert min(len(first), len(second)) >= crown.CHUNK
    assert not np.array_equal(first[:100], second[:100])
    assert asdict(standing)["episodes"] >= 2 * crown.EPISODES


def test_an_unknown_case_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
                                 tmp_path: Path) -> None:
    monkeypatch.setattr("sys.argv", ["crown", "chess", "--output", str(tmp_path)])
    with pytest.raises(SystemExit):
        crown.main()
    assert "no case 'chess'" in capsys.readouterr().err
