"""Opens the simulation of a built core, whichever kind it is."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.hls_projects.rtl.folded import is_folded
from hls4rl.hls_projects.simulation.folded import FoldedNetlistBackend, FoldedRtlBackend
from hls4rl.hls_projects.simulation.pipelined import NetlistBackend, RtlBackend
from hls4rl.hls_projects.simulation.streaming import StreamNetlistBackend, StreamRtlBackend, is_stream


def open_rtl(directory: Path) -> Backend:
    """The Verilog of the core that was built in ``directory``.

    Raises:
        ProjectError: there is no whole core.
    """
    if is_stream(directory):
        return StreamRtlBackend(directory)
    return FoldedRtlBackend(directory) if is_folded(directory) else RtlBackend(directory)


def open_netlist(directory: Path) -> Backend:
    """The netlist of the core that was built in ``directory``.

    Raises:
        ProjectError: there is no whole core.
    """
    if is_stream(directory):
        return StreamNetlistBackend(directory)
    return FoldedNetlistBackend(directory) if is_folded(directory) else NetlistBackend(directory)
