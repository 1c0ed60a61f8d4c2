"""CONTRIBUTING's examples, written where it says and run as it says: one file is all that a new thing needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("contributing")  # one copy of the packages
PROJECT = Path(__file__).resolve().parents[2]
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", TEXT, re.S | re.M))
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```$", TEXT, re.S | re.M) for line in block.splitlines()]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("extended")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PROJECT / "hls4rl", folder / "hls4rl", ignore=ignored)  # follows its links
    for name, text in FILES.items():
        place = folder / "hls4rl" / name
        assert not place.exists(), name
        place.write_text(text, encoding="utf-8")
    return folder


def run(extended: Path, command: str) -> str:
    arguments = [*command.split(), *(["--root", str(extended / "runs")] if "--env" in command else [])]
    assert arguments[0] == "hls4rl"
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=extended,
        env={**os.environ, "PYTHONPATH": str(extended), "NUMBA_OPT": "0"},  # the copy is compiled anew
        capture_output=True, text=True, timeout=500, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_kinds_have_an_example() -> None:
    assert {Path(name).parent.name for name in FILES} == {
        "tasks", "methods", "trainers", "train", "executors", "parts", "families", "boards"
    }
    assert len(COMMANDS) == 7


def test_the_examples_run_as_they_stand(extended: Path) -> None:
    outputs = {command: run(extended, command) for command in COMMANDS}
    evaluated = next(text for command, text in outputs.items() if " evaluate " in command)
    assert re.search(r"integer .* 0 .*yes", evaluated)
    assert "ice40-hx1k" in outputs["hls4rl parts"]
    assert re.search("gatemate .*Cologne Chip GateMate", outputs["hls4rl parts"])
    assert "icestick" in outputs["hls4rl boards"]
    trained = sorted(path.parent.name for path in (extended / "runs").glob("*/*/policy"))
    assert [re.sub("-v[0-9a-f]{8}$", "-v", name) for name in trained] == [
        "bounded-h4-s0-b4", "bounded-h4-s1-v", "fp-h4-s0"
    ]


def test_the_family_s_cells_are_counted(extended: Path) -> None:
    (extended / "counter.v").write_text(
        "module counter (input clk, input [7:0] step, output reg [7:0] sum, output odd);\n"
        "    initial sum = 0;\n    always @(posedge clk) sum <= sum + step;\n    assign odd = ^step;\nendmodule\n"
    )
    script = (
        "from pathlib import Path; from hls4rl.hls_projects.fpga.parts import load_part; "
        "from hls4rl.hls_projects.fpga.synthesis import synthesise; "
        "print(synthesise([Path('counter.v')], 'counter', load_part('gatemate'), Path('.')).resources)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=extended, env={**os.environ, "PYTHONPATH": str(extended)},
        capture_output=True, text=True, timeout=100, check=True,
    )
    assert done.stdout == "{'lut': 11, 'ff': 8, 'dsp': 0, 'bram': 0}\n"
