"""The search: Optuna proposes, processes here or on a Dask cluster try, and every answer is kept at once.

All trials of a task lie in one journal file, so that a search that ended, was stopped or was killed goes on where it
was. ``explore.json`` is made from it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from hls4rl.actions import random_actions
from hls4rl.artefact import exclusive
from hls4rl.backend import Answer
from hls4rl.checked import read_checked, write_checked
from hls4rl.cluster import connect
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.policy import PolicySpec
from hls4rl.processes import end_workers, worker_pool
from hls4rl.run import RUNS
from hls4rl.studies.explore.front import front, point_of
from hls4rl.studies.explore.robust import robustness
from hls4rl.studies.explore.space import WIDTHS, first_guesses, shapes, suggest, usual
from hls4rl.studies.explore.trial import Job, run_trial
from hls4rl.task import Source, Task, change
from hls4rl.train.selection import VALIDATION_SEED
from hls4rl.train.trainers import resolve_trainer

RESULT = "explore.json"
JOURNAL = "trials.journal"
BASELINE_EPISODES = 20
"""Of a random policy: what any return is measured from."""
WORTH = 0.5
"""A policy is worth a core from halfway between a random policy's return and the target's on."""
SEEDS = {"kernel": 3}
"""Seeds that a trial trains, by trainer; others are too slow for more than one."""
WRITE_SECONDS = 5.0
REPETITIONS = 20
"""So many proposals in a row may be of candidates that were tried already; they cost no trial."""
_ANSWER, _ASKED = "answer", "asked"


@dataclass
class Standing:
    """How far a search has come."""

    trials: list[dict[str, Any]]
    front: list[int]
    """Indices into ``trials``."""
    seconds_left: float


def explore(
    task: Task, environment: str, *, seconds: float, settings: str = "", root: Path = RUNS,
    parts: tuple[str, ...] = (), workers: int | None = None, scheduler: str | None = None,
    watch: Callable[[Standing], None] | None = None, source: Source | None = None,
) -> Path:
    """Search for ``seconds``, beyond what was searched before; returns the path of ``explore.json``.

    Args:
        task: as its file says.
        environment: its name or path, as a command line has it.
        seconds: time to search.
        settings: changes of the task's settings that hold for all trials, for :func:`hls4rl.task.change`.
        root: runs are kept here; the search in ``<root>/<task>/explore/``.
        parts: to build for; the task's own if empty.
        workers: trials at once (default: one for each processor).
        scheduler: ``tcp://host:port`` of a Dask cluster to run the trials on, instead of here.
        watch: told after each trial.
        source: a policy that every candidate is trained after; None: each by itself.

    Raises:
        ProjectError: unknown part, a part without place and route, an environment that does not fit, or no scheduler.
    """
    changed = change(task, settings)[0]
    if changed.hardware.inputs_per_clock:
        raise ProjectError(
            f"task '{task.name}' streams its observations (hardware.inputs_per_clock), and one such core takes minutes "
            "to place; the search is for cores that take all features at once: build single ones with `make synth`"
        )
    chosen = parts or (changed.hardware.part,)
    for name in chosen:
        if not load_part(name).has_bitstream:
            raise ProjectError(f"part {name} has no open place and route, so nothing can be measured; choose another")
    task.spaces  # noqa: B018 (complains early about an environment that does not fit)
    directory = root / task.name / "explore"
    with exclusive(directory):
        _require_whole(directory)
        search = _Search(task, environment, settings, chosen, directory, seconds, watch, source)
        with _executor(workers, scheduler) as (executor, at_once):
            search.run(executor, at_once)
    return directory / RESULT


def random_return(task: Task) -> float:
    """Mean return of actions drawn evenly."""

    class Dice:
        name = "random"
        rng = np.random.default_rng(0)

        def infer(self, observations: IntArray) -> Answer:
            return Answer(random_actions(task.actions, len(observations), self.rng), None)

    return play(task, Dice(), BASELINE_EPISODES, VALIDATION_SEED).mean_return


class _Search:
    """One study: what was tried, and what to try next."""

    def __init__(
        self, task: Task, environment: str, settings: str, parts: tuple[str, ...], directory: Path, seconds: float,
        watch: Callable[[Standing], None] | None, source: Source | None,
    ) -> None:
        self._file, self._environment, self._settings, self._parts = task, environment, settings, parts
        self._task, self._watch, self._source = usual(task, settings, source), watch, source
        self._path, self._journal, self._end = directory / RESULT, directory / JOURNAL, time.monotonic() + seconds
        self._seeds = SEEDS.get(resolve_trainer(self._task, PolicySpec(task.name, "fp", (1,), 0)), 1)
        self._study = _open_study(self._journal, self._task, parts)
        self._baseline = self._constant("baseline", lambda: random_return(self._task))
        self._written = 0.0
        answered = [item.user_attrs for item in self._study.trials if _ANSWER in item.user_attrs]
        self._trials = [item[_ANSWER] for item in answered]
        self._tried = {item[_ASKED]: item[_ANSWER] for item in answered}

    def run(self, executor: Executor, at_once: int) -> None:
        """Ask and tell until the time is over, then write the result."""
        running: dict[Future[dict[str, Any]], optuna.trial.Trial] = {}
        try:
            while self._left > 0:
                while len(running) < at_once and self._left > self._typical_seconds:
                    trial, job = self._propose()
                    running[executor.submit(run_trial, job)] = trial
                if not running:
                    break
                done, _ = wait(running, timeout=max(0.0, self._left), return_when=FIRST_COMPLETED)
                for future in done:
                    self._take(running.pop(future), future)
        finally:
            for trial in running.values():
                self._study.tell(trial, state=TrialState.FAIL)
            self._write()

    @property
    def _left(self) -> float:
        return self._end - time.monotonic()

    @property
    def _typical_seconds(self) -> float:
        """What a trial takes that is not cut short: none is begun that would hardly end in time."""
        times = [trial["seconds"] for trial in self._trials if trial["status"] == "placed"]
        return float(np.median(times)) if times else 0.0

    @property
    def _target(self) -> float:
        return math.inf if self._task.solved is None else self._task.solved

    @property
    def _floor(self) -> float:
        best = max((trial["validation_return"] for trial in self._trials if trial["validation_return"] is not None),
                   default=self._baseline)
        return self._baseline + WORTH * (min(best, self._target) - self._baseline)

    def _propose(self) -> tuple[optuna.trial.Trial, Job]:
        """The next trial, and the job that it stands for; Optuna hears at once of what was tried already."""
        trial = self._study.ask()
        job = self._job(trial)
        for _ in range(REPETITIONS):
            known = self._tried.get(job.candidate.command)
            if known is None:
                break
            self._tell(trial, known)
            trial = self._study.ask()
            job = self._job(trial)
        trial.set_user_attr(_ASKED, job.candidate.command)
        return trial, job

    def _job(self, trial: optuna.trial.Trial) -> Job:
        candidate = suggest(
            trial, self._file, self._environment, self._parts, self._seeds, self._settings, self._source
        )
        points = tuple(point_of(self._trials[index]) for index in front(self._trials))
        return Job(self._file, candidate, self._seeds, points, self._floor, self._target, self._left)

    def _take(self, trial: optuna.trial.Trial, future: Future[dict[str, Any]]) -> None:
        try:
            answer = future.result()
        except BrokenProcessPool as error:
            raise ProjectError(
                "a trial's process was killed; is there enough memory? The other trials are kept: run again to go on"
            ) from error
        answer = {"number": trial.number, **answer}
        trial.set_user_attr(_ANSWER, answer)
        self._tell(trial, answer)
        self._trials.append(answer)
        self._tried[trial.user_attrs[_ASKED]] = answer
        if time.monotonic() - self._written > WRITE_SECONDS:
            self._write()
        if self._watch is not None:
            self._watch(Standing(self._trials, front(self._trials), max(0.0, self._left)))

    def _tell(self, trial: optuna.trial.Trial, answer: dict[str, Any]) -> None:
        values = self._values(answer)
        self._study.tell(trial, values, None if values else TrialState.FAIL)

    def _values(self, answer: dict[str, Any]) -> list[float] | None:
        """What Optuna makes small: both negative returns of validation, and the logarithms of size, latency, energy.

        The evaluation's returns are for the report; were they told, the search would learn its own examination.
        """
        if answer["validation_return"] is None:
            return None
        lut, latency = (
            answer[key] if answer[key] is not None else answer[estimate]
            for key, estimate in (("lut", "lut_estimate"), ("latency_ns", "latency_estimate_ns"))
        )
        returns = [-answer["validation_return"], -answer["validation_robust"]]
        return [*returns, math.log2(1 + lut), math.log2(latency), math.log2(1 + answer["energy_pj"])]

    def _constant(self, name: str, make: Callable[[], float]) -> float:
        if name not in self._study.user_attrs:
            self._study.set_user_attr(name, make())
        return float(self._study.user_attrs[name])

    def _write(self) -> None:
        best = front(self._trials)
        write_checked(self._path, {
            "task": self._task.name,
            "environment": self._environment,
            "settings": self._settings,
            "solved": self._task.solved,
            "random_return": self._baseline,
            "parts": self._parts,
            "front": [self._trials[index]["number"] for index in best],
            "robustness": robustness(self._task).words,
            "smallest_solving": self._least(best, "lut"),
            "smallest_robust": self._least(best, "lut", robust=True),
            "fastest_solving": self._least(best, "latency_ns"),
            "trials": self._trials,
            "journal": _prefix(self._journal, self._journal.stat().st_size),
        })
        self._written = time.monotonic()

    def _least(self, best: list[int], key: str, *, robust: bool = False) -> int | None:
        # The number of that trial on the front, chosen by validation; without a bar all count as solving.
        bar = robustness(self._task).bar
        solving = [
            trial for trial in (self._trials[index] for index in best)
            if (self._task.solved is None or trial["validation_return"] >= self._task.solved)
            and (not robust or bar is None or trial["validation_robust"] >= bar)
        ]
        return min(solving, key=lambda trial: (trial[key], trial["number"]))["number"] if solving else None


def _prefix(journal: Path, size: int) -> dict[str, Any]:
    """The journal's first ``size`` bytes: how many, and their SHA-256."""
    with journal.open("rb") as file:
        return {"bytes": size, "sha256": hashlib.sha256(file.read(size)).hexdigest()}


