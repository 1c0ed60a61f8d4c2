"""``python -m hls4rl.studies.paper``: train the matrix, then draw and write everything."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hls4rl.cli import print_result, run
from hls4rl.errors import ProjectError
from hls4rl.policy import PolicySpec
from hls4rl.run import RUNS
from hls4rl.stage import exclusive, write_json
from hls4rl.studies.paper.jobs import Job, Outcome, cells, paper_jobs, quick_jobs, run_job, task_jobs
from hls4rl.studies.paper.results import Results
from hls4rl.studies.paper.schedule import run_locally, run_on_cluster

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def paper(
    quick: Annotated[
        bool, typer.Option("--quick", help="A small slice: 2 policies a cell, 2 widths, 600 episodes.")
    ] = False,
    task: Annotated[
        str | None, typer.Option(help="Instead: the five methods on this task (pong), with the settings of its file.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A Dask cluster's scheduler, tcp://host:port. Default: processes here.", envvar="SCHEDULER"),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Local processes. Default: one a processor.")] = None,
    csim: Annotated[
        bool, typer.Option("--csim", help="Also C-simulate the best policy of each steady cell and compare all logits.")
    ] = False,
    root: Annotated[Path | None, typer.Option(help="Where results go. Default: runs/paper-results.")] = None,
) -> None:
    """Redo the paper: 500 policies in two recipes with controls, Figures 3 to 6, tables, and claims.md.

    Policies that are there already aren't trained again, so that Ctrl-C costs only those in the making: run the same
    command to go on. Results are the same here and on a cluster. For a cluster of your own, start `dask scheduler`
    on one machine and `dask worker tcp://HOST:8786 --nworkers auto --nthreads 1` where this project is installed
    (under SLURM: `srun --ntasks=32 dask worker tcp://HOST:8786 --nthreads 1`), then give --scheduler tcp://HOST:8786.
    """
    if task and csim:
        raise ProjectError(f"CSIM=1 takes the control tasks' policies; for one of {task} say: make synth ENV={task}")
    size = "quick" if quick else "full"
    jobs = task_jobs(task, quick=quick) if task else quick_jobs() if quick else paper_jobs()
    place = (root or RUNS / "paper-results") / (f"{task}-{size}" if task else size)
    with exclusive(place):
        _train(jobs, place, scheduler, workers)
        results = Results(place, jobs)
        if task:
            print_result(_write_task(results, task, place))
            return
        checked = _check(results, place) if csim else None
        print_result(_write(results, len(jobs), checked, place))


def _train(jobs: list[Job], place: Path, scheduler: str | None, workers: int | None) -> None:
    missing = [job for job in jobs if not job.stage(place).is_current]
    if not missing:
        return
    if scheduler is None:
        _compile_once()
    outcomes = run_on_cluster(missing, scheduler) if scheduler else run_locally(missing, workers)
    waiting = {key: set(group) for key, group in cells(missing).items()}
    found: dict[Job, list[float]] = {key: [] for key in waiting}
    console = Console(stderr=True)
    columns = TextColumn("policies"), BarColumn(), MofNCompleteColumn(), TextColumn("time left"), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(jobs), completed=len(jobs) - len(missing))
        for outcome in outcomes:
            outcome.save(place)
            progress.advance(bar)
            _tell(outcome, waiting, found, console)


def _tell(outcome: Outcome, waiting: dict[Job, set[Job]], found: dict[Job, list[float]], console: Console) -> None:
    # A line for each cell that is complete, as results come.
    key = dataclasses.replace(outcome.job, spec=dataclasses.replace(outcome.job.spec, seed=0))
    waiting[key].discard(outcome.job)
    found[key].append(outcome.result["return"])
    if not waiting[key]:
        spec, values = key.spec, found[key]
        mean = sum(values) / len(values)
        cell = f"{key.variant:18} {spec.task:9} {spec.method:14} {spec.shape:>4}"
        console.print(f"{cell}: return {mean:7.1f}", highlight=False)


def _compile_once() -> None:
    # Else each process would compile the kernel for itself at its first job.
    run_job(Job("steady", PolicySpec("cartpole", "fp", (4,), 0), 2))


def _check(results: Results, place: Path) -> list[dict[str, Any]]:
    from hls4rl.studies.paper.check import check_best

    console, checked = Console(stderr=True), []
    for report in check_best(results, place):
        checked.append(report)
        console.print(
            f"C-sim {report['task']:9} {report['method']:14} {report['hidden']:4d}: {report['mismatches']} mismatches "
            f"in {report['observations']} observations", highlight=False,
        )
    if wrong := sum(report["mismatches"] for report in checked):
        raise ProjectError(f"the C-simulation differs on {wrong} observations; this is a bug, please report it")
    return checked


def _write(results: Results, policies: int, checked: list[dict[str, Any]] | None, place: Path) -> Path:
    from hls4rl.studies.paper import claims, figures, tables

    drawn = figures.draw_all(results, place / "figures")
    (place / "claims.md").write_text(claims.write(results, "figures"), encoding="utf-8")
    (place / "tables.md").write_text(tables.tables(results), encoding="utf-8")
    path = place / "paper.json"
    write_json(path, {
        "policies": policies,
        "csim": checked,
        "claims": {claim.title: claims.answer(claim.check(results)) for claim in claims.CLAIMS},
        "claims_file": os.path.relpath(place / "claims.md"),
        "tables_file": os.path.relpath(place / "tables.md"),
        "figures": [os.path.relpath(item) for item in drawn],
    })
    return path


def _write_task(results: Results, task: str, place: Path) -> Path:
    from hls4rl.studies.paper import figures, tables

    drawn = figures.draw_task(results, task, place / "figures")
    (place / "tables.md").write_text(tables.tables(results), encoding="utf-8")
    path = place / "paper.json"
    write_json(path, {
        "policies": sum(len(results.deployed(cell)) for cell in results.cells),
        "tables_file": os.path.relpath(place / "tables.md"),
        "figures": [os.path.relpath(item) for item in drawn],
    })
    return path


if __name__ == "__main__":
    run(app, "python -m hls4rl.studies.paper")
