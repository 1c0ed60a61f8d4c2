"""Training from pixels, small: it goes on after a kill as if nothing had been, and methods share their first half."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hls4rl.errors import ProjectError
from hls4rl.policy import PolicySpec
from hls4rl.task import Task, change, load_task
from hls4rl.train import checkpoint
from hls4rl.train.keeper import CHECKPOINT, CURVE
from hls4rl.train.pixels import trainer as pixel_trainer
from hls4rl.train.state import TrainingState
from hls4rl.train.training import train_policy

pytestmark = pytest.mark.xdist_group("pixels")  # one run, undisturbed, serves all tests here
GAMES, HIDDEN = 4, 4
SMALL = f"training.episodes={GAMES} pixels.num_envs=2 pixels.num_steps=160 pixels.midpoint=0.5 pixels.annealing=0.5"


@pytest.fixture(scope="module")
def task() -> Task:
    return change(load_task("pong"), SMALL)[0]


def spec(method: str) -> PolicySpec:
    return PolicySpec("pong", method, HIDDEN, 3, clusters=3)


def finished(task: Task, method: str, directory: Path | None = None) -> TrainingState:
    *_, state = pixel_trainer.run(task, spec(method), directory)
    return state


def equal(one: TrainingState, other: TrainingState) -> bool:
    same = all(np.array_equal(*pair) for pair in zip(one.parameters, other.parameters, strict=True))
    return same and (one.returns, one.ends, one.steps) == (other.returns, other.ends, other.steps)


@pytest.fixture(scope="module")
def undisturbed(task: Task) -> TrainingState:
    return finished(task, "compression")


def test_a_run_stopped_often_ends_as_one_that_was_not(
    task: Task, undisturbed: TrainingState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixel_trainer, "CHECKPOINT_SECONDS", 0.0)
    place, reached, stops = tmp_path / "compression", 0, 0
    while reached < undisturbed.steps:
        run = pixel_trainer.run(task, spec("compression"), place)
        for _ in range(3):
            state = next(run, None)
            if state is None:
                break
            assert state.steps >= reached, "lost more than the batch after the checkpoint"
            reached = state.steps
        run.close()
        stops += 1
    assert stops >= 4
    assert equal(finished(task, "compression", place), undisturbed)
    lines = [json.loads(line) for line in (place / CURVE).read_text().splitlines()]
    assert [line["return"] for line in lines] == undisturbed.returns
    assert [line["steps"] for line in lines] == undisturbed.ends


def test_a_killed_process_goes_on_from_its_checkpoint(task: Task, undisturbed: TrainingState, tmp_path: Path) -> None:
    place = tmp_path / "compression"
    script = (
        "import sys\nfrom pathlib import Path\nfrom hls4rl import task\nfrom hls4rl.policy import PolicySpec\n"
        "from hls4rl.train.pixels import trainer as t\n"
        "t.CHECKPOINT_SECONDS = 0.0\n"
        f"changed, _ = task.change(task.load_task('pong'), '{SMALL}')\n"
        f"spec = PolicySpec('pong', 'compression', {HIDDEN}, 3, clusters=3)\n"
        "for _ in t.run(changed, spec, Path(sys.argv[1])): pass\n"
    )
    shared = tmp_path / "first-half" / f"h{HIDDEN}-s3" / CHECKPOINT
    for wanted in (shared, place / CHECKPOINT):
        child = subprocess.Popen([sys.executable, "-c", script, str(place)], stderr=subprocess.PIPE)
        while not wanted.exists() and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert equal(finished(task, "compression", place), undisturbed)
    assert (place / CHECKPOINT).exists()


def test_methods_share_their_first_half(task: Task, undisturbed: TrainingState, tmp_path: Path) -> None:
    fp = finished(task, "fp", tmp_path / "fp")
    shared = tmp_path / "first-half" / f"h{HIDDEN}-s3" / CHECKPOINT
    stamp = os.stat(shared).st_mtime_ns
    assert equal(finished(task, "compression", tmp_path / "compression"), undisturbed)
    pruning = finished(task, "pruning", tmp_path / "pruning")
    assert os.stat(shared).st_mtime_ns == stamp, "nobody trained it again"
    half = GAMES // 2
    assert fp.returns[:half] == undisturbed.returns[:half] == pruning.returns[:half]
    assert len(np.unique(undisturbed.parameters.weights[0])) <= 3
    assert (pruning.parameters.weights[0] == 0).mean() == 0.5
    assert len(np.unique(fp.parameters.weights[0])) > 1000


def test_a_checkpoint_of_other_settings_is_not_taken(task: Task, undisturbed: TrainingState, tmp_path: Path) -> None:
    place = tmp_path / "binarynet"
    finished(change(task, "pixels.update_epochs=1")[0], "binarynet", place)
    (place / CHECKPOINT).write_bytes((place / CHECKPOINT).read_bytes()[:100_000])  # damaged: not taken either
    assert equal(finished(task, "binarynet", place), finished(task, "binarynet"))


def test_a_checkpoint_of_another_version_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, arrays = tmp_path / CHECKPOINT, {"parameters.0": np.ones(3)}
    with monkeypatch.context() as older:
        older.setattr(checkpoint, "FORMAT", "hls4rl-checkpoint-1")
        checkpoint.save_checkpoint(path, {}, arrays, {})
    assert checkpoint.load_checkpoint(path, {}) is None
    checkpoint.save_checkpoint(path, {}, arrays, {"halfway": True})
    found = checkpoint.load_checkpoint(path, {})
    assert found is not None
    assert (found[0]["parameters.0"].tolist(), found[1]) == ([1.0, 1.0, 1.0], {"halfway": True})


@pytest.mark.parametrize("method", ["binaryconnect", "binarynet"])
def test_latent_weights_stay_within_their_limit(task: Task, method: str) -> None:
    assert task.pixels is not None
    state = finished(change(task, "training.learning_rate=0.01")[0], method)
    assert max(np.abs(weight).max() for weight in state.parameters.weights) == task.pixels.latent_limit


def test_other_tasks_are_refused() -> None:
    with pytest.raises(ProjectError, match=r"no \[pixels\]"):
        train_policy(change(load_task("cartpole"), 'training.trainer="pixels"')[0], PolicySpec("cartpole", "fp", 4, 0))


@pytest.mark.parametrize(("environment", "changes", "message"), [
    ("ale_py:ALE/Breakout-v5", "", r"Breakout-v5 has 100,800, of 2 bits; show fewer or narrower ones"),
    ("Arcade/Breakout-v5", "", r"'Arcade/Breakout-v5': .* name the module that registers it before the id, as 'ale_py"),
    ("CartPole-v1", "", r"its state cannot be kept"),
    ("Acrobot-v1", "observation.bits=9", r"\[pixels\] is for 32,768 features of 8 bits at most"),
    ("Acrobot-v1", "observation.offset=[1.0]", r"leave out observation.offset"),
    ("Pendulum-v1", "", r"one choice from 0 on"),
])
def test_games_that_it_cannot_play_are_told_by_name(environment: str, changes: str, message: str) -> None:
    task = replace(change(load_task("pong"), SMALL)[0], environment=environment)
    task = change(task, changes)[0] if changes else task
    with pytest.raises(ProjectError, match=message):
        finished(task, "fp")


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ProjectError, match="together they are 1 at most"):
        change(load_task("pong"), "pixels.midpoint=0.9 pixels.annealing=0.2")
    with pytest.raises(ProjectError, match="no section 'pixels'"):
        change(load_task("cartpole"), "pixels.num_envs=3")


def test_the_last_updates_change_least(task: Task) -> None:
    run, moved = pixel_trainer.run(change(task, "training.learning_rate=0.01")[0], spec("fp")), []
    before = next(run).parameters.copy()
    for state in run:
        moved.append(np.abs(state.parameters.biases[1] - before.biases[1]).max())
        before = state.parameters.copy()
    halves = np.array_split(np.array(moved), 2)
    assert halves[0].max() > 5 * np.mean(moved[-3:]), "the learning rate falls to 0 in the last half of the games"
