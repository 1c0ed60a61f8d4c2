from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_policies import random_policy

from hls4rl.actions import MultiDiscreteActions
from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.yosys import verilog_commands
from hls4rl.hls_projects.prove import sat
from hls4rl.hls_projects.prove.logic import Logic, combinational
from hls4rl.hls_projects.prove.picture import draw_counterexamples
from hls4rl.hls_projects.prove.properties import Property, judge, observations_of, read_properties, violation
from hls4rl.hls_projects.prove.reference import REFERENCE, reference_verilog
from hls4rl.hls_projects.rtl.pipelined import LOGIT_BITS
from hls4rl.hls_projects.simulation.gates import Circuit, elaborate
from hls4rl.task import load_task, with_settings

SHIPPED = Path(__file__).resolve().parents[2] / "hls_projects" / "properties"
TASK = load_task("cartpole")
RED = "#d62728"


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
    picture = tmp_path / "p.svg"
    assert draw_counterexamples([found], [verdict], TASK.converter, picture)
    assert picture.read_text(encoding="utf-8").count(f"fill: {RED}") == TASK.features
    assert not draw_counterexamples([found], [replace(verdict, counterexample=None)], TASK.converter, picture)


@pytest.mark.parametrize(("text", "message"), [
    ("[[property]]\nname = 'x'\nalways = 2\n", "always = 2"),
    ("[[property]]\nname = 'x'\nalways = 1\nnever = 0\n", "one of always"),
    ("[[property]]\nname = 'x'\nalways = 1\nbox = { 9 = [0, 1] }\n", "box has 9"),
    ("[[property]]\nname = 'x'\nalways = 1\nbox = { 1 = [1, 0] }\n", "box has 1"),
    ("[[property]]\nname = 'x'\nbounded = [0.0, 1.0]\n", "bounded"),
    ("[[property]]\nname = 'x'\nalways = 1\ncolour = 2\n", "colour is none of these"),
    ("property = 3\n", "one table"),
    ("[[property", "not readable"),
    ("[[property]]\nname = 'x'\nalways = 1\nbox = 5\n", "box is 5"),
    ("[[property]]\nname = 'x'\nalways = 1\nbox = { '²' = [0, 1] }\n", "box has ²"),
    (f"[[property]]\nname = 'x'\nalways = 1\nbox = {{ {'9' * 5000} = [0, 1] }}\n", "box has 9"),
])
def test_what_is_not_understood_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ProjectError, match=message):
        read_properties(path, TASK)


@pytest.mark.parametrize("name", ["acrobot", "cartpole", "lunarlander", "pendulum"])
def test_the_shipped_files_are_understood(name: str) -> None:
    assert read_properties(SHIPPED / f"{name}.toml", load_task(name))


def test_what_offsets_or_several_choices_make_ambiguous_is_refused(tmp_path: Path) -> None:
    path, moved = tmp_path / "p.toml", with_settings(TASK, "observation", offset=(0.5,))
    path.write_text("[[property]]\nname = 'x'\nmirror = true\n")
    assert read_properties(path, TASK)
    with pytest.raises(ProjectError, match=r"observation\.offset"):
        read_properties(path, moved)
    path.write_text("[[property]]\nname = 'x'\nnever = 0\n")
    several = TASK.__class__("several", "CartPole-v0")
    several.__dict__["actions"] = MultiDiscreteActions(np.array([2, 2]), np.zeros(2, np.int64), np.int64)
    with pytest.raises(ProjectError, match="never = 0; always and never take the number of a Discrete action"):
        read_properties(path, several)


def test_the_lowest_integer_is_the_mirror_image_of_the_highest(tmp_path: Path) -> None:
    task, path = load_task("pendulum"), tmp_path / "p.toml"
    path.write_text("[[property]]\nname = 'x'\nmirror = true\nbox = { 0 = [-0.1, 0.1], 1 = [0, 0], 2 = [0.1, 1] }\n")
    found, = read_properties(path, task)
    assert judge(found, Rule(lambda rows: np.where(rows[:, 2] > 0, -128, 127)), task, None, 1).status == "proven"
    assert judge(found, Rule(lambda rows: np.where(rows[:, 2] > 0, -128, 126)), task, None, 1).status == "refuted"


def test_what_the_solver_is_asked_is_what_enumeration_answers(tmp_path: Path) -> None:
    """Boxes of a trained form's 4,096 observations, ``always`` and ``never``: the gates that say "violated" are held
    against the definition, on every observation, and the solver's answer against that."""
    network, rng = random_policy("cartpole", "fp", hidden=3).network, np.random.default_rng(4)
    kind = network.input
    source, model = tmp_path / "reference.v", tmp_path / "model.json"
    source.write_text(reference_verilog(network, LOGIT_BITS), encoding="utf-8")
    elaborate(verilog_commands([source]), REFERENCE, model)
    logic = combinational(Circuit.load(model), ["action"])
    axis = np.arange(kind.minimum, kind.maximum + 1)
    rows = np.stack(np.meshgrid(*[axis] * network.features), axis=-1).reshape(-1, network.features)
    bits = (rows[:, :, None] >> np.arange(kind.bits) & 1).reshape(len(rows), -1).astype(np.uint64)
    actions, statuses = network.act(rows)[:, 0], set()
    for wanted in ("always", "never") * 5:
        ends = np.sort(rng.integers(kind.minimum, kind.maximum + 1, (2, network.features)), axis=0)
        found = Property("x", wanted, int(rng.integers(2)), ends[0], ends[1])
        inside = ((rows >= ends[0]) & (rows <= ends[1])).all(axis=1)
        expected = inside & ((actions == found.value) == (wanted == "never"))
        bad = violation(found, logic, kind)
        assert np.array_equal(bad.evaluate(bits, ["bad"])["bad"].reshape(len(rows), -1)[:, 0] & np.uint64(1), expected)
        never = Logic(bad.inputs, np.zeros((0, 4), dtype=np.int64), {"bad": np.array([0])})
        finding = sat.compare(bad, never, "bad", 60.0)
        assert finding.equal == (not expected.any())
        if finding.observation is not None:
            assert expected[(bits == finding.observation).all(axis=1)].all()
        statuses.add((wanted, finding.equal))
    assert len(statuses) >= 3
