"""Run jobs, wherever, with progress; their rows are kept as they come."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hls4rl.policy import PolicySpec
from hls4rl.studies.paper import rows
from hls4rl.studies.paper.jobs import Job, cells, run_job
from hls4rl.studies.paper.schedule import run_locally, run_on_cluster
from hls4rl.train.pixels.arcade import PONG

POLICIES = "policies"
"""Folder beside the rows for runs that take long: each goes on from there."""


def run_missing(jobs: Sequence[Job], path: Path, scheduler: str | None, workers: int | None) -> None:
    """Run those of ``jobs`` that have no row in ``path`` yet, and add their rows."""
    missing = rows.missing(path, jobs)
    if not missing:
        return
    if scheduler is None:  # else each process would compile the kernel for itself at its first job
        run_job(Job("own", PolicySpec("cartpole", "fp", (4,), 0), 2))
    place = path.parent / POLICIES
    outcomes = run_on_cluster(missing, scheduler) if scheduler else run_locally(missing, workers, place)
    console = Console(stderr=True)
    if missing[0].task.environment == PONG and scheduler is None:
        from hls4rl.studies.paper.pong import estimate

        specs = [job.spec for job in missing]
        console.print(estimate(specs, missing[0].task, workers), highlight=False)
    waiting = {key: set(group) for key, group in cells(missing).items()}
    found: dict[Job, list[float]] = {key: [] for key in waiting}
    columns = TextColumn("policies"), BarColumn(), MofNCompleteColumn(), TextColumn("time left"), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(jobs), completed=len(jobs) - len(missing))
        for outcome in outcomes:
            rows.append(path, outcome.row)
            progress.advance(bar)
            key = dataclasses.replace(outcome.job, spec=dataclasses.replace(outcome.job.spec, seed=0))
            waiting[key].discard(outcome.job)
            found[key].append(outcome.row["final"])
            if not waiting[key]:  # a line for each cell that is complete, as results come
                spec, mean = key.spec, sum(found[key]) / len(found[key])
                cell = f"{key.variant:18} {spec.task:11} {spec.method:14} {spec.shape:>4}"
                console.print(f"{cell}: return {mean:7.1f}", highlight=False)
