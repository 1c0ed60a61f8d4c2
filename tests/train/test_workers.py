"""Games in processes: their number changes nothing, and whatever ends one of them is told."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hls4rl.errors import ProjectError
from hls4rl.policy import PolicySpec
from hls4rl.task import Task, change, load_task
from hls4rl.train.methods.base import real_contract
from hls4rl.train.pixels import trainer as pixel_trainer
from hls4rl.train.pixels.workers import RolloutWorkers
from hls4rl.train.state import TrainingState
from hls4rl.train.vpg.kernel import Formats

SMALL = "training.episodes=3 pixels.num_envs=3 pixels.num_steps=200"
HIDDEN = 4


@pytest.fixture(scope="module")
def task() -> Task:
    return change(load_task("pong"), SMALL)[0]


@pytest.fixture
def workers(task: Task) -> RolloutWorkers:
    return RolloutWorkers(task, 3, HIDDEN, np.random.default_rng(0))


def test_the_number_of_processes_changes_nothing(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(processors: int) -> TrainingState:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(processors))
        *_, state = pixel_trainer.run(task, PolicySpec("pong", "binaryconnect", HIDDEN, 1))
        return state

    one, three = trained(1), trained(3)
    assert (one.returns, one.steps) == (three.returns, three.steps)
    assert all(np.array_equal(*pair) for pair in zip(one.parameters, three.parameters, strict=True))


def test_games_go_on_from_where_they_were_kept(task: Task, workers: RolloutWorkers) -> None:
    formats = Formats.of(real_contract(task, PolicySpec("pong", "fp", 4, 0)))
    for array in workers.network:
        array[:] = np.random.default_rng(1).normal(size=array.shape)
    workers.play(150, formats)  # in the middle of a rally
    kept = workers.arrays()
    expected = workers.play(300, formats)
    assert len(expected.actions) > 100
    workers.restore(kept)
    again = workers.play(300, formats)
    workers.close()
    assert all(np.array_equal(*pair) for pair in zip(again.frames, expected.frames, strict=True))
    assert all(np.array_equal(*pair) for pair in zip(again[1:], expected[1:], strict=True))


def test_a_process_that_is_killed_is_told_in_one_line(task: Task, workers: RolloutWorkers) -> None:
    multiprocessing.active_children()[0].kill()
    with pytest.raises(ProjectError, match=r"a process that plays games has ended .*goes on from its last checkpoint"):
        workers.play(1000, Formats.of(real_contract(task, PolicySpec("pong", "fp", 4, 0))))


def test_an_environment_that_cannot_keep_its_state_is_refused(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "hls_projects")
    stripes = dataclasses.replace(task, environment="stripes:hls4rl-tests/Stripes-v0")
    workers = RolloutWorkers(stripes, 2, HIDDEN, np.random.default_rng(0))
    with pytest.raises(ProjectError, match="its state cannot be kept"):
        workers.arrays()


def test_players_end_with_the_one_who_plays() -> None:
    script = (
        "import multiprocessing, numpy, time\n"
        "from hls4rl.train.pixels.workers import RolloutWorkers\nfrom hls4rl.task import load_task\n"
        "RolloutWorkers(load_task('pong'), 2, 4, numpy.random.default_rng(0))\n"
        "print(*(child.pid for child in multiprocessing.active_children()), flush=True)\ntime.sleep(100)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        numbers = [int(number) for number in child.stdout.readline().split()]
        child.send_signal(signal.SIGKILL)
    assert numbers
    deadline = time.monotonic() + 30
    while (left := [number for number in numbers if _lives(number)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left


def _lives(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may end between the opening and the reading
        return False
