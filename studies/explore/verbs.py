"""The verb ``explore``: search for the smallest and quickest cores that solve a task."""

from __future__ import annotations

import re
import sys
from typing import Annotated

from rich.console import Console

from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.options import (
    Activation,
    Env,
    NormaliserFile,
    PolicyOptions,
    Root,
    Scheduler,
    Settings,
    Squash,
    Teacher,
    Workers,
    option,
)
from hls4rl.run import RUNS
from hls4rl.task import load_task

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
_UNITS = {"s": 1, "m": 60, "h": 3600}

Budget = Annotated[str, option("--budget", "Time to search: 90s, 30m, 2h.")]
Parts = Annotated[str | None, option("--part", "FPGA to build for, or several with commas. Default: the task's.")]


def explore(
    env: Env = "cartpole", budget: Budget = "30m", part: Parts = None, workers: Workers = None,
    scheduler: Scheduler = None, settings: Settings = None, teacher: Teacher = None,
    normaliser: NormaliserFile = None, activation: Activation = None, squash: Squash = None, root: Root = RUNS,
) -> None:
    """Search methods, widths, bits, inputs and pipelines, and place what may be on the Pareto front.

    With --teacher every candidate is trained after that policy, instead of by itself.

    Each call goes on from the trials that were made before, for another BUDGET; Ctrl-C keeps all that is done.
    """
    from hls4rl.studies.explore.search import explore as search
    from hls4rl.studies.explore.summary import Progress, print_front

    source = PolicyOptions(teacher=teacher, normaliser=normaliser, activation=activation, squash=squash).source()
    with Progress(CONSOLE) as progress:
        path = search(
            load_task(env), env, seconds=seconds_of(budget), settings=settings or "", root=root,
            parts=tuple(part.split(",")) if part else (), workers=workers, scheduler=scheduler, watch=progress,
            source=source,
        )
    print_front(path, CONSOLE)
    print_result(path)


def seconds_of(text: str) -> float:
    """``90s``, ``30m`` or ``2h`` in seconds.

    Raises:
        ProjectError: not such a text, or nothing.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text.strip())
    if not match or float(match[1]) == 0:
        raise ProjectError(f"BUDGET={text} is no time; write for instance 90s, 30m or 2h")
    return float(match[1]) * _UNITS[match[2]]

