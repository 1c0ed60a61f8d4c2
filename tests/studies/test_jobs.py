"""The grid of jobs: the same results however they are run, whoever dies."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hls4rl import cluster
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import PolicySpec
from hls4rl.studies.paper import rates, rows
from hls4rl.studies.paper.jobs import Job, Outcome, cells, paper_jobs, quick_jobs, run_job, task_jobs
from hls4rl.studies.paper.policy_cost import cost_of
from hls4rl.studies.paper.schedule import run_locally, run_on_cluster
from hls4rl.studies.paper.tuning import tuning_jobs
from hls4rl.studies.paper.variants import CONTROL_TASKS, PIXELS, VARIANTS, WIDTHS
from hls4rl.task import load_task
from hls4rl.train.methods import PAPER_METHODS
from hls4rl.train.training import train_policy

JOBS = [
    Job("steady", PolicySpec("cartpole", method, 8, seed), 30, 5e-3)
    for method in ("fp", "binarynet") for seed in (0, 1)
]


@pytest.fixture(scope="module")
def expected() -> dict[Job, Outcome]:
    return {job: run_job(job) for job in JOBS}


def same(found: list[Outcome], expected: dict[Job, Outcome]) -> bool:
    return {outcome.job: outcome for outcome in found} == expected and len(found) == len(expected)


def test_the_matrix_is_the_papers() -> None:
    paper = [job for job in paper_jobs() if job.variant == "paper" and job.spec.task in CONTROL_TASKS]
    assert len(paper) == 500
    assert len(cells(paper)) == 2 * len(PAPER_METHODS) * len(WIDTHS)
    assert len(set(paper_jobs())) == len(paper_jobs()) == 4000
    assert {job.variant for job in quick_jobs()} == set(VARIANTS) - {item.name for item in PIXELS}
    pong = task_jobs("pong", seeds=3)
    assert len(set(pong)) == len(pong) == (len(PAPER_METHODS) + 4) * 2 * 3
    assert all(job.task == load_task("pong") for job in pong if job.variant == "own")
    assert len(task_jobs("pong")) == 180


def test_the_papers_recipe_is_the_papers() -> None:
    for job in paper_jobs():
        training = job.task.training
        if job.variant == "paper":
            assert (training.optimiser, training.real_numbers, training.raw_observations) == ("sgd", True, True)
            assert (training.advantage, training.entropy, training.unit_signs) == ("trajectory", 0.0, True)
            assert training.episodes >= 3000, "Fig. 4 speaks of 500 to 3,000"
        assert training.learning_rate == {
            "small-step": 0.01, "small-step-late": 0.01,
        }.get(job.variant, training.learning_rate)


def test_each_method_has_the_same_budget_of_tuning() -> None:
    trials: dict[tuple[str, str, str], int] = {}
    for job in tuning_jobs():
        key = job.variant, job.spec.task, job.spec.method
        trials[key] = trials.get(key, 0) + 1
        assert job.spec.seed >= 1000, "seeds that the grid does not use"
    assert set(trials.values()) == {15}
    assert {key for key in trials if key[0] == "paper"} == {
        ("paper", task, method) for task in CONTROL_TASKS for method in PAPER_METHODS
    }


def test_the_published_rates_are_the_best_of_their_trials() -> None:
    found = rates.published()
    for recipe, by_task in found["trials"].items():
        for task, by_method in by_task.items():
            for method, trials in by_method.items():
                best = max(trials, key=lambda rate: (trials[rate], -float(rate)))
                assert found["rates"][recipe][task][method] == float(best)
                assert len(trials) == 5


def test_local_processes_give_the_same(expected: dict[Job, Outcome]) -> None:
    assert same(list(run_locally(JOBS, workers=2)), expected)


def test_a_killed_process_loses_nothing(expected: dict[Job, Outcome]) -> None:
    killed = threading.Event()

    def kill() -> None:
        import multiprocessing

        while not (children := multiprocessing.active_children()):
            time.sleep(0.01)
        os.kill(children[0].pid or 0, signal.SIGKILL)
        killed.set()

    threading.Thread(target=kill, daemon=True).start()
    assert same(list(run_locally(JOBS, workers=1)), expected)
    assert killed.is_set()


def test_a_cluster_with_a_killed_worker_gives_the_same(expected: dict[Job, Outcome]) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        outcomes = run_on_cluster(JOBS, cluster.scheduler_address)
        found = [next(outcomes)]
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        found.extend(outcomes)
    assert same(found, expected)


def test_no_cluster_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(ProjectError, match="no Dask scheduler answers"):
        list(run_on_cluster(JOBS, "tcp://127.0.0.1:9"))


def test_a_cluster_without_workers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs=50) as empty:
        monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
        with pytest.raises(ProjectError, match=f"no workers; start one with: dask worker {empty.scheduler_address}"):
            list(run_on_cluster(JOBS, empty.scheduler_address))


def test_rows_are_kept_and_not_made_again(tmp_path: Path, expected: dict[Job, Outcome]) -> None:
    path = tmp_path / "rows.jsonl"
    assert rows.missing(path, JOBS) == JOBS
    rows.append(path, expected[JOBS[1]].row)
    with path.open("a") as file:
        file.write('{"variant": "steady", "ta')  # a kill in the middle of a row
    assert rows.missing(path, JOBS) == [JOBS[0], *JOBS[2:]]
    with pytest.raises(ProjectError, match="3 of 4 policies are not trained yet"):
        rows.settle(path, JOBS)
    for job in (JOBS[3], JOBS[2], JOBS[0]):
        rows.append(path, expected[job].row)
    assert rows.settle(path, JOBS) == rows.read(path) == [expected[job].row for job in JOBS]
    whole = path.read_bytes()
    for damaged in (
        whole.replace(b'"seed":0', b'"seed":7', 1), whole.replace(b"steady", b"st\xffady", 1), whole[:-9],
        re.sub(rb',"check":"[0-9a-f]+"', b"", whole, count=1),
    ):
        assert damaged != whole
        path.write_bytes(damaged)
        assert len(rows.missing(path, JOBS)) == 1
    path.write_bytes(whole)
    other = Job("steady", JOBS[0].spec, 31, 5e-3)
    assert rows.missing(path, [other]) == [other]


def test_a_policy_is_measured_as_it_was_trained_and_as_it_is_deployed() -> None:
    job = Job("steady", PolicySpec("cartpole", "fp", 8, 0), 300, 5e-3)
    row = run_job(job).row
    policy = train_policy(job.task, job.spec).policy
    assert row["deployed"] == play(job.task, IntegerBackend(policy.network), 100, 0).mean_return
    assert row["long"] >= row["deployed"]
    assert row["cost"]["energy_pj"] == cost_of(policy).energy_pj
    raw = run_job(Job("paper", PolicySpec("cartpole", "fp", 8, 0), 30, 0.1)).row
    assert (raw["deployed"], raw["cost"]) == (None, None)
    with pytest.raises(ProjectError, match="raw_observations"):
        train_policy(Job("paper", PolicySpec("cartpole", "fp", 8, 0), 30, 0.1).task, PolicySpec("cartpole", "fp", 8, 0))


def test_a_seed_does_not_depend_on_its_neighbours(expected: dict[Job, Outcome]) -> None:
    alone = run_job(JOBS[1])
    assert alone == expected[JOBS[1]]
    assert not np.array_equal(alone.row["curve"], expected[JOBS[0]].row["curve"])
