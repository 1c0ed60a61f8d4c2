"""Run jobs in local processes, or on a Dask cluster; outcomes come in any order, each job's once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread

from hls4rl.cluster import ATTEMPTS, done_on_cluster
from hls4rl.errors import ProjectError
from hls4rl.processes import end_workers, new_pool
from hls4rl.studies.paper.jobs import Job, Outcome, run_job


def run_locally(jobs: list[Job], workers: int | None = None, place: Path | None = None) -> Iterator[Outcome]:
    """Yield each job's outcome from one of ``workers`` processes (default: one for each processor).

    A process that is killed loses only its own job, which another one takes up, from where it was left if ``place``,
    the folder for runs that take long, is given.

    Raises:
        ProjectError: a job's process died :data:`ATTEMPTS` times.
    """
    waiting: SimpleQueue[Job] = SimpleQueue()
    done: SimpleQueue[Outcome | BaseException] = SimpleQueue()
    for job in jobs:
        waiting.put(job)
    stop = Event()
    count = min(workers or os.cpu_count() or 1, max(1, len(jobs)))
    for _ in range(count):
        Thread(target=_serve, args=(waiting, done, stop, place), daemon=True).start()
    try:
        for _ in jobs:
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        stop.set()
        end_workers()


def run_on_cluster(jobs: list[Job], scheduler: str) -> Iterator[Outcome]:
    """Yield each job's outcome from the workers of the Dask cluster at ``scheduler`` (``tcp://host:port``).

    Each worker needs this project installed; no file system is shared. A job of a lost worker runs again elsewhere.

    Raises:
        ProjectError: dask.distributed isn't installed, nothing answers there, or a job failed.
    """
    for _, outcome in done_on_cluster(run_job, jobs, scheduler, repr):
        yield outcome


def _serve(
    waiting: SimpleQueue[Job], done: SimpleQueue[Outcome | BaseException], stop: Event, place: Path | None
) -> None:
    # One thread drives one process, so that a dead process takes no other's work with it.
    pool = new_pool(1)
    while not stop.is_set():
        try:
            job = waiting.get_nowait()
        except Empty:
            break
        try:
            for _ in range(ATTEMPTS):
                try:
                    done.put(pool.submit(run_job, job, place).result())
                    break
                except BrokenProcessPool:
                    if stop.is_set():
                        return
                    pool = new_pool(1)
            else:
                done.put(ProjectError(f"the process of {job} died {ATTEMPTS} times; is there enough memory?"))
        except Exception as error:
            done.put(error)
    pool.shutdown(wait=False)
