"""A policy that does not solve its task, or does worse than it was trained, is told aloud."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from hls4rl.hls_projects.summary import KEYS, one_line, print_matrix, print_summary, returns_verdict
from hls4rl.verdict import Verdict, interval, is_solved


def test_the_interval_is_the_mean_s() -> None:
    returns = np.array([1.0, 3.0, 5.0, 7.0])
    assert interval(returns) == pytest.approx(1.96 * np.std(returns, ddof=1) / 2)
    assert interval(returns[:1]) is None


@pytest.mark.parametrize(("mean", "threshold", "solved"), [
    (195.0, 195.0, True), (194.9, 195.0, False), (-120.0, -100.0, False), (None, 1.0, None), (3.0, None, None),
])
def test_solved_is_from_the_threshold_on(mean: float | None, threshold: float | None, solved: bool | None) -> None:
    assert is_solved(mean, threshold) is solved


@pytest.mark.parametrize(("greedy", "sampled", "differ", "word"), [
    ((10.0, 1.0), (11.0, 1.0), False, ""), ((10.0, 1.0), (12.0, 1.0), True, "warning"),
    ((12.0, 0.0), (10.0, 1.0), True, "note"), ((10.0, None), (20.0, 1.0), None, ""),
])
def test_returns_differ_beyond_both_intervals(greedy: Any, sampled: Any, differ: bool | None, word: str) -> None:
    verdict = Verdict(*greedy, *sampled, 11.0)
    assert verdict.differ is differ
    assert verdict.to_json()["sampled_differs"] is differ
    assert [line.split("]")[1].split("[")[0] for line in verdict.warnings()] == ([word] if word else [])
    assert Verdict.of(json.loads(json.dumps(verdict.to_json()))) == verdict
    assert "NOT SOLVED" in verdict.lines()[0] or greedy[0] >= 11


def printed(summary: dict[str, Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=150, force_terminal=True)
    print_summary(summary, console)
    print_matrix([summary], console)
    console.print(one_line(summary))
    return out.getvalue()


@pytest.mark.parametrize(("mean", "words", "colour"), [(94.25, "NOT SOLVED", "31m"), (200.0, "yes", "32m")])
def test_tables_say_it_in_colour(mean: float, words: str, colour: str) -> None:
    summary: dict[str, Any] = {key: 1 for key in KEYS} | {"skipped": {}, "implementation": {}, "return_software": mean}
    summary["bitstream"] = None
    summary["skipped"]["bitstream"] = "none"
    summary |= returns_verdict(summary, Verdict(mean, 1.0, 143.5, 2.0, 195.0))
    text = printed(summary)
    assert summary["solved"] is (words == "yes")
    assert words in text
    assert colour in text
    assert "143.50 ± 2.00" in text
    assert ("warning" in text) == (mean < 143)


def test_training_that_fails_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hls4rl", "train", "--seed", "0", "--episodes", "4", "--root", str(tmp_path)],
        capture_output=True, text=True, timeout=300, check=True,
    )
    result = json.loads(Path(done.stdout.splitlines()[-1]).read_text(encoding="utf-8"))
    assert result["solved"] is False
    assert result["solved_from"] == 195
    assert result["greedy_interval"] >= 0 <= result["sampled_interval"]
    assert "NOT SOLVED" in done.stderr
