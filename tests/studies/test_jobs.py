"""The matrix of jobs: the same results however they are run, whoever dies."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hls4rl import cluster
from hls4rl.errors import ProjectError
from hls4rl.policy import METHODS, PolicySpec, load_policy
from hls4rl.studies.paper.jobs import VARIANTS, WIDTHS, Job, Outcome, cells, paper_jobs, quick_jobs, run_job, task_jobs
from hls4rl.studies.paper.schedule import run_locally, run_on_cluster
from hls4rl.task import load_task

JOBS = [Job("steady", PolicySpec("cartpole", method, 8, seed), 30) for method in ("fp", "binarynet") for seed in (0, 1)]


@pytest.fixture(scope="module")
def expected() -> dict[Job, Outcome]:
    return {job: run_job(job) for job in JOBS}


def same(found: list[Outcome], expected: dict[Job, Outcome]) -> bool:
    return {outcome.job: outcome for outcome in found} == expected and len(found) == len(expected)


def test_the_matrix_is_the_papers() -> None:
    steady = [job for job in paper_jobs() if job.variant == "steady"]
    assert len(steady) == 500
    assert len(cells(steady)) == 2 * len(METHODS) * len(WIDTHS)
    assert len(set(paper_jobs())) == len(paper_jobs()) == 1600
    assert {job.variant for job in quick_jobs()} == set(VARIANTS) - {"own"}
    pong = task_jobs("pong")
    assert len(set(pong)) == len(METHODS) * 2 * 10
    assert all(job.task == load_task("pong") for job in pong)
    assert all(job.task.training.advantage == "trajectory" for job in paper_jobs() if job.variant.startswith("plain"))


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


def test_outcomes_are_kept_and_not_made_again(tmp_path: Path, expected: dict[Job, Outcome]) -> None:
    job = JOBS[0]
    assert not job.stage(tmp_path).is_current
    expected[job].save(tmp_path)
    assert job.stage(tmp_path).is_current
    policy = load_policy(job.stage(tmp_path).directory / "policy.safetensors")
    assert policy.spec == job.spec
    other = Job("steady", job.spec, 31)
    assert not other.stage(tmp_path).is_current


def test_a_seed_does_not_depend_on_its_neighbours(expected: dict[Job, Outcome]) -> None:
    alone = run_job(JOBS[1])
    assert alone == expected[JOBS[1]]
    assert not np.array_equal(alone.result["curve"], expected[JOBS[0]].result["curve"])
