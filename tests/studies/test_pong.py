"""What the grid measures of Pong is what the environment, on ALE, makes of the deployed integers."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import PolicySpec
from hls4rl.studies.paper import pong, publish, rows
from hls4rl.studies.paper.jobs import task_jobs
from hls4rl.studies.paper.pong_claims import claims
from hls4rl.studies.paper.pong_table import table
from hls4rl.studies.paper.results import Results
from hls4rl.studies.paper.statistics import student
from hls4rl.studies.paper.variants import PIXELS
from hls4rl.task import load_task
from hls4rl.train.methods import method
from hls4rl.train.parameters import Parameters
from hls4rl.train.pixels.pong import PIXELS as FEATURES

SPEC = PolicySpec("pong", "binarynet", 4, 0)


def test_the_games_are_those_of_the_emulator() -> None:
    task, game = load_task("pong"), 3
    parameters = Parameters.uniform((FEATURES, 4, 3), np.random.default_rng(0))
    policy = parameters.policy(SPEC, method(SPEC).deployed_contract(task))
    found = pong.returns(task, policy, {}, sampled=False)
    assert found.shape == (31,)
    env, backend, total, over = task.make(), IntegerBackend(policy.network), 0.0, False
    seen, _ = env.reset(seed=0, options={"start_frames": game})
    while not over:
        (action,) = backend.infer(task.integers(seen)[None]).actions[0]
        seen, reward, over, _, _ = env.step(action)
        total += float(reward)
    assert found[game] == total
    env.close()


def test_variants_reach_the_settings_that_they_name() -> None:
    tasks = {job.variant: job.task for job in task_jobs("pong", seeds=1)}
    assert set(tasks) == {variant.name for variant in PIXELS}
    pixels = {name: task.pixels for name, task in tasks.items() if task.pixels}
    assert [name for name, found in pixels.items() if found.target_kl] == ["own-kl"]
    training = {name: task.training for name, task in tasks.items()}
    assert [name for name, found in training.items() if found.reset_at_midpoint] == ["own-reset", "own-late"]
    assert training["own-late"].late_rate == tasks["own"].pixels.shared_learning_rate  # type: ignore[union-attr]


def test_the_table_has_a_line_for_each_cell() -> None:
    row = {"variant": "own", "task": "pong", "method": "fp", "hidden": 128, "episodes": 10, "rate": 1e-3}
    numbers = {"final": 15.0, "deployed": 16.0, "sampled": 14.0, "papers_pace": -3.0, "frames": 4_500_000}
    text = table(Results([{**row, **numbers, "seed": seed} for seed in range(3)]))
    assert "| `own` | fp | 128 | 3 | 4.5 | 15.0 [" in text


def test_student_is_students() -> None:
    # The deviations within the widths are 1, so the pooled variance is 1 with 4 degrees of freedom. The mean of two
    # means of three has a standard error of sqrt(1/3 + 1/3) / 2 = 0.408; 97.5 % of Student's t with 4 lie below 2.776.
    found = student([np.array([1.0, 2.0, 3.0]), np.array([5.0, 6.0, 7.0])])
    assert (found.value, round(found.low, 3), round(found.high, 3)) == (4.0, 2.867, 5.133)
    assert student([np.array([1.0])]).high == np.inf


def test_student_covers() -> None:
    rng = np.random.default_rng(0)
    drawn = [student(list(rng.normal([[0.0], [3.0]], 2.0, (2, 3)))) for _ in range(2000)]
    assert 0.94 < np.mean([item.low < 1.5 < item.high for item in drawn]) < 0.96


def test_claims_are_held_against_their_controls() -> None:
    def cell(variant: str, method: str, value: float) -> list[dict[str, Any]]:
        numbers = {"final": value, "deployed": value, "sampled": value}
        return [
            {"variant": variant, "task": "pong", "method": method, "hidden": hidden, "seed": seed,
             **{name: number + 0.1 * seed * (method == "fp") for name, number in numbers.items()}}
            for hidden in (128, 256) for seed in range(3)
        ]

    text = claims(Results([
        *cell("own", "fp", 14.0), *cell("own-late", "fp", 17.0), *cell("own", "compression", 15.0),
        *cell("own", "pruning", 13.5), *cell("own", "binarynet", -21.0),
    ]))
    answers = {line.split("|")[2].strip(): line.count("**supported**") for line in text.splitlines() if "**" in line}
    assert answers == {
        "binarynet of `own` level with fp": 0, "above fp": 3, "level with fp": 3,
        "control: above fp with the same switch, rate and fresh optimiser (`own-late`)": 0,
    }
    assert text.count("**refuted**") == 6


def test_the_documentation_is_made_of_the_kept_rows(tmp_path: Path) -> None:
    place = tmp_path / "rows.jsonl"
    place.write_bytes(gzip.decompress(publish.PONG_ROWS.read_bytes()))
    results, text = Results(rows.read(place)), (publish.PROJECT / "docs" / "results.md").read_text(encoding="utf-8")
    assert text.count("| `own` | fp |") == 2
    assert publish.fill(text, results, "results.md", "pong", publish.PONG_TABLES) == text
