"""The real make: what a user writes into a variable reaches the command byte for byte, and nothing in it runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
MAKEFILE = (PROJECT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
VARIABLES = re.search(r"^VARIABLES := (.*)$", MAKEFILE, re.MULTILINE)[1].split()  # type: ignore[index]
VERBS = re.search(r"^VERBS := (.*)$", MAKEFILE, re.MULTILINE)[1].split()  # type: ignore[index]
BAIT = [
    "a`touch {bait}`.onnx", "$(touch {bait})", "$(shell touch {bait})", "$$(shell touch {bait})",
    "${{shell touch {bait}}}", "$(eval X := $(shell touch {bait}))", "'; touch {bait}; '", '"; touch {bait}; "',
    "a\ntouch {bait}", "a\\\nb", "\n", "-rf", "--help", " leading and trailing ", "#not a comment", "50%", "a:b=c",
    "$(ENV)", "$@ $< $$", "*", "~", "{bait}|tee", 'hardware.strategy="Resource" hardware.reuse_factor=4',
    "ünïcode → ⊕", "\x01\x7f\t", "$(error stop)", "!x", "\\", "a&&touch {bait}",
]


@pytest.fixture
def spy(tmp_path: Path) -> Path:
    """A program in the interpreter's place that writes down what reaches it."""
    path = tmp_path / "spy"
    path.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\n"
        "found = {key: value for key, value in os.environ.items() if key.startswith('HLS4RL_')}\n"
        f"json.dump([sys.argv[1:], found, sorted(os.environ)], open({str(tmp_path / 'seen')!r}, 'w'))\n",
        encoding="utf-8",
    )
    path.chmod(0o755)
    return path


def make(spy: Path, *words: str, env: dict[str, str] | None = None) -> tuple[list[str], dict[str, str], list[str]]:
    base = {key: value for key, value in os.environ.items() if key not in VARIABLES and not key.startswith("HLS4RL_")}
    done = subprocess.run(
        ["make", "-s", "-o", ".venv/.ready", *words, f"RUN={spy}"], cwd=PROJECT, env={**base, **(env or {})},
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads((spy.parent / "seen").read_text(encoding="utf-8"))
    (spy.parent / "seen").unlink()
    return seen[0], seen[1], seen[2]


@pytest.mark.parametrize("origin", ["command line", "environment"])
@pytest.mark.parametrize("bait", BAIT)
def test_a_value_arrives_as_it_is_and_nothing_runs(bait: str, origin: str, spy: Path, tmp_path: Path) -> None:
    value = bait.format(bait=tmp_path / "ran")
    values = {name: f"{value}{index}" if index % 2 else value for index, name in enumerate(VARIABLES)}
    if origin == "command line":
        arguments, seen, everything = make(spy, "synth", *(f"{name}={item}" for name, item in values.items()))
    else:
        arguments, seen, everything = make(spy, "synth", env=values)
    assert arguments == ["-m", "hls4rl", "synth"]
    expected = {name: _as_make_takes_it(item, origin) for name, item in values.items()}
    assert {name: seen[f"HLS4RL_{name}"] for name in VARIABLES} == expected
    assert not set(VARIABLES) & set(everything), "not handed on under a name that others read"
    assert not (tmp_path / "ran").exists()


def _as_make_takes_it(value: str, origin: str) -> str:
    # make itself drops blanks before a value on its command line.
    return value.lstrip(" \t\n") if origin == "command line" else value


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_gets_the_variables(verb: str, spy: Path) -> None:
    arguments, seen, _ = make(spy, verb, "-o", ".venv/.ready-bench", "SET=a=`b`")
    assert arguments == ["-m", "hls4rl", verb]
    assert seen["HLS4RL_SET"] == "a=`b`"
    assert seen["HLS4RL_METHOD"] == ""


def test_tests_get_none_of_them(spy: Path) -> None:
    _, seen, _ = make(spy, "test", "-o", ".venv/.ready-dev", "METHOD=fp")
    assert seen.keys() == {"HLS4RL_MAKE"}


def test_settings_as_the_how_to_writes_them(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "-s", "-o", ".venv/.ready", "train", "SET=hardware.strategy=\"Resource\" hardware.reuse_factor='4'",
         f"ROOT={tmp_path}"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )
    assert """hardware.reuse_factor is '4'""" in done.stderr or "reuse_factor" in done.stderr
    assert "strategy" not in done.stderr.replace('hardware.strategy="Resource"', "")
    assert not list(tmp_path.iterdir())
