"""Every bus around cores of every kind, with 100,000 random transactions each: pauses, resets, damaged packets.

``make bench-shells``; COUNT transactions where another number is wanted: ``python -m tools.shell_benches COUNT``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from hls4rl.firmware.shells.bench import ShellBackend, build_bench
from hls4rl.firmware.shells.shell import BUSES, shell_of
from hls4rl.firmware.shells.verbs import try_transactions
from hls4rl.hls_projects.rtl.folded import write_folded
from hls4rl.hls_projects.rtl.pipelined import write_rtl
from hls4rl.hls_projects.rtl.streaming import write_stream
from hls4rl.network import IntegerNetwork
from tools.verilog_lint import FOLDED, STREAMING, UNROLLED

TRANSACTIONS = 100_000
CORES = {
    "unrolled, one choice": ("unrolled", UNROLLED["signs"], 3),
    "unrolled, continuous": ("unrolled", UNROLLED["values"], 2),
    "streaming": ("streaming", STREAMING["masks"], 4), "folded, three choices": ("folded", FOLDED["groups"], 2),
    "folded, continuous": ("folded", FOLDED["values"], 2),
}


def bench(kind: str, network: IntegerNetwork, width: int, bus: str, count: int, folder: Path) -> dict[str, int | float]:
    """Build one shell in ``folder`` and try it; see :func:`hls4rl.firmware.shells.verbs.try_transactions`.

    Args:
        width: stages, inputs per clock or units of the core.
    """
    rtl = folder / "core"
    rtl.mkdir(parents=True)
    if kind == "unrolled":
        write_rtl(network, rtl, width)
    elif kind == "streaming":
        write_stream(network, rtl, width)
    else:
        write_folded(network, rtl, width)
    shell = shell_of(rtl, bus, 0x0123456789ABCDEF)
    backend = ShellBackend(shell, build_bench(shell, folder / bus))
    try:
        return try_transactions(backend, network, count)
    finally:
        backend.close()


def main() -> None:
    """Try all, and exit with 1 if an action differed."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else TRANSACTIONS
    wrong = 0
    for name, (kind, network, width) in CORES.items():
        for bus in BUSES:
            with tempfile.TemporaryDirectory() as folder:
                found = bench(kind, network, width, bus, count, Path(folder))
            wrong += int(found["mismatches"])
            print(f"{name:21} {bus:8} {found}", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
