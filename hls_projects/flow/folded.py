"""From the integer network to a placed folded core: the flow of networks too large, or too slow to build, as logic."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from hls4rl.hls_projects.fpga.block_ram import take_output_registers
from hls4rl.hls_projects.fpga.nextpnr import Placement
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.fpga.place import (
    RESULT,
    check_capacity,
    place_seeds,
    placed_files,
    require_possible,
    result_of,
)
from hls4rl.hls_projects.fpga.steps import UNKEPT, Steps, side_by_side
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.rtl.folded import write_folded
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.hls_projects.simulation.folded import build_netlist_model, build_rtl_model
from hls4rl.network import IntegerNetwork
from hls4rl.stage import write_json


def build_folded(
    network: IntegerNetwork, part_name: str, clock_mhz: float, seeds: int, directory: Path, units: int,
    steps: Steps = UNKEPT,
) -> dict[str, Any]:
    """Write the core, synthesise, place and route it, and prepare its simulation, all in ``directory``.

    Args:
        units: neurons that are computed side by side.
        steps: where what takes long is kept, and whom it tells.

    Returns:
        The content of ``ooc_synth_and_timing.json``: what
        :func:`hls4rl.hls_projects.fpga.place.build_for_clock` gives, and ``fold`` (the units), ``interval`` (clocks
        between two observations), ``weight_bits`` and ``memory_bits``.

    Raises:
        ProjectError: unknown part, the design is too large for it, or no folded core computes this.
    """
    part = load_part(part_name)
    require_possible(clock_mhz, part)
    info = write_folded(network, directory, units)
    recipe = list(part.tools.recipes)[-1]  # its adders are wide: carry chains
    synthesis = synthesise([directory / f"{CORE}.v"], CORE, part, directory, recipe, steps=steps)
    if part.capacity:
        check_capacity(synthesis.resources, part)
    if part.family == "ecp5":
        take_output_registers(directory / NETLIST, CORE)
    placements = side_by_side({
        "models": partial(_build_models, directory, part),
        "placements": partial(_place, part, clock_mhz, seeds, directory, steps),
    })["placements"]
    result = {
        **result_of(part, clock_mhz, info.cycles, synthesis, placements), "fold": info.units, "interval": info.interval,
        "weight_bits": info.weight_bits, "memory_bits": info.memory_bits,
    }
    write_json(directory / RESULT, result)
    return result


def _build_models(directory: Path, part: Part) -> None:
    """What simulates the RTL and, where its cells are known, the netlist."""
    build_rtl_model(directory)
    if part.tools.models:
        build_netlist_model(directory, directory / NETLIST, part.tools.models)


def _place(part: Part, clock_mhz: float, seeds: int, directory: Path, steps: Steps) -> list[Placement]:
    """The placements of all seeds, of which the median's files are kept; none where there is no place and route."""
    if not part.has_bitstream:
        return []
    with tempfile.TemporaryDirectory(dir=directory, prefix=".place-") as work:
        placements = place_seeds(directory / NETLIST, part, clock_mhz, seeds, Path(work), steps=steps)
        for path in placed_files(Path(work), part, placements):
            path.replace(directory / path.name)
    return placements
