"""The whole design of a board, compiled for simulation: bytes in at pin ``rx``, bytes out at pin ``tx``."""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Sequence
from pathlib import Path

from hls4rl.errors import ProjectError, ToolError
from hls4rl.firmware.design import Design
from hls4rl.hls_projects.fpga.yosys import SHARE, quoted, run_yosys
from hls4rl.library import load_library, record_library
from hls4rl.processes import run

CLOCKS_PER_BIT = 8
"""In simulation: the fewer the faster; boards have more."""

LIBRARY = "board.so"

_HEADERS = SHARE / "include" / "backends" / "cxxrtl" / "runtime"
_BENCH = Path(__file__).resolve().parent / "uart_bench.cpp"
_CHUNK = 1 << 14


def build_board_model(design: Design, directory: Path) -> Path:
    """Compile ``design`` for :class:`BoardModel`; the library is ``<directory>/board.so``.

    Raises:
        ProjectError: there is no g++.
    """
    directory.mkdir(parents=True, exist_ok=True)
    top = directory / "board.v"
    top.write_text(design.top(CLOCKS_PER_BIT), encoding="utf-8")
    design.copy_memories(directory)
    sources = " ".join(quoted(path) for path in (top, *design.sources))
    kept = [top, *(directory / path.name for path in design.memories)]
    return compile_board([f"read_verilog -defer {sources}"], kept, directory)


def compile_board(read: list[str], sources: Sequence[Path], directory: Path) -> Path:
    """Compile the module ``board`` that the Yosys commands ``read`` bring in, its Verilog or its netlist.

    Args:
        sources: files that the library is not loaded without, should they change.

    Raises:
        ProjectError: there is no g++.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise ProjectError("g++ is not on the PATH; install it (Debian, Ubuntu: apt install g++) and run again")
    # A net of its own for each driver: else some seem to depend on themselves, and a clock takes several evaluations.
    split = ["opt", "splitnets -driver", "opt_clean"]
    commands = [*read, "hierarchy -top board", "proc", "flatten", *split, "write_cxxrtl -g0 model.cc"]
    run_yosys(commands, directory, directory / "yosys.log")
    bench = _BENCH.read_text(encoding="utf-8").replace("@CLOCKS_PER_BIT@", str(CLOCKS_PER_BIT))
    (directory / "bench.cc").write_text(bench, encoding="utf-8")
    done = run(
        [compiler, "-std=c++17", "-O2", "-shared", "-fPIC", f"-I{_HEADERS}", "bench.cc", "-o", LIBRARY], directory
    )
    if done.returncode:
        raise ToolError("g++ failed on the board's model", done.stdout + done.stderr)
    for name in ("model.cc", "bench.cc"):
        (directory / name).unlink()
    record_library(directory / LIBRARY, sources)
    return directory / LIBRARY


class BoardModel:
    """A board that was just switched on. Not for use by several threads."""

    def __init__(self, library: Path) -> None:
        self._library = load_library(library, "delete its folder and run the same command again")
        self._library.board_new.restype = ctypes.c_void_p
        self._library.board_delete.argtypes = [ctypes.c_void_p]
        self._library.board_waiting.argtypes = [ctypes.c_void_p]
        self._library.board_waiting.restype = ctypes.c_int64
        self._library.board_run.restype = ctypes.c_int64
        self._library.board_run.argtypes = [
            ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_int64,
            ctypes.POINTER(ctypes.c_int64), ctypes.c_int64, ctypes.c_int64,
        ]
        self._library.board_break.argtypes = [ctypes.c_void_p, ctypes.c_int64]
        self._board = self._library.board_new()
        self._answers = ctypes.create_string_buffer(_CHUNK)
        self.clocks = 0
        """Clock cycles since it was switched on."""

    def close(self) -> None:
        """Switch the board off."""
        if self._board is not None:
            self._library.board_delete(self._board)
            self._board = None

    @property
    def waiting(self) -> int:
        """Bytes that were given and have not reached the pin yet."""
        return int(self._library.board_waiting(self._board))

    def run(self, data: bytes, idle: int, limit: int) -> tuple[bytes, int]:
        """Give ``data`` to the pin ``rx`` and run.

        Args:
            data: bytes, sent behind those still waiting.
            idle: stop when both pins have been idle for that many clocks.
            limit: stop after that many clocks.

        Returns:
            The bytes that came from the pin ``tx``, and the clocks that went by.
        """
        count = ctypes.c_int64()
        clocks = self._library.board_run(
            self._board, data, len(data), self._answers, _CHUNK, ctypes.byref(count), idle, limit
        )
        self.clocks += clocks
        return self._answers.raw[: count.value], clocks

    def hold_low(self, clocks: int) -> None:
        """Keep the pin ``rx`` low for ``clocks``: a break. What the board says meanwhile is lost."""
        self._library.board_break(self._board, clocks)


def exchange(model: BoardModel, data: bytes, idle: int = 2000) -> bytes:
    """Send ``data`` to ``model`` and return all that it says until it is idle."""
    answers = []
    while True:
        out, clocks = model.run(data, idle, 1 << 20)
        data = b""
        answers.append(out)
        if not model.waiting and not out and clocks < 1 << 20:
            return b"".join(answers)
