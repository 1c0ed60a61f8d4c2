"""The core's Verilog, simulated."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.executor import Executor


def _open(artefact: Path) -> Backend:
    from hls4rl.hls_projects.simulation.cores import open_rtl

    return open_rtl(artefact)


EXECUTOR = Executor(4, "Verilog, simulated", lambda run, part: run.part(part), _open, gates=True, sampled=2048)
