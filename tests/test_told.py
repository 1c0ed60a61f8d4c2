"""What is told is true: progress without a terminal, logs that are there, commands that work, pictures that can be."""

from __future__ import annotations

import dataclasses
import io
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from rich.console import Console

from hls4rl.artefact import Artefact
from hls4rl.errors import ProjectError, ToolError
from hls4rl.hls_projects.fpga.yosys import run_yosys
from hls4rl.journal import LOG, working
from hls4rl.policy import PolicySpec
from hls4rl.report.commands import building, commands
from hls4rl.report.sources import task_directories, unbuilt_runs
from hls4rl.run import root_word
from hls4rl.studies.paper.learning import WINDOW, draw
from hls4rl.task import load_task
from hls4rl.train.progress import TrainingProgress
from hls4rl.train.training import Standing

PROJECT = Path(__file__).resolve().parent.parent


def test_off_a_terminal_training_is_told_in_lines_and_in_the_runs_log(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hls4rl", "train", "--seed", "3", "--hidden", "4", "--episodes", "40",
         "--set", "training.validation_episodes=2 training.evaluation_episodes=2", "--root", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )
    lines = [line for line in done.stderr.splitlines() if "seed 3: 40/40 episodes, return " in line]
    assert len(lines) == 1
    (log,) = tmp_path.glob(f"cartpole/*/{LOG}")
    assert "training: 40/40 episodes, return " in log.read_text(encoding="utf-8")


def test_lines_come_at_once_and_then_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress("a task") as progress:
        for episode in range(1, 101):
            progress(0, Standing(episode, 100, 1.0, 1e6))
    told = capsys.readouterr().err.splitlines()
    assert told == [f"a task seed 0: {episode}/100 episodes, return 1.0, 1,000,000 steps/s" for episode in (1, 100)]


def test_a_stage_is_told_before_it_is_done_and_so_is_its_failure(tmp_path: Path) -> None:
    said = io.StringIO()

    def fail() -> None:
        with working(Console(file=said), "place [and] route", tmp_path):
            raise ValueError(said.getvalue())

    with pytest.raises(ValueError, match=r"place \[and\] route …"):
        fail()
    log = (tmp_path / LOG).read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 2)[2].partition(" after")[0] for line in log] == [
        "place [and] route …", "place [and] route: ended",
    ]


def test_the_log_of_a_failed_stage_is_kept_until_it_succeeds(tmp_path: Path) -> None:
    artefact = Artefact(tmp_path / "ecp5", {})
    message = r"Yosys failed .*No such command: nonsense.*what it said is in .*\.log"
    with pytest.raises(ToolError, match=message) as told, artefact.build() as folder:
        run_yosys(["nonsense"], folder, folder / "yosys.log")
    log = tmp_path / "ecp5-failed.log"
    assert str(log) in str(told.value)
    assert "No such command: nonsense" in log.read_text(encoding="utf-8")
    with artefact.build():
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ecp5"]


@pytest.mark.parametrize("curves", [
    {("fp", 128): 1}, {("fp", 16): 1}, {("compression", 8): 1}, {("binarynet", width): 1 for width in range(4, 16)},
])
def test_every_curve_is_drawn_and_no_axes_are_empty(curves: dict[tuple[str, int], int]) -> None:
    found = {key: [np.ones(2 * WINDOW)] * count for key, count in curves.items()}
    figure = draw(load_task("cartpole"), found)  # type: ignore[arg-type]
    drawn = [line.get_label() for axis in figure.axes for line in axis.lines if not line.get_label().startswith("_")]
    plt.close(figure)
    assert len(drawn) == len(curves)
    assert all(axis.lines for axis in figure.axes)


BLIND = """
import gymnasium as gym
from gymnasium.envs.classic_control import CartPoleEnv

class Blind(CartPoleEnv):
    metadata = {"render_modes": []}
    def __init__(self):
        super().__init__()

class Broken(CartPoleEnv):
    def render(self):
        raise RuntimeError("no OpenGL here")

gym.register("hls4rl-tests/Blind-v0", Blind, max_episode_steps=20)
gym.register("hls4rl-tests/Broken-v0", Broken, max_episode_steps=20)
"""


def test_an_environment_that_cannot_draw_itself_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hls4rl_blind.py").write_text(BLIND, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    blind = dataclasses.replace(load_task("cartpole"), name="blind", environment="hls4rl_blind:hls4rl-tests/Blind-v0")
    with pytest.raises(ProjectError, match=r"'blind': environment 'hls4rl_blind:.*' cannot draw itself") as told:
        blind.make_drawn()
    assert "options" not in str(told.value)
    broken = dataclasses.replace(blind, environment="hls4rl_blind:hls4rl-tests/Broken-v0")
    with pytest.raises(ProjectError, match=r"cannot draw itself \(without a screen it draws by EGL, which is missing"):
        broken.make_drawn()
    load_task("cartpole").make_drawn().close()


def test_printed_commands_work_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "my own.toml"
    shutil.copyfile(PROJECT / "hls_projects" / "tasks" / "cartpole.toml", file)
    task = load_task(str(file))
    assert task.file == str(file)
    spec = PolicySpec("my own", "fp", 4, 1, 4).to_json()
    root = tmp_path / "runs here"
    lines = [item["command"] for item in commands(spec, task, task.file, True, root)]
    lines.append(building(spec, task.file, root))
    for line in lines:
        assert f"ENV='{file}'" in line
        assert f"ROOT='{root}'" in line
        assert "path/to" not in line
    assert root_word(Path("runs")) == ""
    assert " BITS=4" in lines[-1]


def test_what_is_trained_and_not_built_is_reported(tmp_path: Path) -> None:
    def made(name: str, built: bool) -> None:
        run = tmp_path / "cartpole" / name
        for place in ("policy/training.json", *(["report/summary.json"] if built else [])):
            (run / place).parent.mkdir(parents=True, exist_ok=True)
            (run / place).write_text("{}", encoding="utf-8")

    made("fp-h4-s0", False)
    assert task_directories(tmp_path) == [tmp_path / "cartpole"]
    for name, built in (("fp-h4-s1", False), ("fp-h8-s0", False), ("fp-h8-s1", True), ("fp-h4-s0-b4", True)):
        made(name, built)
    assert [run.name for run in unbuilt_runs(tmp_path / "cartpole")] == ["fp-h4-s0", "fp-h4-s1"]
