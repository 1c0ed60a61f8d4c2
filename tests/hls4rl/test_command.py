"""The command ``hls4rl``: every verb is there, explains itself, and takes options and variables alike."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hls4rl.__main__ import VERBS, app
from hls4rl.options import Hidden, PolicyOptions, grouped

PROJECT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class More(PolicyOptions):
    extra: Hidden = "3"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    answer = CliRunner().invoke(app, [verb, "--help"])
    assert answer.exit_code == 0, answer.output
    assert f"Usage: hls4rl {verb} " in answer.output.replace("root", "hls4rl", 1)
    assert "--root" in answer.output or verb in ("parts", "boards", "export")


def test_the_list_of_verbs_is_quick() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "hls4rl", "--help"], capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert all(f"  {verb} " in done.stdout for verb in VERBS)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 0.5, "seconds of processor time, for machines are busy"


def test_the_makefile_has_the_verbs() -> None:
    text = (PROJECT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    listed = re.search(r"^VERBS := (.*)$", text, re.MULTILINE)
    assert listed is not None
    assert set(listed[1].split()) == VERBS.keys() - {"export"}  # of a file, not of a run
    assert all(re.search(rf"^{verb}:.* ## ", text, re.MULTILINE) for verb in listed[1].split())


def test_options_are_declared_once_and_come_as_one() -> None:
    seen: list[object] = []

    @grouped
    def command(policy: More, last: bool = False) -> None:
        seen.append((policy, last))

    own = typer.Typer()
    own.command()(command)
    answer = CliRunner().invoke(own, ["--bits", "4", "--last"], env={"HLS4RL_METHOD": "fp", "HLS4RL_SEED": ""})
    assert answer.exit_code == 0, answer.output
    assert seen == [(More(bits=4, method="fp"), True)]


def test_a_wrong_variable_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hls4rl", "train"], env={**os.environ, "HLS4RL_SEED": "many\nof them"},
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--seed" in done.stderr
