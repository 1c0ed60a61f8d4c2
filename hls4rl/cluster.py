"""An existing Dask cluster, on which many policies are trained or tried."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from hls4rl.errors import ProjectError

CONNECT_SECONDS = 20
ATTEMPTS = 4
"""A job whose worker is lost so often is given up."""

Job = TypeVar("Job")
Answer = TypeVar("Answer")


@contextlib.contextmanager
def connect(scheduler: str) -> Iterator[Any]:
    """A ``distributed.Client`` of the cluster at ``scheduler`` (``tcp://host:port``), closed at the end.

    Raises:
        ProjectError: dask.distributed isn't installed, nothing answers there, or there is no worker.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ImportError as error:
        raise ProjectError("SCHEDULER needs dask.distributed; install it with: pip install distributed") from error
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ProjectError(f"no Dask scheduler answers at '{scheduler}'; start one with: dask scheduler") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise ProjectError(
                f"the Dask scheduler at '{scheduler}' has no workers; start one with: dask worker {scheduler}"
            ) from error
        yield client


def done_on_cluster(
    work: Callable[[Job], Answer], jobs: Sequence[Job], scheduler: str, name: Callable[[Job], str]
) -> Iterator[tuple[Job, Answer]]:
    """Do ``work`` for each of ``jobs`` on the workers of the cluster at ``scheduler``; yields each as it is done.

    Each worker needs this project installed; no file system is shared. A job of a lost worker starts again elsewhere.

    Args:
        name: what a job is called where it fails.

    Raises:
        ProjectError: see :func:`connect`; or a job failed.
    """
    with connect(scheduler) as client:
        as_completed: Any = importlib.import_module("distributed").as_completed
        futures = client.map(work, jobs, retries=ATTEMPTS, pure=False, batch_size=64)
        job_of = dict(zip(futures, jobs, strict=True))
        try:
            for future in as_completed(futures):
                job = job_of[future]
                if future.status != "finished":
                    raise ProjectError(
                        f"{name(job)} failed on the cluster: {future.exception()!r}; see the worker's log"
                    )
                yield job, future.result()
                future.release()
        finally:
            with contextlib.suppress(Exception):
                client.cancel(futures)
