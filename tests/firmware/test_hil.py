from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from artefacts import as_artefact
from PIL import Image
from random_run import PART

from hls4rl.__main__ import app
from hls4rl.artefact import digest
from hls4rl.cli import run as run_command
from hls4rl.errors import ProjectError
from hls4rl.firmware import hil
from hls4rl.firmware.hil import Session, require_exact, run_hil
from hls4rl.task import load_task, with_settings

pytestmark = pytest.mark.xdist_group("firmware")
Command = Callable[..., tuple[int, str, str]]
KEYS = {
    "return_hardware", "return_software", "episodes", "steps_compared", "mismatches", "link_faults", "retries",
    "inferences_per_second", "core_cycles",
}


@pytest.fixture
def command(session: Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``hls4rl`` in this process; gives exit status, last line printed, and standard error."""
    spec = session.run.spec
    root = str(session.run.root)
    chosen = ["--env", "cartpole", "--hidden", spec.shape, "--seed", str(spec.seed), "--root", root]

    def call(name: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["firmware", name, *chosen, *arguments])
        with pytest.raises(SystemExit) as end:
            run_command(app, "hls4rl")
        out, errors = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out.splitlines()[-1] if out else "", errors

    return call


def test_the_board_balances_the_pole_as_the_software_does(command: Command) -> None:
    status, last, errors = command("hil", "--episodes", "20", "--faults", "0.01")
    assert status == 0, errors
    result = json.loads(Path(last).read_text(encoding="utf-8"))
    assert set(result) >= KEYS
    assert result["return_hardware"] == result["return_software"]
    assert result["mismatches"] == 0
    assert result["steps_compared"] == sum(result["returns"])
    assert result["faults_injected"]["unplugged"] == result["link"]["reconnections"] == 2
    assert result["faults_injected"]["power_cycled"] == result["link"]["power_cycles"] == 1


def test_a_wrong_core_is_caught(session: Session, tmp_path: Path) -> None:
    run = dataclasses.replace(session.run, root=tmp_path)
    shutil.copytree(session.run.directory, run.directory)
    core = run.part(PART) / "policy_core.v"
    text = core.read_text(encoding="utf-8")
    core.write_text(text.replace("assign action = ", "assign action = ~"), encoding="utf-8")
    assert core.read_text(encoding="utf-8") != text
    with pytest.raises(ProjectError, match=r"policy_core.v: not the file that was made here"):
        run_hil(dataclasses.replace(session, run=run), episodes=1)
    as_artefact(run.part(PART), policy=digest(run.policy))  # as if the generator had written it
    result = run_hil(dataclasses.replace(session, run=run), episodes=2)
    assert result["mismatches"] == result["steps_compared"] > 0
    with pytest.raises(ProjectError, match="actions of the board differ"):
        require_exact(result)


def test_an_episode_is_drawn(command: Command) -> None:
    status, last, errors = command("watch", "--episode", "3")
    assert status == 0, errors
    result = json.loads(Path(last).read_text(encoding="utf-8"))
    assert result["mismatches"] == 0
    with Image.open(result["picture"]) as picture:
        assert picture.n_frames == (result["steps"] + 1) // 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(("arguments", "words"), [
    (["--port", "/dev/ttyNOSUCH"], "/dev/ttyNOSUCH: no such port"),
    (["--port", "/dev/ttyNOSUCH", "--faults", "0.1"], "FAULTS are injected by the simulated board only"),
    (["--board", "nosuch"], "unknown board 'nosuch'; shipped boards are colorlight-i5"),
])
def test_bad_input_ends_in_one_line(command: Command, arguments: list[str], words: str) -> None:
    status, _, errors = command("hil", "--episodes", "1", *arguments)
    assert status == 1
    assert errors.startswith("error: ")
    assert words in errors
    assert len(errors.splitlines()) == 1


@pytest.mark.parametrize(("hardware", "steps"), [({}, 300), ({"inputs_per_clock": 0, "fold": 9}, 300)])
def test_a_simulated_board_of_any_core_gets_the_first_pictures_of_a_game(
    session: Session, hardware: dict[str, int], steps: int
) -> None:
    pong = dataclasses.replace(session, task=with_settings(load_task("pong"), "hardware", **hardware))
    assert hil._shortened(pong).environment_options["max_episode_steps"] == steps
    real = dataclasses.replace(pong, port="/dev/ttyUSB0")
    assert hil._shortened(real) == real.task
    assert hil._shortened(session) == session.task
