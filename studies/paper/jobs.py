"""What there is to train: each job is one policy of one variant, and depends on no other job."""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.gym_loop import play
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import METHODS, PolicySpec
from hls4rl.stage import Stage, write_json
from hls4rl.task import Task, load_task, with_settings
from hls4rl.train.selection import EVALUATION_SEED, policy_inputs
from hls4rl.train.training import train_policy

TASKS = ("cartpole", "acrobot")
WIDTHS = (16, 32, 64, 128, 256)
PONG_WIDTHS = (128, 256)
POLICIES = 10
"""Seeds of one cell of the matrix."""
EVALUATION_EPISODES = 20
"""Greedy episodes of each deployed policy on Gymnasium's own environment: 200 a cell."""
BINS = 200
"""Points of a learning curve."""
WINDOW = 100
"""Episodes whose mean decides when a task is solved."""

PLAIN: dict[str, Any] = {
    "advantage": "trajectory", "learning_rate": 1e-3, "entropy": 0.0,
    "final_rate": 1.0, "full_rate_hidden": 4096, "output_gain": 1.0,
}
"""The paper's policy gradient: every step is credited with its trajectory's return (eq. 4).

The text leaves the optimiser, its rate and any normalisation open. They were searched on ``fp`` alone (Adam at 3e-4,
1e-3, 3e-3 and 1e-2; the return as it is, and standardised by its running mean and deviation) and hold for all methods.
"""


@dataclass(frozen=True)
class Variant:
    """One way to train the matrix: the task's own settings with some changed, for some methods."""

    name: str
    settings: dict[str, Any]
    methods: tuple[str, ...] = METHODS


STEADY: dict[str, Any] = {"full_rate_hidden": 64}
"""The task file's own, with a lower rate for wide networks: one BN policy in ten with 256 units stayed at -500."""

PAPER = (
    Variant("steady", STEADY),
    Variant("plain", PLAIN),
    Variant("steady-reset", {**STEADY, "reset_at_midpoint": True}, ("fp",)),
    Variant("plain-reset", {**PLAIN, "reset_at_midpoint": True}, ("fp",)),
    Variant("steady-unit-signs", {**STEADY, "unit_signs": True}, ("binaryconnect", "binarynet")),
    Variant("plain-unit-signs", {**PLAIN, "unit_signs": True}, ("binaryconnect", "binarynet")),
)
"""Two recipes, and for each two controls: ``fp`` whose optimiser forgets its state
at the midpoint, and binary weights of plain ±1."""
OWN = Variant("own", {})
"""The settings of the task's file as they are: for tasks beside the two control tasks."""
VARIANTS = {variant.name: variant for variant in (*PAPER, OWN)}


@dataclass(frozen=True)
class Job:
    """One policy to train and evaluate."""

    variant: str
    spec: PolicySpec
    episodes: int | None = None
    """Training episodes, instead of the task's setting."""

    @property
    def task(self) -> Task:
        """The task with the variant's settings."""
        settings = {**VARIANTS[self.variant].settings, "episodes": self.episodes}
        return with_settings(load_task(self.spec.task), "training", **settings)

    def stage(self, root: Path) -> Stage:
        """``<root>/<variant>/<task>/<run>/``: ``result.json`` and ``policy.safetensors``."""
        inputs = {**policy_inputs(self.task, self.spec), "evaluation_episodes": EVALUATION_EPISODES}
        return Stage(root / self.variant / self.spec.task / self.spec.directory_name, inputs)


@dataclass(frozen=True)
class Outcome:
    """What a job brings home; plain data, so that it travels between machines."""

    job: Job
    result: dict[str, Any]
    policy: bytes

    def save(self, root: Path) -> None:
        """Write it to the job's stage, whole or not at all."""
        with self.job.stage(root).build() as directory:
            (directory / "policy.safetensors").write_bytes(self.policy)
            write_json(directory / "result.json", self.result)


def paper_jobs() -> list[Job]:
    """All policies of the paper's matrix in both recipes, and the controls."""
    return _jobs(WIDTHS, POLICIES, None)


def quick_jobs() -> list[Job]:
    """A small slice that shows every part of the whole in a minute."""
    return _jobs((16, 64), 2, 600)


def task_jobs(task: str, *, quick: bool = False) -> list[Job]:
    """All five methods on one task, with the settings of its file and the paper's widths for Pong.

    Args:
        task: name of a shipped task.
        quick: one small policy of each method, a few episodes, instead of ten in each of two widths.

    Raises:
        ProjectError: no such task.
    """
    name = load_task(task).name
    if quick:
        return [Job(OWN.name, PolicySpec(name, method, (16,), 0), 16) for method in METHODS]
    return [
        Job(OWN.name, PolicySpec(name, method, (hidden,), seed))
        for method in METHODS for hidden in PONG_WIDTHS for seed in range(POLICIES)
    ]


def run_job(job: Job) -> Outcome:
    """Train and evaluate; the outcome depends on the job alone."""
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    task = job.task
    trained = train_policy(task, job.spec)
    played = play(task, IntegerBackend(trained.policy.network), EVALUATION_EPISODES, EVALUATION_SEED)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "policy.safetensors"
        trained.policy.save(path)
        policy = path.read_bytes()
    result = {
        "variant": job.variant,
        **job.spec.to_json(),
        "episodes": len(trained.returns),
        "steps": trained.steps,
        "evaluation_returns": played.returns.tolist(),
        "return": played.mean_return,
        "solved_at": _solved_at(trained.returns, task.solved),
        "curve": _curve(trained.returns).round(3).tolist(),
    }
    return Outcome(job, result, policy)


def _jobs(widths: tuple[int, ...], policies: int, episodes: int | None) -> list[Job]:
    return [
        Job(variant.name, PolicySpec(task, method, (hidden,), seed), episodes)
        for variant in PAPER
        for task in TASKS
        for method in variant.methods
        for hidden in widths
        for seed in range(policies)
    ]


def _curve(returns: FloatArray) -> FloatArray:
    return np.array([part.mean() for part in np.array_split(returns, min(BINS, len(returns)))])


def _solved_at(returns: FloatArray, threshold: float | None) -> int | None:
    # The first episode after which the mean over the last hundred reaches the threshold
    if threshold is None or len(returns) < WINDOW:
        return None
    means = np.convolve(returns, np.full(WINDOW, 1 / WINDOW), "valid")
    reached = np.flatnonzero(means >= threshold)
    return int(reached[0]) + WINDOW if reached.size else None


def cells(jobs: list[Job]) -> dict[Job, list[Job]]:
    """Jobs that differ in the seed alone, by that of seed 0."""
    groups: dict[Job, list[Job]] = {}
    for job in jobs:
        groups.setdefault(dataclasses.replace(job, spec=dataclasses.replace(job.spec, seed=0)), []).append(job)
    return groups
