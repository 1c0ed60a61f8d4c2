"""A process that is a board on a serial port: the whole top level, simulated clock by clock, behind a pseudo-terminal.

``python -m hls4rl.firmware.simulated_board <library> <port>`` makes the symbolic link <port>, which any program can
open. On SIGTERM it writes what it did to the report file and ends.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import tty
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.artefact import write_json
from hls4rl.errors import ProjectError
from hls4rl.firmware.faults import Wire
from hls4rl.firmware.model import BoardModel
from hls4rl.processes import started

IDLE_CLOCKS = 2000
"""A board whose pins are idle for so long has nothing more to say (an identity takes 400 clocks to compose); one
with a streaming core may be silent for longer while it computes."""
_SLICE_CLOCKS = 20_000
"""Simulated between two looks at the terminal."""
_DELAY_SECONDS = 0.02
_AWAY_SECONDS = 0.3
"""How long the board stays unplugged, or without power."""
_START_SECONDS = 180.0


@dataclass(frozen=True)
class Trouble:
    """What shall go wrong."""

    rate: float = 0.0
    """Of all bytes, in each direction: dropped, flipped or doubled (:class:`hls4rl.firmware.faults.Wire`)."""
    seed: int = 0
    unplug_after: tuple[int, ...] = ()
    """The port goes away, the board keeps its power, after so many bytes from the host; then it comes back."""
    power_cycle_after: tuple[int, ...] = ()
    """The board loses its power, the port stays, after so many bytes from the host; then it starts anew."""


class SimulatedBoard:
    """The board, its wire and its port; runs in this process until it is stopped."""

    def __init__(self, library: Path, port: Path, trouble: Trouble, idle_clocks: int = IDLE_CLOCKS) -> None:
        self._library, self._port, self._idle_clocks = library, port, idle_clocks
        self._slice_clocks = _SLICE_CLOCKS * IDLE_CLOCKS // idle_clocks  # a core that is slower to answer is larger
        self._model = BoardModel(library)
        towards, back = np.random.SeedSequence(trouble.seed).spawn(2)
        self._to_board = Wire(trouble.rate, np.random.default_rng(towards))
        self._to_host = Wire(trouble.rate, np.random.default_rng(back))
        self._events = sorted(
            [(place, "unplugged") for place in trouble.unplug_after]
            + [(place, "power_cycled") for place in trouble.power_cycle_after]
        )
        self._happened = {"unplugged": 0, "power_cycled": 0}
        self._bytes = 0
        self._clocks = 0
        self._terminal = self._device = -1
        self._plug()

    def report(self) -> dict[str, Any]:
        """What was injected, and how much went by."""
        return {
            "to_board": self._to_board.injected, "to_host": self._to_host.injected, **self._happened,
            "bytes_from_host": self._bytes, "clocks": self._clocks + self._model.clocks,
        }

    def run(self) -> None:
        """Serve the port until SIGTERM ends this process."""
        busy, quiet = False, 0
        while True:
            data = self._read(wait=not busy)
            if data:
                self._bytes += len(data)
                if self._events and self._bytes >= self._events[0][0]:
                    self._happen(self._events.pop(0)[1])
                    busy = False
                    continue
            data, late = self._to_board.carry(data)
            answers, clocks = self._model.run(data, self._idle_clocks, self._slice_clocks)
            quiet = 0 if data or answers or self._model.waiting else quiet + clocks
            busy = (clocks == self._slice_clocks and quiet < self._idle_clocks) or bool(self._model.waiting)
            answers, later = self._to_host.carry(answers)
            if late or later:
                time.sleep(_DELAY_SECONDS)
            self._write(answers)

    def close(self) -> None:
        """Unplug."""
        self._unplug()
        self._model.close()

    def _happen(self, event: str) -> None:
        self._happened[event] += 1
        if event == "unplugged":
            self._unplug()
            time.sleep(_AWAY_SECONDS)
            self._plug()
            return
        self._clocks += self._model.clocks
        self._model.close()
        ends = time.monotonic() + _AWAY_SECONDS
        while time.monotonic() < ends:
            self._read(wait=True)  # nobody hears it
        self._model = BoardModel(self._library)

    def _plug(self) -> None:
        self._terminal, self._device = os.openpty()
        tty.setraw(self._device)
        os.set_blocking(self._terminal, False)
        partial = self._port.with_name(f".{self._port.name}.{os.getpid()}")
        partial.symlink_to(os.ttyname(self._device))
        partial.replace(self._port)

    def _unplug(self) -> None:
        self._port.unlink(missing_ok=True)
        os.close(self._terminal)
        os.close(self._device)

    def _read(self, wait: bool) -> bytes:
        ready, _, _ = select.select([self._terminal], [], [], 0.05 if wait else 0)
        return os.read(self._terminal, 1 << 16) if ready else b""

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._terminal, data):]
            except BlockingIOError:  # nobody reads: a real converter loses bytes as well, but later
                _, ready, _ = select.select([], [self._terminal], [], 1.0)
                if not ready:
                    return


@contextlib.contextmanager
def simulated_board(
    library: Path, report: Path | None = None, trouble: Trouble | None = None, idle_clocks: int = IDLE_CLOCKS
) -> Iterator[str]:
    """Run a simulated board as a process of its own; yields the name of its port.

    Args:
        library: what :func:`hls4rl.firmware.model.build_board_model` made.
        report: where it writes, at the end, what it did.
        trouble: what shall go wrong.
        idle_clocks: of silence, after which the board has nothing more to say.

    Raises:
        ProjectError: the process did not start.
    """
    with tempfile.TemporaryDirectory(prefix="board-") as folder:
        port = Path(folder) / "port"
        command = [sys.executable, "-m", "hls4rl.firmware.simulated_board", str(library.resolve()), str(port),
                   "--idle-clocks", str(idle_clocks)]
        if report is not None:
            command += ["--report", str(report.resolve())]
        for name, value in asdict(trouble or Trouble()).items():
            for item in value if isinstance(value, tuple) else (value,):
                command += [f"--{name.replace('_', '-')}", str(item)]
        with started(command, cwd=Path(__file__).resolve().parent.parent) as process:
            _await_port(process, port)
            yield str(port)


def _await_port(process: subprocess.Popen[bytes], port: Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    while not port.exists():
        if process.poll() is not None:
            raise ProjectError("the simulated board did not start; its message is above")
        if time.monotonic() > ends:
            raise ProjectError(f"the simulated board did not start in {_START_SECONDS:g} s; is the machine busy?")
        time.sleep(0.01)


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hls4rl.firmware.simulated_board", description=__doc__)
    parser.add_argument("library", type=Path)
    parser.add_argument("port", type=Path)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--idle-clocks", type=int, default=IDLE_CLOCKS)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unplug-after", type=int, action="append", default=[])
    parser.add_argument("--power-cycle-after", type=int, action="append", default=[])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    trouble = Trouble(options.rate, options.seed, tuple(options.unplug_after), tuple(options.power_cycle_after))
    board = SimulatedBoard(options.library, options.port, trouble, options.idle_clocks)
    try:
        board.run()
    finally:
        board.close()
        if options.report is not None:
            write_json(options.report, board.report())


if __name__ == "__main__":
    _main()
