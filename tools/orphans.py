"""Orphans: each command ended in each way a command can end, while its processes are at work, and what is left counted.

The processes of a command are known by a variable of their environment that no other has.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pty
import secrets
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hls4rl.artefact import write_json

PROJECT = Path(__file__).resolve().parent.parent
MARK = "HLS4RL_ORPHANS"
LIMIT_SECONDS = 10.0
"""After which nothing of a command may be left."""
_START_SECONDS = 900.0

Ending = Callable[["Command"], None]


@dataclass(frozen=True)
class Case:
    """A command, and the process of it that has to be there before it is ended."""

    name: str
    arguments: tuple[str, ...]
    awaited: str
    """Text in that process's command line."""


class Command:
    """A command that a shell runs, and all processes that came of it.

    Args:
        terminal: whether it runs on a terminal of its own, as a user's does, or without one, as a service's.
    """

    def __init__(self, arguments: tuple[str, ...], terminal: bool) -> None:
        self._mark = f"{MARK}={secrets.token_hex(8)}"
        name, value = self._mark.split("=")
        self.terminal, device = pty.openpty()
        self.process = subprocess.Popen(
            ["sh", "-c", '"$@"; exit $?', "sh", *arguments], cwd=PROJECT, stdin=device, stdout=device, stderr=device,
            env={**os.environ, name: value, "PYTHONPATH": str(PROJECT)}, start_new_session=True,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if terminal else None,
        )
        os.close(device)
        os.set_blocking(self.terminal, False)
        self.said = b""

    def listen(self) -> None:
        """Take what the command writes, lest it waits."""
        with contextlib.suppress(OSError):
            while data := os.read(self.terminal, 1 << 16):
                self.said += data

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self.terminal)
        self.terminal = -1

    def running(self) -> dict[int, str]:
        """Command line of each process that is alive, by its number."""
        return dict(self._running())

    def _running(self) -> Iterator[tuple[int, str]]:
        wanted = self._mark.encode()
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (place / "environ").read_bytes().split(b"\0"):
                    line = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    yield int(place.name), line.strip()

    def first(self, program: str, word: str) -> int:
        """The number of the first process of ``program`` that has ``word`` in its command line."""
        lines = {number: line.split() for number, line in self.running().items()}
        return min(number for number, line in lines.items() if line[0].endswith(program) and word in line)


def _signal_program(number: int) -> Ending:
    return lambda command: os.kill(command.first("python", "-m"), number)


def _signal_make(number: int) -> Ending:
    return lambda command: os.kill(command.first("make", "make"), number)


def _signal_group(number: int) -> Ending:
    return lambda command: os.killpg(command.process.pid, number)


ENDINGS: dict[str, Ending] = {
    "SIGINT": _signal_program(signal.SIGINT),
    "SIGTERM": _signal_program(signal.SIGTERM),
    "SIGHUP": _signal_program(signal.SIGHUP),
    "SIGKILL": _signal_program(signal.SIGKILL),
    "Ctrl-C": _signal_group(signal.SIGINT),
    "SIGTERM to the group": _signal_group(signal.SIGTERM),
    "SIGTERM to make": _signal_make(signal.SIGTERM),
    "SIGKILL to make": _signal_make(signal.SIGKILL),
    "closed terminal": Command.hang_up,
}
ON_TERMINAL = ("Ctrl-C", "closed terminal")


def leftovers(case: Case, ending: str) -> list[str]:
    """Start ``case``, end it, and return the command lines of what is still alive after :data:`LIMIT_SECONDS`.

    Raises:
        AssertionError: the process to wait for never came; what the command said is in the message.
    """
    command = Command(case.arguments, ending in ON_TERMINAL)
    try:
        _await(command, case)
        ENDINGS[ending](command)
        deadline = time.monotonic() + LIMIT_SECONDS
        while (left := command.running()) and time.monotonic() < deadline:
            command.listen()
            command.process.poll()
            time.sleep(0.02)
        return list(left.values())
    finally:
        for number in command.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        command.process.wait()
        if command.terminal >= 0:
            os.close(command.terminal)


