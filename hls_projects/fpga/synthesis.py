"""Synthesis with Yosys: from Verilog to a netlist of a part's cells, in the recipe that takes the fewest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hls4rl.hls_projects.fpga.parts import Part
from hls4rl.hls_projects.fpga.yosys import quoted, run_yosys

NETLIST = "netlist.json"
_NARROW = Path(__file__).resolve().parent / "narrow_adders.v"
_SEARCH_BELOW = 600
"""Look-up tables from which on only the first recipe is tried: the others take minutes there and gain little."""


@dataclass(frozen=True)
class Family:
    """How Yosys synthesises for a family of parts, and which of its cells are what."""

    command: str
    recipes: Mapping[str, tuple[int, str]]
    """Name: adders of up to how many bits become gates (-1: none, constant operands neither), more options."""
    cells: Mapping[str, Mapping[str, int]]
    """Of lut, ff, dsp, bram: patterns of cell names, and how many units of the resource such a cell takes."""
    carry: tuple[str, str, str, int] | None = None
    """Carry cell, its carry input and output, and the look-up tables that the start of a chain takes in placing."""
    models: str = ""
    """Yosys' simulation models of the cells, for those families whose netlists are simulated."""


FAMILIES = {
    "ecp5": Family(
        "synth_lattice -family ecp5",
        {
            "adders to 4 bits in gates, no wide look-up tables": (4, "-nowidelut"),
            "adders to 7 bits in gates, no wide look-up tables": (7, "-nowidelut"),
            "carry chains": (-1, "-nowidelut"),
        },
        {
            "lut": {"LUT4": 1, "CCU2C": 2}, "ff": {"TRELLIS_FF": 1}, "dsp": {"MULT18X18D": 1}, "bram": {"DP16KD": 1},
        },
        carry=("CCU2C", "CIN", "COUT", 2),
        models="+/ecp5/cells_sim.v",
    ),
    "ice40": Family(
        "synth_ice40",
        {"constants in gates": (0, ""), "narrow adders in gates": (2, ""), "carry chains": (-1, "")},
        {"lut": {"SB_LUT4": 1}, "ff": {"SB_DFF.*": 1}, "dsp": {"SB_MAC16": 1}, "bram": {"SB_RAM40_4K.*": 1}},
        models="+/ice40/cells_sim.v",
    ),
    "xilinx": Family(
        "synth_xilinx -flatten -noiopad", {"as Yosys does it": (-1, "")},
        {
            "lut": {"LUT[1-6]": 1}, "ff": {"FD[RSCP]E(_1)?": 1}, "dsp": {"DSP48E1": 1},
            "bram": {"RAMB18E1": 1, "RAMB36E1": 2},
        },
    ),
    "gowin": Family(
        "synth_gowin -noiopads", {"as Yosys does it": (-1, "")},
        {"lut": {"LUT[1-4]": 1, "ALU": 1}, "ff": {"DFF.*": 1}, "dsp": {"MULT.*": 1}, "bram": {"(SP|DPB|SDPB)X?9?": 1}},
    ),
    "nexus": Family(
        "synth_nexus -noiopad", {"as Yosys does it": (-1, "")},
        {"lut": {"LUT4": 1, "CCU2": 2}, "ff": {"FD1P3.*": 1}, "dsp": {"MULT.*": 1}, "bram": {"DP(SC)?16K.*": 1}},
    ),
}


@dataclass(frozen=True)
class Synthesis:
    """One synthesised netlist."""

    recipe: str
    cells: dict[str, int]
    """Count of each cell type."""
    resources: dict[str, int]
    """``lut``, ``ff``, ``dsp``, ``bram``, counted before packing."""


def synthesise(sources: Sequence[Path], top: str, part: Part, directory: Path, recipe: str | None = None) -> Synthesis:
    """Synthesise ``top`` and leave the smallest netlist found in ``directory/netlist.json``.

    Args:
        recipe: name of the one recipe to use; None tries the family's recipes and keeps the one with the fewest
            look-up tables, ties to the fewer flip-flops and then to the first.
    """
    family = FAMILIES[part.family]
    best: tuple[Synthesis, Path] | None = None
    for index, name in enumerate([recipe] if recipe else family.recipes):
        path = directory / f"netlist-{index}.json"
        found = _run(sources, top, family, name, path)
        if best is None or _size(found) < _size(best[0]):
            if best is not None:
                best[1].unlink()
            best = found, path
        else:
            path.unlink()
        if found.resources["lut"] > _SEARCH_BELOW:
            break
    assert best is not None
    best[1].replace(directory / NETLIST)
    return best[0]


def _size(synthesis: Synthesis) -> tuple[int, int]:
    return synthesis.resources["lut"], synthesis.resources["ff"]


def _run(sources: Sequence[Path], top: str, family: Family, recipe: str, netlist: Path) -> Synthesis:
    limit, options = family.recipes[recipe]
    command = f"{family.command} {options} -top {top}"
    statistics = netlist.with_suffix(".stat")
    fine = [command]
    if limit >= 0:
        fine = [
            f"{command} -run begin:map_ram", f"techmap -map {quoted(_NARROW)} -D LIMIT={limit}", "opt -full",
            f"{command} -run map_ram:",
        ]
    # Where a cell came from would make netlists differ from folder to folder, and Yosys cannot read back what it
    # wrote of folders with letters beyond ASCII.
    names = " ".join(f'"{os.path.relpath(path, netlist.parent)}"' for path in sources)
    write = ["setattr -unset src =*", "setattr -mod -unset src =*", f"write_json {netlist.name}"]
    commands = [f"read_verilog -defer {names}", *fine, *write, f"tee -q -o {statistics.name} stat -json"]
    run_yosys(commands, netlist.parent, netlist.parent / "synthesis.log")
    design = json.loads(statistics.read_text(encoding="utf-8"))["design"]
    statistics.unlink()
    cells = {name: int(count) for name, count in sorted(design["num_cells_by_type"].items())}
    resources = _count(cells, family)
    resources["lut"] += _chain_starts(netlist, top, family)
    return Synthesis(recipe, cells, resources)


def _count(cells: Mapping[str, int], family: Family) -> dict[str, int]:
    return {
        resource: sum(
            count * units for name, count in cells.items() for pattern, units in patterns.items()
            if re.fullmatch(pattern, name)
        )
        for resource, patterns in family.cells.items()
    }


def _chain_starts(netlist: Path, top: str, family: Family) -> int:
    """Look-up tables that carry chains cost on top of their cells."""
    if family.carry is None:
        return 0
    kind, carry_in, carry_out, extra = family.carry
    modules = json.loads(netlist.read_text(encoding="utf-8"))["modules"]
    pins = [cell["connections"] for cell in modules[top]["cells"].values() if cell["type"] == kind]
    carries = {bit for connections in pins for bit in connections[carry_out]}
    return extra * sum(connections[carry_in][0] not in carries for connections in pins)
