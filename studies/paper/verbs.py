"""The verbs ``paper`` and ``tune``: train the grid, then draw and write everything; search the learning rates."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console

from hls4rl.artefact import exclusive, write_json
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.options import Root, Scheduler, Workers, option
from hls4rl.run import RUNS
from hls4rl.studies.paper import publish as documents
from hls4rl.studies.paper import rates, rows
from hls4rl.studies.paper.jobs import Outcome, paper_jobs, quick_jobs, task_jobs
from hls4rl.studies.paper.results import Results
from hls4rl.studies.paper.run import run_missing
from hls4rl.studies.paper.tuning import choose, tuning_jobs
from hls4rl.task import load_task
from hls4rl.train.pixels.arcade import PONG

ROWS = "results.jsonl"

Quick = Annotated[
    bool, option("--quick", "A small slice: 2 policies a cell, 2 widths, 300 episodes.", is_flag=True)
]
Published = Annotated[
    bool, option("--published", "Train nothing: draw from the rows that come with the project.", is_flag=True)
]
Publish = Annotated[
    bool, option("--publish", "Keep the rows with the project, and write the documentation's tables.", is_flag=True)
]
TaskName = Annotated[
    str | None, option("--task", "Instead: the five methods on this task (pong), with the settings of its file.")
]
Seeds = Annotated[
    int, option("--seeds", "With --task: policies of each method and width; the paper has 10.", min=1)
]
Csim = Annotated[
    bool, option("--csim", "Also C-simulate the best policy of each steady cell and compare all logits.", is_flag=True)
]


def paper(
    quick: Quick = False, published: Published = False, task: TaskName = None, scheduler: Scheduler = None,
    workers: Workers = None, csim: Csim = False, publish: Publish = False, seeds: Seeds = 3, root: Root = RUNS,
) -> None:
    """Redo the paper: four recipes with their controls, Figures 3 to 6, tables, and claims.md.

    Policies that are there already aren't trained again, so that Ctrl-C costs only those in the making: run the same
    command to go on. Results are the same here and on a cluster. For a cluster of your own, start `dask scheduler`
    on one machine and `dask worker tcp://HOST:8786 --nworkers auto --nthreads 1` where this project is installed
    (under SLURM: `srun --ntasks=32 dask worker tcp://HOST:8786 --nthreads 1`), then give --scheduler tcp://HOST:8786.
    """
    if task and csim:
        raise ProjectError(f"CSIM is of the control tasks; for {task} say: make synth ENV={task}")
    pong = task is not None and load_task(task).environment == PONG
    if task and not pong and (published or publish):
        raise ProjectError(f"PUBLISHED: no rows of {task} come with the project; leave it out, or say TASK=pong")
    if publish and quick:
        raise ProjectError(
            "PUBLISH keeps the rows of the whole grid with the project, and QUICK=1 makes a slice of it; leave it out"
        )
    size = "quick" if quick else "published" if published else "full"
    jobs = task_jobs(task, quick=quick, seeds=seeds) if task else quick_jobs() if quick else paper_jobs()
    place = root / "paper-results" / (f"{task}-{size}" if task else size)
    with exclusive(place):
        if published:
            kept = documents.PONG_ROWS if pong else documents.ROWS
            (place / ROWS).write_bytes(gzip.decompress(kept.read_bytes()))
            found = rows.read(place / ROWS)
        else:
            run_missing(jobs, place / ROWS, scheduler, workers)
            found = rows.settle(place / ROWS, jobs)
        results = Results(found)
        if task:
            path = _write_pong(results, place) if pong else _write_task(results, task, place)
            if publish:
                documents.publish_pong(results, place / ROWS, place / "figures" / "pong.png")
            print_result(path)
            return
        checked = _check(results, place) if csim else None
        path = _write(results, len(found), checked, place)
        if publish:
            documents.publish(results, place / ROWS, place / "figures")
        print_result(path)


def tune(scheduler: Scheduler = None, workers: Workers = None, root: Root = RUNS) -> None:
    """Search the learning rate of every method in every recipe, with one budget for all: studies/paper/rates.json.

    Trials that are there already aren't run again.
    """
    jobs, place = tuning_jobs(), root / "paper-results" / "tuning"
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


def _write_pong(results: Results, place: Path) -> Path:
    from hls4rl.studies.paper import pong_claims, pong_figure, pong_table

    drawn = pong_figure.draw(results, place / "figures")
    return _write_tables(results, f"{pong_table.table(results)}\n{pong_claims.claims(results)}", [drawn], place)


def _write_task(results: Results, task: str, place: Path) -> Path:
    from hls4rl.studies.paper import figures, tables

    return _write_tables(results, tables.tables(results), figures.draw_task(results, task, place / "figures"), place)


def _write_tables(results: Results, text: str, drawn: list[Path], place: Path) -> Path:
    (place / "tables.md").write_text(text, encoding="utf-8")
    path = place / "paper.json"
    write_json(path, {
        "policies": sum(len(results.seeds(cell)) for cell in results.cells),
        "tables_file": os.path.relpath(place / "tables.md"),
        "figures": [os.path.relpath(item) for item in drawn],
    })
    return path
