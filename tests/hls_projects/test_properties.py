from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.prove.properties import judge, observations_of, read_properties
from hls4rl.task import load_task

SHIPPED = Path(__file__).resolve().parents[2] / "hls_projects" / "properties"
TASK = load_task("cartpole")


class Rule:
    name = "rule"

    def __init__(self, act: Callable[[IntArray], IntArray]) -> None:
        self._act = act

    def infer(self, observations: IntArray) -> Answer:
        return Answer(self._act(observations).astype(np.int64)[:, None], None)


def verdicts(tmp_path: Path, text: str, act: Callable[[IntArray], IntArray]) -> list[str]:
    path = tmp_path / "properties.toml"
    path.write_text(text)
    return [judge(item, Rule(act), TASK, None, 1).status for item in read_properties(path, TASK)]


def test_a_rule_is_proven_where_it_holds_and_refuted_by_an_observation_where_not(tmp_path: Path) -> None:
    text = """
[[property]]
name = "right"
box = { 2 = [0.04, 0.2] }
always = 1
[[property]]
name = "everywhere right"
always = 1
[[property]]
name = "not left"
box = { 2 = [0.04, 0.2] }
never = 0
[[property]]
name = "monotone"
monotone = 2
[[property]]
name = "falls with the position"
monotone = 0
[[property]]
name = "mirror"
mirror = true
"""
    leaning = verdicts(tmp_path, text, lambda rows: rows[:, 2] > 0)
    assert leaning == ["proven", "refuted", "proven", "proven", "proven", "refuted"]
    assert verdicts(tmp_path, text, lambda rows: rows[:, 0] < 0)[3:5] == ["proven", "refuted"]


def test_a_box_is_what_the_converter_makes_of_it_and_a_counterexample_lies_in_it(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[[property]]\nname = "x"\nbox = { 0 = [-1.0, 1.0], 2 = [0.05, 9.0] }\nalways = 1\n')
    found, = read_properties(path, TASK)
    rows = np.concatenate(list(observations_of(found)))
    assert len(rows) == found.observations == len(np.unique(rows, axis=0))
    low, high = TASK.converter.integers(np.array([[-1.0, 0, 0.05, 0], [1.0, 0, 9.0, 0]]))
    assert (rows[:, 0].min(), rows[:, 0].max()) == (low[0], high[0])
    assert (rows[:, 2].min(), rows[:, 2].max()) == (low[2], high[2])
    verdict = judge(found, Rule(lambda rows: rows[:, 0] != high[0]), TASK, None, 1)
    assert verdict.counterexample is not None
    assert verdict.counterexample["integers"][0] == high[0]
    assert np.array_equal(
        TASK.converter.integers(np.array(verdict.counterexample["observation"])), verdict.counterexample["integers"]
    )


@pytest.mark.parametrize(("text", "message"), [
    ("[[property]]\nname = 'x'\nalways = 2\n", "always = 2"),
    ("[[property]]\nname = 'x'\nalways = 1\nnever = 0\n", "one of always"),
    ("[[property]]\nname = 'x'\nalways = 1\nbox = { 9 = [0, 1] }\n", "box has 9"),
    ("[[property]]\nname = 'x'\nalways = 1\nbox = { 1 = [1, 0] }\n", "box has 1"),
    ("[[property]]\nname = 'x'\nbounded = [0.0, 1.0]\n", "bounded"),
    ("[[property]]\nname = 'x'\nalways = 1\ncolour = 2\n", "colour is none of these"),
    ("property = 3\n", "one table"),
    ("[[property", "not readable"),
])
def test_what_is_not_understood_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ProjectError, match=message):
        read_properties(path, TASK)


@pytest.mark.parametrize("name", ["acrobot", "cartpole", "pendulum"])
def test_the_shipped_files_are_understood(name: str) -> None:
    assert read_properties(SHIPPED / f"{name}.toml", load_task(name))
