"""``python -m hls4rl.studies.paper``: train the matrix, then draw and write everything."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hls4rl.cli import print_result, run
from hls4rl.errors import ProjectError
from hls4rl.run import RUNS
from hls4rl.stage import exclusive, write_json
from hls4rl.studies.paper import rates, rows
from hls4rl.studies.paper.jobs import Outcome, paper_jobs, quick_jobs, task_jobs
from hls4rl.studies.paper.results import Results
from hls4rl.studies.paper.run import run_missing
from hls4rl.studies.paper.tuning import choose, tuning_jobs

PUBLISHED = Path(__file__).with_name("results.jsonl")
"""The rows that the documentation's figures were made of."""
ROWS = "results.jsonl"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def paper(
    context: typer.Context,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small slice: 2 policies a cell, 2 widths, 300 episodes.")
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
    published: Annotated[
        bool, typer.Option("--published", help="Train nothing: draw from the rows that come with the project.")
    ] = False,
    root: Annotated[Path | None, typer.Option(help="Where results go. Default: runs/paper-results.")] = None,
) -> None:
    """Redo the paper: four recipes with their controls, Figures 3 to 6, tables, and claims.md.

    Policies that are there already aren't trained again, so that Ctrl-C costs only those in the making: run the same
    command to go on. Results are the same here and on a cluster. For a cluster of your own, start `dask scheduler`
    on one machine and `dask worker tcp://HOST:8786 --nworkers auto --nthreads 1` where this project is installed
    (under SLURM: `srun --ntasks=32 dask worker tcp://HOST:8786 --nthreads 1`), then give --scheduler tcp://HOST:8786.
    """
    if context.invoked_subcommand:
        return
    if task and (csim or published):
        raise ProjectError(f"CSIM and PUBLISHED are of the control tasks; for {task} say: make synth ENV={task}")
    size = "quick" if quick else "published" if published else "full"
    jobs = task_jobs(task, quick=quick) if task else quick_jobs() if quick else paper_jobs()
    place = (root or RUNS / "paper-results") / (f"{task}-{size}" if task else size)
    with exclusive(place):
        if published:
            shutil.copy(PUBLISHED, place / ROWS)
            found = rows.read(place / ROWS)
        else:
            run_missing(jobs, place / ROWS, scheduler, workers)
            found = rows.settle(place / ROWS, jobs)
        results = Results(found)
        if task:
            print_result(_write_task(results, task, place))
            return
        checked = _check(results, place) if csim else None
        print_result(_write(results, len(found), checked, place))


@app.command()
def tune(
    scheduler: Annotated[
        str | None,
        typer.Option(help="A Dask cluster's scheduler, tcp://host:port. Default: processes here.", envvar="SCHEDULER"),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Local processes. Default: one a processor.")] = None,
    root: Annotated[Path | None, typer.Option(help="Where trials are kept. Default: runs/paper-results.")] = None,
) -> None:
    """Search the learning rate of every method in every recipe, with one budget for all: studies/paper/rates.json."""
    jobs, place = tuning_jobs(), (root or RUNS / "paper-results") / "tuning"
    with exclusive(place):
        run_missing(jobs, place / ROWS, scheduler, workers)
        found = rows.settle(place / ROWS, jobs)
    choose((Outcome(job, row) for job, row in zip(jobs, found, strict=True)), rates.FILE)
    print_result(rates.FILE)


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
    from hls4rl.studies.paper import figures, tables
    from hls4rl.studies.paper.answers import Answers

    drawn, answers = figures.draw_all(results, place / "figures"), Answers(results)
    (place / "claims.md").write_text(answers.document("figures"), encoding="utf-8")
    (place / "tables.md").write_text(tables.tables(results), encoding="utf-8")
    path = place / "paper.json"
    write_json(path, {
        "policies": policies,
        "csim": checked,
        "claims": answers.to_json(),
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
        "policies": sum(len(results.seeds(cell)) for cell in results.cells),
        "tables_file": os.path.relpath(place / "tables.md"),
        "figures": [os.path.relpath(item) for item in drawn],
    })
    return path


if __name__ == "__main__":
    run(app, "python -m hls4rl.studies.paper")
