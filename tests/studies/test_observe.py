from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from random_policies import random_policy
from typer.testing import CliRunner

from hls4rl.__main__ import app
from hls4rl.ranges import ranges_of, visited
from hls4rl.run import Run
from hls4rl.task import load_task, with_settings


def test_features_are_shown_with_what_saturates(tmp_path: Path) -> None:
    policy = random_policy("cartpole", "binarynet", hidden=4, seed=0)
    run = Run(policy.spec, tmp_path)
    run.policy.parent.mkdir(parents=True)
    policy.save(run.policy)
    answer = CliRunner().invoke(app, [
        "observe", "--env", "cartpole", "--hidden", "4", "--seed", "0", "--steps", "300", "--root", str(tmp_path),
    ])
    assert answer.exit_code == 0, answer.output
    found = json.loads((tmp_path / "cartpole" / "observe.json").read_text(encoding="utf-8"))
    assert found["steps"] == {"random": 300, "policy": 300}
    assert [item["scale"] for item in found["features"]] == [0.25, 0.5, 8, 0.5]
    task = load_task("cartpole")
    expected = task.converter.saturated(visited(task, None, 300))
    assert [item["saturated"]["random"] for item in found["features"]] == expected.tolist()
    assert (tmp_path / "cartpole" / "observe.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("bits", [3, 8])
def test_what_is_proposed_keeps_the_range_and_wastes_less_than_a_bit(bits: int) -> None:
    task = with_settings(load_task("cartpole"), "observation", bits=bits)
    rng = np.random.default_rng(0)
    values = rng.uniform(-1, 1, (5000, 4)) * [0.1, 1.0, 3.0, 100.0] + [0.0, 7.0, 0.1, -1000.0]
    ranges = ranges_of(task, values)
    assert ranges.offset[[0, 2]].tolist() == [0.0, 0.0]
    assert ranges.offset[[1, 3]] == pytest.approx([7.0, -1000.0], rel=0.01)
    reach = np.maximum(np.abs(ranges.low - ranges.offset), np.abs(ranges.high - ranges.offset)) * ranges.scale
    top = task.observation.type.maximum * task.observation.type.lsb
    assert (reach <= top + task.observation.type.lsb / 2).all()
    assert (2 * reach > top).all()
