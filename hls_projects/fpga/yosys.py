"""Runs Yosys, as a process of its own: a crash, a kill or Ctrl-C there leaves this one whole, and logs stay quiet."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from hls4rl.errors import ToolError
from hls4rl.hls_projects.fpga.read_only import BLOCK_RAM
from hls4rl.processes import run
from hls4rl.run import check_root

# Found, not imported: the import makes the symbols of all libraries loaded later global, and pygame then crashes.
_PYOSYS = importlib.util.find_spec("pyosys")
assert _PYOSYS is not None
assert _PYOSYS.origin is not None

SHARE = Path(_PYOSYS.origin).parent / "share"
"""Yosys' cell libraries and CXXRTL headers."""
ABC = Path(_PYOSYS.origin).parent / "yosys-abc"
"""The program ABC, as Yosys brings it along."""

_RUNNER = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for line in sys.stdin.read().splitlines():
    libyosys.run_pass(line, design)
"""


def run_yosys(commands: Sequence[str], directory: Path, log: Path, seconds: float | None = None) -> None:
    """Run ``commands`` in ``directory``; all that Yosys says goes to the file ``log``.

    Raises:
        ToolError: a command failed; Yosys' own error line is in the message.
        subprocess.TimeoutExpired: it took longer than ``seconds``.
    """
    with log.open("w", encoding="utf-8") as output:
        done = run([sys.executable, "-c", _RUNNER], directory, text="\n".join(commands), log=output, timeout=seconds)
    if done.returncode:
        text = log.read_text(encoding="utf-8", errors="replace")
        lines = text.splitlines()
        reason = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no output")
        raise ToolError(f"Yosys failed ({done.returncode}): {reason}", text)


def verilog_commands(sources: Sequence[Path]) -> list[str]:
    """Yosys commands that read Verilog files."""
    return [f"read_verilog -defer {' '.join(quoted(path) for path in sources)}"]


def netlist_commands(netlist: Path, cells: str) -> list[str]:
    """Yosys commands that read a synthesised netlist (JSON).

    Args:
        cells: Yosys' simulation models of the part's cells, for instance ``+/ecp5/cells_sim.v``.
    """
    return [
        f"read_json {quoted(netlist)}", f"delete =A:blackbox ={BLOCK_RAM} %d =A:whitebox",
        f"read_verilog -sv -overwrite -icells -defer {cells}",
    ]


def quoted(path: Path) -> str:
    """``path`` as Yosys reads it, spaces included.

    Raises:
        ProjectError: it has characters that Yosys would read as more than a name.
    """
    return f'"{check_root(path.resolve())}"'
