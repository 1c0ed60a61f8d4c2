"""The one place that says which core a policy gets: unrolled, streaming or folded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hls4rl.hls_projects.flow.folded import build_folded
from hls4rl.hls_projects.flow.streaming import build_stream
from hls4rl.hls_projects.fpga.place import build_for_clock
from hls4rl.network import IntegerNetwork, plain
from hls4rl.task import Hardware


def build_core(network: IntegerNetwork, hardware: Hardware, directory: Path) -> dict[str, Any]:
    """Build the core that ``hardware`` asks for in ``directory``; see the three that it may be.

    Returns:
        The content of ``ooc_synth_and_timing.json``.

    Raises:
        ProjectError: see there.
    """
    common = (network, hardware.part, hardware.clock_mhz, hardware.place_seeds, directory)
    if hardware.inputs_per_clock:
        return build_stream(*common, hardware.inputs_per_clock)
    if hardware.fold:
        return build_folded(*common, hardware.fold)
    return build_for_clock(plain(network), *common[1:], hardware.stages)
