"""Many seeds at once: in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import functools
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from multiprocessing.queues import Queue
from pathlib import Path
from threading import Thread

from hls4rl.cluster import done_on_cluster
from hls4rl.policy import PolicySpec
from hls4rl.processes import worker_pool
from hls4rl.task import Task
from hls4rl.train.training import Standing

Train = Callable[[Task, PolicySpec, Path, Callable[[Standing], None] | None], Path]
"""Trains one seed in a folder of runs, and answers with a file of what it made."""
Watch = Callable[[int, Standing], None]
"""Told the seed and how far its training has come."""


def in_processes(train: Train, task: Task, specs: Sequence[PolicySpec], root: Path, watch: Watch | None) -> None:
    """Train ``specs`` in ``root``, as many at once as there are processors."""
    context = multiprocessing.get_context("spawn")
    messages: Queue[tuple[int, Standing] | None] = context.Queue()
    listener = Thread(target=_listen, args=(messages, watch), daemon=True)
    listener.start()
    workers = min(len(specs), os.cpu_count() or 1)
    try:
        with worker_pool(workers, _prepare_worker, messages) as pool:
            for future in as_completed([pool.submit(_work, train, task, spec, root) for spec in specs]):
                future.result()
        messages.put(None)
        listener.join()
    finally:
        messages.cancel_join_thread()


def on_cluster(
    train: Train, task: Task, specs: Sequence[PolicySpec], scheduler: str
) -> Iterator[tuple[PolicySpec, dict[str, bytes]]]:
    """Train ``specs`` on the workers of the Dask cluster at ``scheduler``; yields each with its files as it is done.

    Each worker needs this project installed; no file system is shared. A seed of a lost worker starts again elsewhere.

    Raises:
        ProjectError: dask.distributed isn't installed, nothing answers there, or a seed failed.
    """
    work = functools.partial(_train_here, train, task)
    return done_on_cluster(work, specs, scheduler, lambda spec: f"seed {spec.seed}")


def _train_here(train: Train, task: Task, spec: PolicySpec) -> dict[str, bytes]:
    """The files of one seed, on a worker that keeps nothing."""
    with tempfile.TemporaryDirectory(prefix="hls4rl-") as folder:
        made = train(task, spec, Path(folder), None).parent
        return {path.name: path.read_bytes() for path in sorted(made.iterdir()) if path.is_file()}


_messages: Queue[tuple[int, Standing] | None] | None = None


def _prepare_worker(messages: Queue[tuple[int, Standing] | None]) -> None:
    global _messages
    _messages = messages


def _work(train: Train, task: Task, spec: PolicySpec, root: Path) -> None:
    messages = _messages
    assert messages is not None
    train(task, spec, root, lambda standing: messages.put((spec.seed, standing)))


def _listen(messages: Queue[tuple[int, Standing] | None], watch: Watch | None) -> None:
    while (message := messages.get()) is not None:
        if watch is not None:
            watch(*message)
