"""``python -m hls4rl.studies.explore``: search for the smallest and quickest cores that solve a task."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer
from rich.console import Console

from hls4rl.cli import print_result, run
from hls4rl.errors import ProjectError
from hls4rl.options import Env, Root, Settings
from hls4rl.run import RUNS
from hls4rl.task import load_task

app = typer.Typer(add_completion=False, rich_markup_mode=None)

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
_UNITS = {"s": 1, "m": 60, "h": 3600}


@app.command()
def main(
    env: Env = "cartpole",
    budget: Annotated[str, typer.Option(help="Time to search: 90s, 30m, 2h.")] = "30m",
    parts: Annotated[str | None, typer.Option("--part", help="Part to build for, or several with commas.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Trials at once. Default: one a processor.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="tcp://host:port of a Dask cluster to run the trials.")] = None,
    settings: Settings = None,
    root: Root = None,
) -> None:
    """Search methods, widths, bits, inputs and pipelines, and place what may be on the Pareto front.

    Each call goes on from the trials that were made before, for another BUDGET; Ctrl-C keeps all that is done.
    """
    from hls4rl.studies.explore.search import explore
    from hls4rl.studies.explore.summary import Progress, print_front

    chosen = tuple(parts.split(",")) if parts else ()
    with Progress(CONSOLE) as progress:
        path = explore(
            load_task(env), env, seconds=seconds_of(budget), settings=settings or "", root=root or RUNS,
            parts=chosen, workers=workers, scheduler=scheduler, watch=progress,
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


if __name__ == "__main__":
    run(app, "python -m hls4rl.studies.explore")
