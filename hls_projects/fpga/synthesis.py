"""Synthesis with Yosys: from Verilog to a netlist of a part's cells, in the recipe that takes the fewest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hls4rl.hls_projects.fpga.family import Family
from hls4rl.hls_projects.fpga.parts import Part
from hls4rl.hls_projects.fpga.yosys import quoted, run_yosys

NETLIST = "netlist.json"
_NARROW = Path(__file__).resolve().parent / "narrow_adders.v"
_SEARCH_BELOW = 600
"""Look-up tables from which on only the first recipe is tried: the others take minutes there and gain little."""


@dataclass(frozen=True)
class Synthesis:
    """One synthesised netlist."""

    recipe: str
    cells: dict[str, int]
    """Count of each cell type."""
    resources: dict[str, int]
    """``lut``, ``ff``, ``dsp``, ``bram``, counted before packing."""


def synthesise(
    sources: Sequence[Path], top: str, part: Part, directory: Path, recipe: str | None = None, pads: bool = False
) -> Synthesis:
    """Synthesise ``top`` and leave the smallest netlist found in ``directory/netlist.json``.

    Args:
        recipe: name of the one recipe to use; None tries the family's recipes and keeps the one with the fewest
            look-up tables, ties to the fewer flip-flops and then to the first.
        pads: whether the top's ports are the chip's pins.
    """
    best: tuple[Synthesis, Path] | None = None
    for index, name in enumerate([recipe] if recipe else part.tools.recipes):
        path = directory / f"netlist-{index}.json"
        found = _run(sources, top, part, name, path, pads)
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


def _run(sources: Sequence[Path], top: str, part: Part, recipe: str, netlist: Path, pads: bool) -> Synthesis:
    family = part.tools
    limit, options = family.recipes[recipe]
    multipliers = [family.multipliers] if part.capacity.get("dsp") else []
    bare = [] if pads else [family.without_pads]
    command = " ".join([family.synthesise, *bare, *multipliers, options, "-top", top])
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
