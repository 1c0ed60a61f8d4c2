"""Synthesis with Yosys: from Verilog to a netlist of a part's cells, in the recipe that takes the fewest."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from hls4rl.artefact import digest, write_json
from hls4rl.hls_projects.fpga.family import Family
from hls4rl.hls_projects.fpga.parts import Part
from hls4rl.hls_projects.fpga.steps import UNKEPT, Steps, side_by_side
from hls4rl.hls_projects.fpga.yosys import quoted, run_yosys
from hls4rl.plain import read_json

NETLIST = "netlist.json"
_LOG, _COUNTS = "synthesis.log", "synthesis.json"
_NARROW = Path(__file__).resolve().parent / "narrow_adders.v"
_UNVERIFIED = "scratchpad -set abc9.verify 0"
"""ABC would hold its own result against what it was given, for up to three quarters of a synthesis' time. Where
netlists are simulated, every build holds the one on the disk against the policy, and ``prove`` proves it."""
_DELAY = re.compile(r"ABC: .*?\bDel\s*=\s*(\d+\.\d+)")
"""In ABC's account of a mapped netlist, in ps."""
_SEARCH_BELOW = 600
"""Look-up tables from which on only the first recipe is tried: the others take minutes there and gain little."""
_SHORT = 18_000
"""Bytes of Verilog below which a core has probably no more look-up tables than that: all recipes start at once."""


@dataclass(frozen=True)
class Synthesis:
    """One synthesised netlist."""

    recipe: str
    cells: dict[str, int]
    """Count of each cell type."""
    resources: dict[str, int]
    """``lut``, ``ff``, ``dsp``, ``bram``, counted before packing."""
    delay_ns: float | None = None
    """The slowest way between registers by ABC's account, before it is placed; None where it gives none."""


def synthesise(
    sources: Sequence[Path], top: str, part: Part, directory: Path, recipe: str | None = None, pads: bool = False,
    steps: Steps = UNKEPT,
) -> Synthesis:
    """Synthesise ``top`` and leave the smallest netlist found in ``directory/netlist.json``.

    Args:
        sources: Verilog; the memories beside it (``*.hex``) belong to it.
        recipe: name of the one recipe to use; None tries the family's recipes side by side and keeps the one with the
            fewest look-up tables, ties to the fewer flip-flops and then to the first.
        pads: whether the top's ports are the chip's pins.
        steps: where each recipe's netlist is kept.
    """
    names = [recipe] if recipe else list(part.tools.recipes)
    inputs = {path.name: digest(path) for path in (*sources, *_memories(sources))}
    with tempfile.TemporaryDirectory(dir=directory, prefix=".synthesis-") as work:

        def one(name: str, limit: float | None = None) -> tuple[Synthesis, Path]:
            folder = Path(work) / str(names.index(name))
            folder.mkdir()
            steps.make(
                f"synthesis, {name}", {"sources": inputs, "top": top, "part": asdict(part), "pads": pads},
                lambda place: _run(sources, top, part, name, place, pads, limit), folder,
            )
            return Synthesis(**read_json(folder / _COUNTS, "synthesise again")), folder

        start = time.perf_counter()
        if len(names) > 1 and sum(path.stat().st_size for path in sources) < _SHORT and steps.together():
            first: dict[str, Callable[[], tuple[Synthesis, Path] | None]] = {names[0]: partial(one, names[0])}
            limit = steps.limit(0.0)
            found = side_by_side(first | {name: partial(_in_time, one, name, limit, steps) for name in names[1:]})
            tried: list[tuple[Synthesis, Path]] = [item for item in found.values() if item is not None]
            if tried[0][0].resources["lut"] > _SEARCH_BELOW:
                del tried[1:]
        else:
            tried = [one(names[0])]
            if len(names) > 1 and tried[0][0].resources["lut"] <= _SEARCH_BELOW:
                limit = steps.limit(time.perf_counter() - start)
                found = side_by_side({name: partial(_in_time, one, name, limit, steps) for name in names[1:]})
                tried += [item for item in found.values() if item is not None]
        best, folder = min(tried, key=lambda item: _size(item[0]))
        for file in (NETLIST, _LOG):
            (folder / file).replace(directory / file)
    return best


def _in_time(
    one: Callable[[str, float | None], tuple[Synthesis, Path]], name: str, limit: float | None, steps: Steps
) -> tuple[Synthesis, Path] | None:
    try:
        return one(name, limit)
    except subprocess.TimeoutExpired:
        steps.tell(f"synthesis, {name}: left out after {limit:.0f} s")
        return None


def _memories(sources: Sequence[Path]) -> list[Path]:
    """What the Verilog reads by ``$readmemh``."""
    return sorted({path for source in sources for path in source.parent.glob("*.hex")})


def _size(synthesis: Synthesis) -> tuple[int, int]:
    return synthesis.resources["lut"], synthesis.resources["ff"]


def _run(
    sources: Sequence[Path], top: str, part: Part, recipe: str, folder: Path, pads: bool, seconds: float | None
) -> None:
    """Leave :data:`NETLIST`, Yosys' log and :data:`_COUNTS` in ``folder``."""
    family, netlist = part.tools, folder / NETLIST
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
    names = " ".join(f'"{os.path.relpath(path, folder)}"' for path in sources)
    unset = "setattr -unset src -unset cell_src -unset module_src =*"
    write = [unset, "setattr -mod -unset src =*", f"write_json {netlist.name}"]
    checks = [_UNVERIFIED] if family.models else []
    commands = [*checks, f"read_verilog -defer {names}", *fine, *write, f"tee -q -o {statistics.name} stat -json"]
    run_yosys(commands, folder, folder / _LOG, seconds)
    design = json.loads(statistics.read_text(encoding="utf-8"))["design"]
    statistics.unlink()
    cells = {name: int(count) for name, count in sorted(design["num_cells_by_type"].items())}
    resources = _count(cells, family)
    resources["lut"] += _chain_starts(netlist, top, family)
    write_json(folder / _COUNTS, asdict(Synthesis(recipe, cells, resources, _delay(folder / _LOG))))


def _delay(log: Path) -> float | None:
    found = [float(item) for item in _DELAY.findall(log.read_text(encoding="utf-8"))]
    return max(found) / 1000 if any(found) else None


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
