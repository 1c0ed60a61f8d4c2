"""From the integer network to a placed folded core: the flow of networks too large, or too slow to build, as logic."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from hls4rl.artefact import write_json
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
from hls4rl.hls_projects.fpga.wrapper import synthesise_around
from hls4rl.hls_projects.rtl.folded import FoldedInfo, write_folded
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.hls_projects.simulation.folded import build_netlist_model, build_rtl_model
from hls4rl.network import IntegerNetwork

SERIAL = "policy_serial"
"""Module around a core whose action has more bits than the part has pins: they go out one per clock."""
_SERIAL = """module policy_serial (
    input wire clk, input wire restart, input wire in_valid, output wire in_ready, input wire [{high}:0] observation,
    output wire out_valid, input wire out_ready, output wire action_bit
);
    wire [{width}-1:0] action;
    reg [{width}-1:0] row;
    assign action_bit = row[0];
    always @(posedge clk) row <= out_valid ? action : row >> 1;
    policy_core core (.clk(clk), .restart(restart), .in_valid(in_valid), .in_ready(in_ready),
        .observation(observation), .out_valid(out_valid), .out_ready(out_ready), .action(action));
endmodule
"""
_HANDSHAKE_PINS = 6


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
        "placements": partial(_place, info, part, clock_mhz, seeds, directory, recipe, steps),
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


def _place(
    info: FoldedInfo, part: Part, clock_mhz: float, seeds: int, directory: Path, recipe: str, steps: Steps
) -> list[Placement]:
    """The placements of all seeds, of which the median's files are kept; none where there is no place and route."""
    if not part.has_bitstream:
        return []
    with tempfile.TemporaryDirectory(dir=directory, prefix=".place-") as work:
        netlist = directory / NETLIST
        if info.observation_bits + info.action_bits + _HANDSHAKE_PINS > part.capacity["pins"]:
            source = Path(work) / f"{SERIAL}.v"
            source.write_text(serial_verilog(info), encoding="utf-8")
            netlist = synthesise_around(netlist, CORE, [source], SERIAL, part, Path(work), recipe)
        placements = place_seeds(netlist, part, clock_mhz, seeds, Path(work), steps=steps, together=True)
        for path in placed_files(Path(work), part, placements):
            path.replace(directory / path.name)
    return placements


def serial_verilog(info: FoldedInfo) -> str:
    """The module :data:`SERIAL` around a core."""
    return _SERIAL.format(high=info.observation_bits - 1, width=info.action_bits)
