"""The wheel alone, in an empty environment, in a folder with files of the user's that are called as ours are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("wheel")  # built and installed once
PROJECT = Path(__file__).resolve().parents[1]
FOLDERS = ("hls4rl", "train", "export", "hls_projects", "firmware", "studies", "report")
SMALL = ("--hidden", "4", "--seed", "0", "--episodes", "2")
THEIRS = 'raise SystemExit("this is the file of the user")\n'
TASK = """
environment = "mine:Mine-v0"
solved = 1

[observation]
scale = [1]
bits = 4
integer_bits = 2

[training]
episodes = 10
"""


@dataclass(frozen=True)
class Installed:
    """A virtual environment with our wheel, and a user's folder."""

    python: Path
    folder: Path

    def run(self, *command: str) -> str:
        """Run a program of the environment as the user does, in their folder; gives what it prints."""
        done = subprocess.run(
            [str(self.python.parent / command[0]), *command[1:]], cwd=self.folder, capture_output=True, text=True,
            # What numba compiles here it compiles anew, and for a moment's use: without optimisation it takes half.
            env={**os.environ, "PYTHONPATH": str(self.folder), "NUMBA_OPT": "0"}, timeout=500, check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    source, pip = folder / "source", [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)  # nothing may come from there
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    # Without a PYTHONPATH of ours, in which pip would find the checkout and call the wheel installed already.
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", str(wheel)], check=True, env=bare)
    # The dependencies are those of this environment; our own editable installation in it is not found by this.
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    for program in Path(sysconfig.get_path("scripts")).glob("*"):
        if program.name.startswith(("yowasp", "gowin_pack")):
            (python.parent / program.name).symlink_to(program)
    user = folder / "user"
    (user / "firmware").mkdir(parents=True)
    for name in ("train.py", "export.py", "report.py", "studies.py", "firmware/__init__.py"):
        (user / name).write_text(THEIRS, encoding="utf-8")
    (user / "mine.toml").write_text(TASK, encoding="utf-8")
    shutil.copy(Path(__file__).with_name("guessing.py"), user / "mine.py")
    return Installed(python, user)


def test_the_package_is_the_wheel_s_and_knows_its_version(installed: Installed) -> None:
    printed = installed.run("python", "-c", "import hls4rl; print(hls4rl.__file__, hls4rl.__version__)")
    place, version = printed.split()
    assert Path(place).is_relative_to(installed.python.parent.parent)
    assert f'version = "{version}"' in (PROJECT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_user_s_own_files_win_for_the_user(installed: Installed) -> None:
    done = subprocess.run(
        [str(installed.python), "-c", "from hls4rl import synthesise, load_task\nimport train"], cwd=installed.folder,
        capture_output=True, text=True, check=False,
    )
    assert done.stderr.strip() == "this is the file of the user"


def test_a_shipped_task_goes_to_the_gates_and_onto_a_board(installed: Installed) -> None:
    installed.run("hls4rl", "synth", "--env", "cartpole", *SMALL)
    run = installed.folder / "runs" / "cartpole" / "binarynet-h4-s0"
    assert (run / "report" / "summary.json").is_file()
    assert (run / "ecp5-25f" / "core.bit").is_file()
    installed.run("hls4rl", "hil", "--env", "cartpole", "--hidden", "4", "--seed", "0", "--episodes", "1")
    assert (run / "hil.json").is_file()


def test_a_task_of_one_s_own_goes_to_the_gates(installed: Installed) -> None:
    installed.run("hls4rl", "synth", "--env", "./mine.toml", *SMALL)
    assert (installed.folder / "runs" / "mine" / "binarynet-h4-s0" / "report" / "summary.json").is_file()
