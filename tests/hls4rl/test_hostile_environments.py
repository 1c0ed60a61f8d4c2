"""A sample of the hostile environments and task files; `make fuzz` takes all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile.environments import CASES, MINE, Case, try_case

SAMPLE = CASES[::9]


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.name)
def test_an_environment_is_handled_or_refused_in_a_line(case: Case, tmp_path: Path) -> None:
    assert try_case(case, tmp_path) == ""


def test_the_trial_can_fail(tmp_path: Path) -> None:
    assert try_case(Case("", outcome="refused"), tmp_path).startswith("not refused")
    other = tmp_path / "other"
    other.mkdir()
    assert try_case(Case("observation", "NaN", outcome="handled"), other).startswith("refused: task 'hostile-task'")


def test_there_are_enough_environments() -> None:
    assert len(CASES) > 200


@pytest.mark.parametrize(("kind", "at", "seed"), [
    ("calls sys.exit(0)", 0, ["--seed", "0"]), ("calls os._exit(0)", 75, []),
])
def test_a_command_never_ends_well_with_nothing_done(kind: str, at: int, seed: list[str], tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        f'environment = "hostile.environments:{MINE}/Plain-v0"\n'
        f'environment_options = {{ fault = "step", kind = "{kind}", at = {at} }}\n'
        "[observation]\nscale = [0.5]\n[training]\nepisodes = 3\nseeds = 2\n", encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "hls4rl", "train", "--env", str(file), "--root", str(tmp_path / "runs"), *seed],
        env={**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}{os.pathsep}{Path.cwd()}"},
        capture_output=True, text=True, timeout=120, check=False,
    )
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 1
    assert "task 'mine'" in line
    assert "wants to end the program in step()" in line
    assert "Traceback" not in done.stderr
