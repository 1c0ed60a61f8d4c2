"""The one place that says which core a policy gets: unrolled, streaming or folded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hls4rl.hls_projects.flow.estimate import AUTO, Estimate, estimate, require_patience, resolved
from hls4rl.hls_projects.flow.folded import build_folded
from hls4rl.hls_projects.flow.pipelined import build_for_clock
from hls4rl.hls_projects.flow.streaming import build_stream
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.steps import Steps
from hls4rl.network import IntegerNetwork, plain
from hls4rl.task import Hardware


def expect(network: IntegerNetwork, hardware: Hardware) -> Estimate | None:
    """What :func:`build_core` will come to; None for a streaming core, of which there is no estimate.

    Raises:
        ProjectError: it is expected to take longer than ``hardware.build_minutes``.
    """
    if hardware.inputs_per_clock:
        return None
    part = load_part(hardware.part)
    found = resolved(network, hardware)
    common = (network, part, hardware.clock_mhz, hardware.place_seeds)
    result = estimate(*common, int(found.fold))
    if result.seconds > 60 * hardware.build_minutes:
        quicker = resolved(network, replace(hardware, fold=AUTO))
        require_patience(result, estimate(*common, int(quicker.fold)), hardware)
    return result


def build_core(
    network: IntegerNetwork, hardware: Hardware, directory: Path, kept: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Build the core that ``hardware`` asks for in ``directory``; see the three that it may be.

    Args:
        kept: folder for what takes long, so that the next call goes on from it after this one was stopped.
        tell: told of each long step that has ended.

    Returns:
        The content of ``ooc_synth_and_timing.json``.

    Raises:
        ProjectError: see there.
    """
    hardware = resolved(network, hardware)
    common = (network, hardware.part, hardware.clock_mhz, hardware.place_seeds, directory)
    steps = Steps(kept, tell, 60 * hardware.build_minutes)
    if hardware.inputs_per_clock:
        result = build_stream(*common, hardware.inputs_per_clock, steps)
    elif hardware.fold:
        result = build_folded(*common, int(hardware.fold), steps)
    else:
        result = build_for_clock(plain(network), *common[1:], hardware.stages, steps)
    steps.clear()
    return result
