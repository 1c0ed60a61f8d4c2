"""What the record of the iCE40 family needs to have its bitstreams read back."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.icestorm.chip import Pad, load_chip
from hls4rl.hls_projects.fpga.icestorm.configuration import read_configuration
from hls4rl.hls_projects.fpga.icestorm.decode import Port, decode

DEVICES = {"--hx8k": "8k", "--lp8k": "8k", "--up5k": "5k"}
"""nextpnr's option: the chip, as a bitstream names it."""
_SUFFIX = "$sb_io"
_CELL = re.compile(r"X(\d+)/Y(\d+)/io([01])")


def pins_of(placement: Path, device: Sequence[str]) -> str:
    """The constraints (PCF) that say where nextpnr put the pins of a design.

    Args:
        placement: what it wrote of the design, as JSON.
        device: its options, the package among them.
    """
    names = {pad: name for name, pad in _pads(device).items()}
    modules = json.loads(placement.read_text(encoding="utf-8"))["modules"]
    cells = [item for module in modules.values() for item in module["cells"].items()]
    lines = []
    for name, cell in cells:
        found = _CELL.fullmatch(cell["attributes"].get("NEXTPNR_BEL", "")) if name.endswith(_SUFFIX) else None
        if found is not None:
            x, y, z = (int(word) for word in found.groups())
            lines.append(f"set_io {name.removesuffix(_SUFFIX)} {names[x, y, z]}\n")
    return "".join(sorted(lines))


def netlist_of(
    unpacked: Path, pins: str, device: Sequence[str], ports: Mapping[str, Any], top: str
) -> dict[str, Any]:
    """The netlist that a bitstream makes of the chip: see :class:`hls4rl.hls_projects.fpga.family.ReadBack`.

    Raises:
        ProjectError: see :func:`hls4rl.hls_projects.fpga.icestorm.decode.decode`; or a port has no pin.
    """
    pads, sites = _pads(device), dict(line.split()[-2:] for line in pins.splitlines() if line.startswith("set_io "))

    def pad(port: str, index: int, width: int) -> Pad:
        name = port if width == 1 else f"{port}[{index}]"
        if name not in sites or sites[name] not in pads:
            raise ProjectError(f"port {name} of {top} has no pin of this chip in the file of pins")
        return pads[sites[name]]

    known = {
        name: Port(port["direction"], tuple(pad(name, index, len(port["bits"])) for index in range(len(port["bits"]))))
        for name, port in ports.items()
    }
    return decode(read_configuration(unpacked), known, top)


def _pads(device: Sequence[str]) -> dict[str, Pad]:
    chip = next(chip for option, chip in DEVICES.items() if option in device)
    return load_chip(chip).pads(device[list(device).index("--package") + 1])