def _require_whole(directory: Path) -> None:
    """Insist that the journal is the one that ``explore.json`` was made from, and more at most.

    Raises:
        ProjectError: one of them was changed or is missing.
    """
    journal, result = directory / JOURNAL, directory / RESULT
    if not journal.exists() and not result.exists():
        return
    remedy = f"remove {directory} to search anew"
    try:
        content = journal.read_bytes()
        whole = content[:content.rfind(b"\n") + 1]
        for line in whole.splitlines():
            json.loads(line)
    except (OSError, ValueError, RecursionError) as error:
        raise ProjectError(f"{journal}: missing or damaged; {remedy}") from error
    if result.exists() and (known := read_checked(result, remedy)["journal"]) != _prefix(journal, known["bytes"]):
        raise ProjectError(f"{journal}: not the journal of the search in {result}; {remedy}")
    if whole != content:  # a kill in the middle of a line; what came after it would be lost with it
        os.truncate(journal, len(whole))


def _open_study(journal: Path, task: Task, parts: tuple[str, ...]) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    hardware = asdict(task.hardware)
    name = json.dumps([
        task.environment, task.environment_options, asdict(task.observation), asdict(task.network),
        asdict(task.training), hardware["clock_mhz"], hardware["place_seeds"], parts, task.solved,
        *([] if shapes(task) == WIDTHS else [shapes(task)]), *task.wrappers,
        *([asdict(task.action)] if task.actions.is_continuous else []),
        *([task.source.digest, asdict(task.distillation)] if task.source else []),
    ])
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(journal))), study_name=name, load_if_exists=True,
        sampler=optuna.samplers.TPESampler(multivariate=True, group=True, constant_liar=True, n_startup_trials=40),
        directions=["minimize"] * 5,
    )
    if not study.trials:
        for guess in first_guesses(task, parts):
            study.enqueue_trial(guess)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):  # of a search that was killed
        study.tell(trial.number, state=TrialState.FAIL)
    return study


@contextlib.contextmanager
def _executor(workers: int | None, scheduler: str | None) -> Iterator[tuple[Executor, int]]:
    """Where trials run, and how many at once."""
    if scheduler:
        with connect(scheduler) as client:
            yield client.get_executor(pure=False), workers or sum(client.nthreads().values())
        return
    count = workers or os.cpu_count() or 1
    with worker_pool(count, _prepare) as pool:
        try:
            yield pool, count
        finally:
            end_workers()  # what is still running is out of time, or nobody waits for it any more


def _prepare() -> None:
    warnings.filterwarnings("ignore", category=DeprecationWarning)
