"""From a design and a board to a bitstream: Yosys, nextpnr and the part's packer, with the timing checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hls4rl.artefact import digest, write_json
from hls4rl.errors import ProjectError
from hls4rl.firmware.boards import Board
from hls4rl.firmware.design import Design, Netlist
from hls4rl.hls_projects.fpga.nextpnr import Placement, pack, place
from hls4rl.hls_projects.fpga.wrapper import synthesise_around
from hls4rl.hls_projects.rtl.pipelined import CORE

REPORT = "bitstream.json"
ATTEMPTS = 5
"""Placement seeds that are tried until the timing is met."""
_DESIGN = "board"


def build_bitstream(design: Design, core: Netlist, board: Board, directory: Path) -> dict[str, Any]:
    """Write the bitstream of ``design`` on ``board``, and :data:`REPORT`, to ``directory``.

    The core goes in as the netlist that its part's figures and proof are of; the link around it is synthesised now.

    Args:
        core: of ``design``, for a part of the board's family.

    Returns:
        The report: board, part's options, clock_mhz, fmax_mhz, seed, baud, clocks_per_bit, utilization
        ({cell: [used, available]}), policy_hash, core (part, recipe and the netlist's SHA-256), bitstream (file name)
        and load (the command).

    Raises:
        ProjectError: the design doesn't fit the part, or misses the board's clock with every seed.
    """
    button = board.pins.get("button")
    top = directory / f"{_DESIGN}.v"
    top.write_text(design.top(
        board.clocks_per_bit, board.pins["led"].active_low, button is not None,
        button is not None and button.active_low,
    ), encoding="utf-8")
    netlist = synthesise_around(
        core.file, CORE, [top, *design.link], _DESIGN, core.part, directory, core.recipe, pads=True
    )
    placement = _place(netlist, board, directory)
    bitstream = pack(board.target, directory, _DESIGN, [*board.packer, *board.family.pack_small])
    result = {
        "board": board.name, "title": board.title, "device": list(board.device), "clock_mhz": board.clock_mhz,
        "fmax_mhz": placement.fmax_mhz, "fmax_nextpnr_mhz": placement.nextpnr_mhz,
        "fmax_capped_by": placement.capped_by, "seed": placement.seed, "baud": board.baud,
        "clocks_per_bit": board.clocks_per_bit, "utilization": placement.utilization,
        "policy_hash": f"{design.policy_hash:016x}",
        "core": {"part": core.part.name, "recipe": core.recipe, "netlist": digest(core.file)},
        "bitstream": bitstream, "load": f"openFPGALoader -b {board.loader} {bitstream}",
    }
    write_json(directory / REPORT, result)
    return result


def _place(netlist: Path, board: Board, directory: Path) -> Placement:
    fastest = 0.0
    for seed in range(1, ATTEMPTS + 1):
        found = place(netlist, board.target, board.clock_mhz, seed, directory, _DESIGN, board.pins)
        fastest = max(fastest, found.fmax_mhz)
        if found.fmax_mhz >= board.clock_mhz:
            return found
    raise ProjectError(
        f"board {board.name}: the design reaches {fastest:.1f} MHz, the board's clock is {board.clock_mhz:g} MHz; "
        "build the policy for a higher CLOCK_MHZ (more pipeline stages) or take a smaller one"
    )
