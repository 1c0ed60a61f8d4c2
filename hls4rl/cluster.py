"""An existing Dask cluster, on which many policies are trained or tried."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from hls4rl.errors import ProjectError

CONNECT_SECONDS = 20


@contextlib.contextmanager
def connect(scheduler: str) -> Iterator[Any]:
    """A ``distributed.Client`` of the cluster at ``scheduler`` (``tcp://host:port``), closed at the end.

    Raises:
        ProjectError: dask.distributed isn't installed, or nothing answers there.
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
        yield client
