"""The core's gates after synthesis, simulated."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.executor import Executor


def _open(artefact: Path) -> Backend:
    from hls4rl.hls_projects.simulation.cores import open_netlist

    return open_netlist(artefact)


EXECUTOR = Executor(
    5, "gates after synthesis, simulated", lambda run, part: run.part(part), _open, gates=True, shows_logits=False,
    sampled=512,
)
