"""From the integer network to a placed streaming core: the flow of observations too wide to come at once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hls4rl.artefact import write_json
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.block_ram import take_output_registers
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.place import (
    RESULT,
    check_capacity,
    place_seeds,
    placed_files,
    require_possible,
    result_of,
)
from hls4rl.hls_projects.fpga.steps import UNKEPT, Steps
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.hls_projects.rtl.streaming import write_stream
from hls4rl.hls_projects.simulation.streaming import build_netlist_model, build_rtl_model
from hls4rl.network import IntegerNetwork


def build_stream(
    network: IntegerNetwork, part_name: str, clock_mhz: float, seeds: int, directory: Path, inputs_per_clock: int,
    steps: Steps = UNKEPT,
) -> dict[str, Any]:
    """Write the core, synthesise, place and route it, and prepare its simulation, all in ``directory``.

    Args:
        inputs_per_clock: features that come per clock.
        steps: where what takes long is kept, and whom it tells.

    Returns:
        The content of ``ooc_synth_and_timing.json``: what
        :func:`hls4rl.hls_projects.flow.pipelined.build_for_clock` gives, and
        ``interval`` (clocks between two observations), ``inputs_per_clock``, ``weight_bits`` and ``memory_bits``.

    Raises:
        ProjectError: another part than an ECP5, the design is too large for it, or no streaming core computes this.
    """
    part = load_part(part_name)
    if part.family != "ecp5":
        raise ProjectError(
            f"the streaming core is built for ECP5 parts, not for {part.name}; set PART to ecp5-25f, ecp5-45f or "
            "ecp5-85f"
        )
    require_possible(clock_mhz, part)
    info = write_stream(network, directory, inputs_per_clock)
    synthesis = synthesise([directory / f"{CORE}.v"], CORE, part, directory, steps=steps)
    check_capacity(synthesis.resources, part)
    take_output_registers(directory / NETLIST, CORE)
    build_rtl_model(directory)
    build_netlist_model(directory, directory / NETLIST, part.tools.models)
    with tempfile.TemporaryDirectory(dir=directory, prefix=".place-") as work:
        placements = place_seeds(directory / NETLIST, part, clock_mhz, seeds, Path(work), steps=steps)
        for path in placed_files(Path(work), part, placements):
            path.replace(directory / path.name)
    result = {
        **result_of(part, clock_mhz, info.cycles, synthesis, placements), "interval": info.words,
        "inputs_per_clock": info.pixels, "weight_bits": info.weight_bits, "memory_bits": info.memory_bits,
    }
    write_json(directory / RESULT, result)
    return result
