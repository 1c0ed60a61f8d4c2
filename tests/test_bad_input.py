"""Each mistake a user can make ends in one line that names cause and remedy, and leaves no debris."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GOOD_TASK = (ROOT / "hls_projects" / "tasks" / "cartpole.toml").read_text(encoding="utf-8")


def command(
    *arguments: str, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """Exit status and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "hls4rl", *arguments],
        cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=300, check=False,
    )
    return done.returncode, done.stderr


def assert_one_line(status: int, errors: str, *words: str) -> None:
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert status != 0
    assert "Traceback" not in errors
    assert len(lines) == 1, errors
    for word in words:
        assert word in lines[0], (word, lines[0])


@pytest.mark.parametrize(("arguments", "words"), [
    (["--env", "nosuch"], ["nosuch", "cartpole"]),
    (["--method", "nosuch"], ["nosuch", "binarynet"]),
    (["--part", "nosuch"], ["nosuch", "ecp5-25f"]),
    (["--hidden", "4097"], ["HIDDEN=4097"]),
    (["--hidden", "many"], ["HIDDEN=many", "64x64"]),
    (["--bits", "99"], ["BITS=99"]),
    (["--percentile", "-1"], ["PERCENTILE"]),
    (["--tool", "nosuch"], ["nosuch", "vitis"]),
    (["--clock-mhz", "0"], ["clock_mhz"]),
])
def test_a_wrong_option(arguments: list[str], words: list[str], tmp_path: Path) -> None:
    assert_one_line(*command("synth", *arguments, "--root", str(tmp_path)), *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("before", "after", "words"), [
    ("learning_rate", "learning_rat", ["training.learning_rat", "learning_rate"]),
    ("scale = [0.25,", "scale = [0.3,", ["0.3", "power of two"]),
    ("scale = [0.25, 0.5,", "scale = [0.25,", ["3 entries", "4 features"]),
    ("bits = 3 ", 'bits = "six" ', ["observation.bits", "six"]),
    ('"CartPole-v0"', '"NoSuch-v0"', ["NoSuch"]),
    ('"CartPole-v0"', '"Pendulum-v1"', ["observation.scale", "3 features"]),
    ('"CartPole-v0"', '"nosuch:Mine-v0"', ["nosuch", "PYTHONPATH"]),
    ('"CartPole-v0"', '"CartPole-v0"\nenvironment_options = { colour = 1 }', ["colour", "environment_options"]),
    ("episodes = 2000", "episodes = ", ["not valid TOML"]),
])
def test_a_wrong_task_file(before: str, after: str, words: list[str], tmp_path: Path) -> None:
    assert before in GOOD_TASK
    file = tmp_path / "mine.toml"
    file.write_text(GOOD_TASK.replace(before, after), encoding="utf-8")
    assert_one_line(*command("synth", "--env", str(file), "--root", str(tmp_path)), *words)


def test_no_compiler(tmp_path: Path) -> None:
    file = tmp_path / "quick.toml"
    file.write_text(GOOD_TASK.replace("episodes = 2000", "episodes = 4"), encoding="utf-8")
    options = ["--env", str(file), "--seed", "0", "--root", str(tmp_path)]
    empty = tmp_path / "bin"
    empty.mkdir()
    assert_one_line(*command("synth", *options, env={"PATH": str(empty)}), "g++")


def test_evaluating_what_was_never_built(tmp_path: Path) -> None:
    assert_one_line(*command("evaluate", "--seed", "7", "--root", str(tmp_path)), "make synth")


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    arguments = ["synth", "--seed", "0", "--root", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "hls4rl", *arguments], cwd=ROOT,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )
    run = tmp_path / "cartpole" / "binarynet-h16-s0"
    deadline = time.monotonic() + 60
    while not run.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert_one_line(process.returncode, errors, "interrupted")
    partial = [path for path in run.rglob("*") if path.name.startswith(".") and path.name != ".lock"]
    assert partial == []
    assert all((path.parent / "metadata.json").exists() for path in run.rglob("policy.safetensors"))


def test_a_ctrl_c_that_a_library_swallowed_is_heeded(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, time, typer\nfrom pathlib import Path\nfrom hls4rl.cli import run\n"
        "from hls4rl.artefact import Artefact\napp = typer.Typer()\n"
        "@app.command()\ndef work():\n"
        "    with Artefact(Path(sys.argv[0]), {}).build():\n"
        "        try:\n            os.kill(os.getpid(), signal.SIGINT)\n            time.sleep(9)\n"
        "        except KeyboardInterrupt:\n            print('swallowed')\n"
        f"sys.argv = [{str(tmp_path / 'stage')!r}]\nrun(app, 'work')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "swallowed\n"
    assert_one_line(done.returncode, done.stderr, "interrupted")
    assert not list(tmp_path.iterdir())
