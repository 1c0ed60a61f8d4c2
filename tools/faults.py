"""Kills and reruns: a command that is stopped anywhere, by SIGKILL, ends in the same bytes when it is run again."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from hls4rl.artefact import write_json

PROJECT = Path(__file__).resolve().parent.parent

_VOLATILE_KEYS = ("seconds", "steps_per_second", "source_revision")
"""Of JSON files: what a stopwatch or the checkout says, not the computation."""


def command(*arguments: str) -> list[str]:
    """The command ``hls4rl`` on this interpreter."""
    return [sys.executable, "-m", "hls4rl", *arguments]


def bytes_of(root: Path) -> dict[str, str]:
    """SHA-256 of each file below ``root``, by its relative path.

    JSON files count without the measured times and without ``root`` itself. Locks and logs don't count: a log tells
    how long things took.
    """
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name != ".lock" and path.suffix != ".log" and "__pycache__" not in path.parts:
            data = path.read_bytes()
            if path.suffix in (".json", ".md"):
                data = _without_times(data, root)
            found[str(path.relative_to(root))] = hashlib.sha256(data).hexdigest()
    return found


def run(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> None:
    """Run a command to its end.

    Raises:
        AssertionError: it failed.
    """
    done = subprocess.run(
        arguments, cwd=PROJECT, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def kill_after(arguments: Sequence[str], seconds: float) -> bool:
    """Start a command and kill it with all its children after ``seconds``; whether it was still at work."""
    process = subprocess.Popen(
        arguments, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


def differences(root: Path, expected: Mapping[str, str]) -> list[str]:
    """Files below ``root`` that are missing, surplus or other than ``expected``."""
    found = bytes_of(root)
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def kill_test(name: str, arguments: Sequence[str], kills: int, folder: Path, start: int = 0) -> dict[str, object]:
    """Kill a command ``kills`` times at random moments, each followed by further kills or a run to its end.

    Every root is killed up to five times in a row, so that what a killed run left is killed again.

    Raises:
        AssertionError: a rerun failed, or its files are not those of a run that nobody disturbed.
    """
    rng = np.random.default_rng(start)
    begin = time.perf_counter()
    expected_root = folder / f"{name}-undisturbed"
    run([*arguments, "--root", str(expected_root)])
    length = time.perf_counter() - begin
    expected = bytes_of(expected_root)
    assert expected
    hit = missed = roots = 0
    while hit < kills:
        root = folder / f"{name}-{roots}"
        roots += 1
        for attempt in range(min(int(rng.integers(1, 6)), kills - hit)):
            begin = time.perf_counter()
            struck = kill_after([*arguments, "--root", str(root)], float(rng.uniform(0.3, length)))
            if not struck and attempt == 0:
                length = time.perf_counter() - begin  # the machine is quicker now: later moments would miss
            hit, missed = hit + struck, missed + (not struck)
            if not struck:
                break
        run([*arguments, "--root", str(root)])
        wrong = differences(root, expected)
        assert not wrong, f"{name}, root {root}: {wrong[:10]} differ after {hit} kills"
        print(f"{name}: {hit} kills, {roots} reruns that ended in the same bytes", file=sys.stderr, flush=True)
    return {"kills": hit, "finished_before_the_kill": missed, "reruns": roots, "files": len(expected),
            "undisturbed_seconds": round(length, 1)}


def small_task(folder: Path) -> Path:
    """CartPole, trained for a moment and placed once."""
    text = (PROJECT / "hls_projects" / "tasks" / "cartpole.toml").read_text(encoding="utf-8")
    for before, after in (("episodes = 2000", "episodes = 40"), ("seeds = 5", "seeds = 2")):
        assert before in text
        text = text.replace(before, after)
    path = folder / "quick.toml"
    path.write_text(text, encoding="utf-8")
    return path


def commands(folder: Path) -> dict[str, list[str]]:
    """What is killed: the build on a small task, and the paper's small slice."""
    options = ("--env", str(small_task(folder)), "--hidden", "4", "--episodes", "2")
    synth = command("synth", *options)
    return {"synth": synth, "paper": command("paper", "--quick")}


def main() -> None:
    """Kill each command; print a line each and, last, the path of the JSON result."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50, help="of each command")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default="", help="synth or paper")
    options.add_argument("--output", type=Path, default=Path("build/kill-test"))
    chosen = options.parse_args()
    output = chosen.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    results = {}
    with tempfile.TemporaryDirectory(dir=output, prefix="roots-") as folder:
        for name, arguments in commands(Path(folder)).items():
            if chosen.only in name:
                results[name] = kill_test(name, arguments, chosen.kills, Path(folder), chosen.seed)
                print(f"{name}: {results[name]}", flush=True)
                write_json(output / "kill-test.json", results)
    print(output / "kill-test.json")


def _without_times(data: bytes, root: Path) -> bytes:
    text = data.decode("utf-8")
    for place in (str(root), os.path.relpath(root, PROJECT)):
        text = text.replace(place, "<root>")
    try:
        content = json.loads(text)
    except ValueError:
        return text.encode()
    return json.dumps(_stripped(content), sort_keys=True).encode()


def _stripped(content: object) -> object:
    if isinstance(content, dict):
        return {key: _stripped(value) for key, value in content.items() if key not in _VOLATILE_KEYS}
    return [_stripped(item) for item in content] if isinstance(content, list) else content


if __name__ == "__main__":
    main()
