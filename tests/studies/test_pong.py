"""What the grid measures of Pong is what the environment, on ALE, makes of the deployed integers."""

from __future__ import annotations

import numpy as np

from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import PolicySpec
from hls4rl.studies.paper import pong
from hls4rl.studies.paper.jobs import task_jobs
from hls4rl.studies.paper.pong_table import table
from hls4rl.studies.paper.results import Results
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
