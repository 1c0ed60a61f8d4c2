"""Synthesis of what goes around a core that is synthesised already: the core's netlist goes in cell by cell.

So the netlist that was proven is the one that is placed. The wrapper is synthesised with a black box in the core's
place, by the same recipe, and nextpnr takes both as a hierarchy.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hls4rl.artefact import write_json
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.parts import Part
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise


def synthesise_around(
    netlist: Path, core: str, sources: Sequence[Path], top: str, part: Part, directory: Path, recipe: str,
    pads: bool = False,
) -> Path:
    """Synthesise ``top`` of ``sources``, an instance of ``core`` among them, and put the core's ``netlist`` into it.

    Args:
        recipe: that made ``netlist``.
        pads: whether the top's ports are the chip's pins.

    Returns:
        ``netlist.json`` in ``directory``, with ``core`` as a module of its own.

    Raises:
        ProjectError: ``netlist`` has no such core.
    """
    module = core_of(netlist, core)
    box = directory / f"{core}_box.v"
    ports = ", ".join(
        f"{port['direction']} [{len(port['bits']) - 1}:0] {name}" for name, port in module["ports"].items()
    )
    box.write_text(f"(* blackbox *)\nmodule {core} ({ports});\nendmodule\n", encoding="utf-8")
    synthesise([box, *sources], top, part, directory, recipe, pads)
    box.unlink()
    whole = json.loads((directory / NETLIST).read_text(encoding="utf-8"))
    attributes = {name: value for name, value in module["attributes"].items() if name != "top"}
    whole["modules"][core] = {**module, "attributes": attributes}
    write_json(directory / NETLIST, whole)
    return directory / NETLIST


def core_of(netlist: Path, core: str) -> dict[str, Any]:
    """The module ``core`` of a netlist.

    Raises:
        ProjectError: there is none.
    """
    module: dict[str, Any] | None = json.loads(netlist.read_text(encoding="utf-8"))["modules"].get(core)
    if module is None:
        raise ProjectError(f"{netlist}: no module {core}; build it again with `make synth`")
    return module
