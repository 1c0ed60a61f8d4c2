"""The record of one family of parts: all that Yosys, nextpnr, the packer, figures, proofs and boards know of it.

There is one for each family under ``families/``, and nothing else names a tool's program, command or file: the netlist
that is counted is the one that is proven, and the one that goes onto a board.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from hls4rl import registry
from hls4rl.errors import ProjectError

_FAMILIES = "hls4rl.hls_projects.fpga.families"


@dataclass(frozen=True)
class Pin:
    """One pin of the FPGA."""

    site: str
    """The package's name for it."""
    active_low: bool = False
    pull: str = "none"
    """``up``, ``down`` or ``none``."""
    io_type: str = "LVCMOS33"
    """Electrical standard, where the part has a choice per pin."""


@dataclass(frozen=True)
class ClockLimit:
    """A clock that no design can run faster than, whatever its paths are: from the part's data sheet."""

    mhz: float
    what: str
    """Which part of the chip sets it."""
    device: str = ""
    """nextpnr's options for the parts that it holds for, as "--speed 6"; empty for all."""
    cell: str = ""
    """Pattern of the cells that it comes with; empty for every design."""


@dataclass(frozen=True)
class ReadBack:
    """How a family's bitstreams become netlists again."""

    devices: frozenset[str]
    """nextpnr's options of those chips whose bitstreams are read."""
    unpack: tuple[str, ...]
    """The program, and its arguments, that makes :attr:`Family.placed_file` of :attr:`Family.bitstream_file`."""
    placement: str
    """What nextpnr writes of where it put things."""
    pins: Callable[[Path, Sequence[str]], str]
    """From that file and nextpnr's options for the device: the file of pins of a design that had them anywhere."""
    decode: Callable[[Path, str, Sequence[str], Mapping[str, Any], str], dict[str, Any]]
    """From the unpacked bitstream, the text of the file of pins, the options, the ports of the top as Yosys' JSON has
    them, and its name: the netlist, as Yosys' JSON."""


@dataclass(frozen=True)
class Family:
    """How the tools treat one family. Files lie in one directory; ``{design}`` stands for their common name."""

    name: str
    synthesise: str
    """Yosys' command."""
    recipes: Mapping[str, tuple[int, str]]
    """Name: adders of up to how many bits become gates (-1: none, constant operands neither), more options."""
    cells: Mapping[str, Mapping[str, int]]
    """Of lut, ff, dsp, bram: patterns of cell names, and how many units of the resource such a cell takes."""
    without_pads: str = ""
    """Yosys' option for a module whose ports are no pins."""
    multipliers: str = ""
    """Yosys' option for parts that have multipliers, where it does not use them by itself."""
    carry: tuple[str, str, str, int] | None = None
    """Carry cell, its carry input and output, and the look-up tables that the start of a chain takes in placing."""
    models: str = ""
    """Yosys' simulation models of the cells, for those families whose netlists are simulated and proven."""
    place: str = ""
    """nextpnr's program; empty where there is no open place and route."""
    place_options: tuple[str, ...] = ()
    """Its options for the placed design."""
    free_pins: tuple[str, ...] = ()
    """Its options for a design whose pins may be anywhere."""
    pin_options: tuple[str, ...] = ()
    """Its options for the file of pins."""
    pin_file: str = ""
    pin: Callable[[str, Pin], str] | None = None
    """The lines of that file for a signal."""
    pack: tuple[str, ...] = ()
    """The packer's program and arguments."""
    pack_small: tuple[str, ...] = ()
    """Its options for a bitstream that is to be loaded, and quickly."""
    placed_file: str = ""
    bitstream_file: str = ""
    read_back: ReadBack | None = None
    """None where there is no open tool that is understood here."""
    used: Mapping[str, str] | None = None
    """Of lut, ff, dsp, bram: the name in nextpnr's report; empty where it has no count."""
    clock_limits: Sequence[ClockLimit] = ()

    def reads_back(self, device: Sequence[str]) -> bool:
        """Whether bitstreams for nextpnr's options ``device`` are read back."""
        return self.read_back is not None and not self.read_back.devices.isdisjoint(device)

    def clock_limit(self, device: Sequence[str], cells: Collection[str] = ()) -> ClockLimit | None:
        """The lowest documented limit of a design with ``cells``; where the device is none that is known, of any.

        Args:
            device: nextpnr's options for the part.
        """
        given = f" {' '.join(device)} "
        found = [limit for limit in self.clock_limits if not limit.device or f" {limit.device} " in given]
        if not any(not limit.cell for limit in found):
            found = list(self.clock_limits)
        fitting = [limit for limit in found if not limit.cell or any(re.fullmatch(limit.cell, cell) for cell in cells)]
        return min(fitting, key=lambda limit: limit.mhz, default=None)


def family_names() -> tuple[str, ...]:
    """Names of all families, sorted."""
    return registry.names(_FAMILIES)


@cache
def load_family(name: str) -> Family:
    """The family called ``name``: ``FAMILY`` in ``families/<name>.py``.

    Raises:
        ProjectError: there is none.
    """
    if name not in family_names():
        raise ProjectError(f"unknown family '{name}'; known are {', '.join(family_names())}")
    family: Family = import_module(f"{_FAMILIES}.{name}").FAMILY
    return family
