"""One policy on several numbers of units: what is compared, and what is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from random_policies import random_policy

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.integer_backend import IntegerBackend
from hls4rl.studies.fold import FIGURES, compare, draw, units_of
from hls4rl.task import load_task


def test_units_are_numbers_each_once() -> None:
    assert units_of("4,0,1,1") == [0, 1, 4]
    with pytest.raises(ProjectError, match="UNITS=1,two"):
        units_of("1,two")


def test_every_observation_that_a_core_answers_otherwise_is_counted() -> None:
    task, network = load_task("cartpole"), random_policy("cartpole", "binarynet", hidden=4).network
    reference = IntegerBackend(network)

    class Wrong:
        name = "wrong"

        def infer(self, observations: IntArray) -> Answer:
            answer = reference.infer(observations)
            wrong = (observations[:, 0] == network.input.maximum)[:, None]
            return replace(answer, actions=answer.actions ^ wrong)

    right = compare(task, reference, reference, network, 3000)
    assert right["steps"] >= 3000
    assert right["mismatches"] == 0
    found = compare(task, reference, Wrong(), network, 3000)
    assert found["mismatches"] > found["steps"] / 2 / 2**network.input.bits / 2  # of the random half


def test_a_plot_has_every_task(tmp_path: Path) -> None:
    point = {**dict.fromkeys(FIGURES, 3), "lut": 100, "latency_ns": 500.0}
    found = [
        {"task": name, "run": "fp-h16-s0", "points": [{**point, "fold": 1}, {**point, "fold": 0, "latency_ns": 20.0}]}
        for name in ("acrobot", "cartpole")
    ]
    draw(found, tmp_path / "fold.png")
    assert (tmp_path / "fold.png").stat().st_size > 5000
