"""A shell under simulation, reached as a bus master reaches it: with pauses, resets and damaged packets at random."""

from __future__ import annotations

import ctypes
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError, ToolError
from hls4rl.firmware.shells.shell import TOP, Shell
from hls4rl.firmware.shells.write import write_shell
from hls4rl.hls_projects.fpga.yosys import SHARE, run_yosys
from hls4rl.library import load_library, record_library
from hls4rl.processes import run

LIBRARY = "shell.so"
_BENCH = Path(__file__).resolve().parent / "shell_bench.cpp"
_HEADERS = SHARE / "include" / "backends" / "cxxrtl" / "runtime"
_PATIENCE = 400
"""Clocks for a transaction beside what the core needs, on a bus that pauses in no clock."""


@dataclass(frozen=True)
class Trouble:
    """What the bench does beside asking."""

    pause: float = 0.0
    """Share of all clocks in which a side that could go on does not, each side for itself."""
    reset_every: int = 0
    """Turns of the bench (a clock of a stream, a look at the registers), on average, between two resets in
    mid-transfer; 0: none."""
    damage_every: int = 0
    """The same between packets of a wrong length, or observations begun without asking whether there is room."""


@dataclass(frozen=True, eq=False)
class Traffic:
    """What came of some transactions."""

    actions: IntArray
    """Shape (count, integers of an action)."""
    clocks: int
    resets: int
    damaged: int
    """Packets of a wrong length, each told as such; or observations without room, each refused."""


def build_bench(shell: Shell, directory: Path) -> Path:
    """Write ``shell`` to ``directory``, simulate it there, and compile what talks to it.

    Raises:
        ProjectError: there is no g++.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise ProjectError("g++ is not on the PATH; install it (Debian, Ubuntu: apt install g++) and run again")
    directory.mkdir(parents=True, exist_ok=True)
    names = [*write_shell(shell, directory)["verilog"], *(path.name for path in shell.memories)]
    verilog = " ".join(name for name in names if name.endswith(".v"))
    commands = [f"read_verilog -defer {verilog}", f"hierarchy -top {TOP}", "proc", "flatten", "opt_clean",
                "write_cxxrtl -g0 model.cc"]
    run_yosys(commands, directory, directory / "yosys.log")
    numbers = {name: value for name, value in shell.parameters.items() if value.isdigit()}
    numbers["SIGNED"] = str(int(shell.action_signed))
    flags = [f"-D{name}={value}" for name, value in numbers.items()]
    done = run([
        compiler, "-std=c++17", "-O1", "-shared", "-fPIC", f"-I{_HEADERS}", "-I.", f"-DBUS_{shell.bus.upper()}", *flags,
        str(_BENCH), "-o", LIBRARY,
    ], directory)
    if done.returncode:
        raise ToolError("g++ failed on the shell's bench", done.stdout + done.stderr)
    (directory / "model.cc").unlink()
    record_library(directory / LIBRARY, [directory / name for name in names])
    return directory / LIBRARY


class ShellBackend:
    """The policy behind its bus, as :class:`hls4rl.backend.Backend`; only actions leave it. Not for several threads."""

    def __init__(self, shell: Shell, library: Path, trouble: Trouble | None = None, seed: int = 1) -> None:
        self.name = shell.bus
        self._shell, self.trouble = shell, trouble or Trouble()
        self.clocks = 0
        """That all transactions took until now."""
        self._library = code = load_library(library, "delete its folder and run the same command again")
        code.bench_new.restype, code.bench_new.argtypes = ctypes.c_void_p, [ctypes.c_uint64]
        code.bench_delete.argtypes = [ctypes.c_void_p]
        code.bench_run.argtypes = [
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_double, ctypes.c_int64,
            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_char_p,
        ]
        self._bench = code.bench_new(seed)
        if self._bench is None:
            raise ProjectError(f"{library}: the shell shows a valid answer in its reset")

    def close(self) -> None:
        """Free the simulation."""
        if self._bench is not None:
            self._library.bench_delete(self._bench)
            self._bench = None

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        return Answer(self.exchange(observations).actions, None)

    def exchange(self, observations: IntArray) -> Traffic:
        """Ask about each of ``observations``, int64, shape (count, features), in order.

        Raises:
            ProjectError: the shell broke a rule of its bus, or fell silent; the message says which and when.
        """
        shell, trouble, count = self._shell, self.trouble, len(observations)
        rows = np.ascontiguousarray(observations & 0xFFFF, dtype=np.uint16)
        if rows.shape != (count, shell.features):
            raise ValueError(f"observations of shape {rows.shape}, not (count, {shell.features})")
        actions = np.zeros((count, len(shell.action_widths)), dtype=np.int32)
        counted, message = np.zeros(3, dtype=np.int64), ctypes.create_string_buffer(200)
        patience = _PATIENCE + 8 * shell.observation_beats * (1 if shell.bus == "axis" else 8) + 4 * shell.cycles
        slowness = 4 / (1 - trouble.pause) ** 2
        status = self._library.bench_run(
            self._bench, rows.ctypes.data, count, actions.ctypes.data, trouble.pause, trouble.reset_every,
            trouble.damage_every, int(slowness * patience * (count + 10)), counted.ctypes.data, message,
        )
        if status:
            raise ProjectError(
                f"the shell on {shell.bus} at {message.value.decode()}; this is a bug in hls4rl: please report it with "
                "the run's directory"
            )
        self.clocks += int(counted[0])
        return Traffic(actions.astype(np.int64), *(int(item) for item in counted))