def _await(command: Command, case: Case) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not any(case.awaited in line for line in command.running().values()):
        command.listen()
        waits = command.process.poll() is None and time.monotonic() < deadline
        assert waits, (case.name, command.said.decode(errors="replace")[-2000:])
        time.sleep(0.02)


def small_task(folder: Path) -> Path:
    """CartPole, trained for a while by two workers and placed with one seed."""
    text = (PROJECT / "hls_projects" / "tasks" / "cartpole.toml").read_text(encoding="utf-8")
    for before, after in (("episodes = 2000", "episodes = 100"), ("seeds = 5", "seeds = 2")):
        assert before in text
        text = text.replace(before, after)
    path = folder / "quick.toml"
    path.write_text(text, encoding="utf-8")
    return path


def cases(folder: Path) -> list[Case]:
    """Every command that starts processes, each with every kind of process that it starts."""
    task, root, built = str(small_task(folder)), f"ROOT={folder / 'runs'}", f"ROOT={folder / 'built'}"
    small = (f"ENV={task}", "HIDDEN=4")
    fresh = iter(range(1, 1000))

    def synth(awaited: str, *settings: str) -> Case:
        return Case(f"synth, {awaited}", ("make", "synth", *small, *settings, f"{root}-{next(fresh)}"), awaited)

    return [
        Case("train", ("make", "train", "ENV=acrobot", "HIDDEN=256", root), "multiprocessing.spawn"),
        Case("train pong", ("make", "train", "ENV=pong", "SEED=0", root), "multiprocessing.forkserver"),
        Case("train pong, several", ("make", "train", "ENV=pong", root), "multiprocessing.forkserver"),
        synth("cc1plus"), synth("libyosys"), synth("nextpnr-ecp5"),
        synth("yosys-abc", "METHOD=fp", "HIDDEN=32"),
        synth("nextpnr-ice40", "PART=ice40-hx8k"),
        Case("explore", ("make", "explore", f"ENV={task}", "BUDGET=10m", root), "multiprocessing.spawn"),
        Case("explore, placing", ("make", "explore", f"ENV={task}", "BUDGET=10m", root), "nextpnr"),
        Case("paper", ("make", "paper", "QUICK=1", root), "multiprocessing.spawn"),
        Case("prove", ("make", "prove", *small, "MUTATIONS=50", built), "yosys"),
        Case("hil", ("make", "hil", *small, "EPISODES=1000", built), "simulated_board"),
        Case("endure", ("make", "endure", *small, "FRAMES=100", "MINUTES=10", built), "simulated_board"),
        Case("bitstream", ("make", "bitstream", *small, built), "nextpnr"),
        Case("matrix", ("make", "matrix", root), "multiprocessing.spawn"),
        Case("watch", ("make", "watch", *small, "EPISODES=1000", built), "simulated_board"),
        Case("equality", ("make", "equality", "STEPS=100000000", built), "-m hls4rl equality"),
        Case("bench-train", ("make", "bench-train", root), "multiprocessing.spawn"),
    ]


def main() -> None:
    """End each command in each way; print a line each and, last, the path of the JSON result."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", default="", help="cases whose name has this in it")
    options.add_argument("--endings", default=",".join(ENDINGS), help="with commas")
    options.add_argument("--output", type=Path, default=Path("build/kill-test"))
    chosen = options.parse_args()
    output = chosen.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(dir=output, prefix="orphans-") as place:
        folder = Path(place)
        selected = [case for case in cases(folder) if chosen.only in case.name]
        if any(f"ROOT={folder / 'built'}" in case.arguments for case in selected):
            _build(folder)
        for case in selected:
            for ending in chosen.endings.split(","):
                left = leftovers(case, ending)
                results.append({"command": case.name, "ending": ending, "left": left})
                print(f"{case.name}: {ending}: {len(left)} left {left or ''}", flush=True)
                write_json(output / "orphans.json", results)
    count = sum(bool(result["left"]) for result in results)
    print(f"{len(results)} endings, {count} of them left processes behind")
    print(output / "orphans.json")
    sys.exit(bool(count))


def _build(folder: Path) -> None:
    subprocess.run(
        ["make", "synth", f"ENV={small_task(folder)}", "HIDDEN=4", f"ROOT={folder / 'built'}"], cwd=PROJECT, check=True,
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    main()
