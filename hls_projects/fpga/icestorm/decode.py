"""A netlist of what an iCE40 does with a bitstream, found by going back from its output pins.

Nothing of the design's own netlist, placement or routing is used, but which pin is which port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.icestorm.chip import IO, Chip, Pad, load_chip
from hls4rl.hls_projects.fpga.icestorm.configuration import Configuration

Bit = int | str
"""A net's number, or the constant "0" or "1"."""
Source = tuple[str, int, int, int]
"""What drives a net: ``table``, ``register``, ``carry`` or ``pad``; column, row, and which one in the tile."""

# IceStorm's documentation, "Logic Tile": which of a logic cell's 20 bits is the table's entry for inputs i3 i2 i1 i0.
_TABLE = (4, 14, 15, 5, 6, 16, 17, 7, 3, 13, 12, 2, 1, 11, 10, 0)
_CARRY_ENABLE, _REGISTERED, _SET, _ASYNCHRONOUS = 8, 9, 18, 19
_INPUT, _OUTPUT = 0b01, 0b0110
"""Modes of a pad, "I/O Tile": bits 1-0 for reading it as it is, bits 5-2 for driving it always."""


@dataclass(frozen=True)
class Port:
    """A port of the netlist."""

    direction: str
    """``input`` or ``output``."""
    pads: tuple[Pad, ...]
    """Lowest bit first."""


def decode(configuration: Configuration, ports: Mapping[str, Port], top: str) -> dict[str, Any]:
    """The netlist, in Yosys' JSON with the cells of its iCE40 library, of a module ``top`` with ``ports``.

    Raises:
        ProjectError: the bitstream uses what is not read here: block RAM, multipliers, PLLs, pads in other modes; or
            a wire has two drivers; or a pad that is no port is driven.
    """
    decoder = _Decoder(configuration, load_chip(configuration.device))
    inputs = {("pad", *pad) for port in ports.values() if port.direction == "input" for pad in port.pads}
    outputs = {pad for port in ports.values() if port.direction == "output" for pad in port.pads}
    decoder.check_pads(outputs)
    found = {
        name: {"direction": port.direction, "bits": [
            decoder.net(("pad", *pad)) if port.direction == "input" else decoder.driven(pad) for pad in port.pads
        ]} for name, port in ports.items()
    }
    while decoder.waiting:
        source = decoder.waiting.pop()
        if source[0] != "pad":
            decoder.emit(source)
        elif source not in inputs:
            raise ProjectError(f"the bitstream reads {_named(source)}, which is no port of {top}")
    cells = {
        name: {"hide_name": 0, "type": kind, "parameters": parameters, "attributes": {},
               "connections": {pin: [bit] for pin, bit in pins.items()}}
        for name, (kind, parameters, pins) in sorted(decoder.cells.items())
    }
    return {"creator": "hls4rl, from a bitstream", "modules": {
        top: {"attributes": {"top": "1"}, "ports": found, "cells": cells, "netnames": {}},
    }}


@dataclass
class _Decoder:
    configuration: Configuration
    chip: Chip
    cells: dict[str, tuple[str, dict[str, str], dict[str, Bit]]] = field(default_factory=dict)
    waiting: list[Source] = field(default_factory=list)
    """Sources that have a net, but no cell yet."""
    _nets: dict[Source, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, columns = self.configuration.tiles.shape[:2]
        if (columns, rows) != (self.chip.width, self.chip.height):
            raise ProjectError(f"the bitstream has {columns} columns and {rows} rows, the chip {self.chip.width} and "
                               f"{self.chip.height}: it is damaged")

    @cached_property
    def feeding(self) -> dict[int, int]:
        """Of each wire that a switch drives: the wire that it comes from."""
        pips, switches = self.chip.pips, self.chip.switches
        x, y, bits = switches["x"], switches["y"], switches["bits"]
        words = np.zeros(len(switches), dtype=np.int64)
        for index in range(bits.shape[1]):  # the first bit of a switch is the highest of its mask
            value = self.configuration.tiles[y, x, bits[:, index, 0], bits[:, index, 1]]
            words = np.where(index < switches["count"], 2 * words + value, words)
        on = (switches["cell"] < 0)[pips["switch"]] & (pips["mask"] == words[pips["switch"]])
        sources, targets = pips["source"][on].tolist(), pips["target"][on].tolist()
        result = dict(zip(targets, sources, strict=True))
        if len(result) < len(targets):
            twice = next(wire for wire, source in zip(targets, sources, strict=True) if result[wire] != source)
            raise ProjectError(f"the bitstream drives wire {self._wire_name(twice)} from two sides")
        return result

    def bits(self, x: int, y: int, setting: str) -> list[int]:
        """The bits of a setting of a tile."""
        kind = int(self.chip.grid[y * self.chip.width + x])
        known = self.chip.tile_bits[kind].get(setting)
        if known is None:
            raise ProjectError(f"tile {x} {y} of the bitstream has no setting {setting}")
        return [int(self.configuration.tiles[y, x, row, column]) for row, column in known]

    def check_pads(self, outputs: set[Pad]) -> None:
        """Insist that the pads that are driven are ``outputs``."""
        for place in np.flatnonzero(self.chip.grid == IO).tolist():
            y, x = divmod(place, self.chip.width)
            for z in (0, 1):
                mode = self._mode((x, y, z)) >> 2
                if mode != (_OUTPUT if (x, y, z) in outputs else 0):
                    raise ProjectError(f"{_named(('pad', x, y, z))} of the bitstream is driven in mode {mode:04b}, "
                                       "which is not what its port asks for")

    def driven(self, pad: Pad) -> Bit:
        """What an output pad shows."""
        x, y, z = pad
        return self._at(x, y, f"io_{z}:D_OUT_0")

    def net(self, source: Source) -> int:
        """The number of the net that ``source`` drives."""
        if source not in self._nets:
            self._nets[source] = len(self._nets) + 2
            self.waiting.append(source)
        return self._nets[source]

    def emit(self, source: Source) -> None:
        """Add the cell that is ``source``."""
        kind, x, y, z = source
        {"table": self._table, "register": self._register, "carry": self._carry}[kind](x, y, z, self.net(source))

    def _mode(self, pad: Pad) -> int:
        x, y, z = pad
        return sum(self.bits(x, y, f"IOB_{z}.PINTYPE_{index}")[0] << index for index in range(6))

    def _table(self, x: int, y: int, z: int, out: Bit) -> None:
        bits = self.bits(x, y, f"LC_{z}")
        entries = [bits[place] for place in _TABLE]
        pins: dict[str, Bit] = {f"I{index}": "0" for index in range(4)}
        for index in range(4):
            # A wire that only the cell's carry looks at may even come from this table.
            if any(entries[row] != entries[row ^ 1 << index] for row in range(16)):
                pins[f"I{index}"] = self._at(x, y, f"lutff_{z}:in_{index}")
        self._add("SB_LUT4", x, y, z, {"LUT_INIT": "".join(map(str, reversed(entries)))}, pins | {"O": out})

    def _carry(self, x: int, y: int, z: int, out: Bit) -> None:
        if not self.bits(x, y, f"LC_{z}")[_CARRY_ENABLE]:
            raise ProjectError(f"{_named(('carry', x, y, z))} of the bitstream is used, but not enabled")
        before = self._at(x, y, "carry_in_mux") if z == 0 else self.net(("carry", x, y, z - 1))
        pins = {"I0": self._at(x, y, f"lutff_{z}:in_1"), "I1": self._at(x, y, f"lutff_{z}:in_2"), "CI": before}
        self._add("SB_CARRY", x, y, z, {}, pins | {"CO": out})

    def _register(self, x: int, y: int, z: int, out: Bit) -> None:
        bits = self.bits(x, y, f"LC_{z}")
        clock = self._at(x, y, "lutff_global:clk")
        enable, reset = (self._wire(x, y, f"lutff_global:{pin}") for pin in ("cen", "s_r"))
        pins: dict[str, Bit] = {"C": clock, "D": self.net(("table", x, y, z)), "Q": out}
        kind = "SB_DFF" + ("N" if self.bits(x, y, "NegClk")[0] else "")
        if enable in self.feeding:  # a wire that nothing drives enables
            kind, pins = f"{kind}E", pins | {"E": self._value(enable)}
        if reset in self.feeding:
            pin = "S" if bits[_SET] else "R"
            kind, pins = kind + ("" if bits[_ASYNCHRONOUS] else "S") + pin, pins | {pin: self._value(reset)}
        self._add(kind, x, y, z, {}, pins)

    def _add(self, kind: str, x: int, y: int, z: int, parameters: dict[str, str], pins: dict[str, Bit]) -> None:
        self.cells[f"X{x}_Y{y}_{z}_{kind}"] = kind, parameters, pins

    def _at(self, x: int, y: int, name: str) -> Bit:
        return self._value(self._wire(x, y, name))

    def _wire(self, x: int, y: int, name: str) -> int:
        wire = self.chip.wires.get(((x, y), name))
        if wire is None:
            raise ProjectError(f"the chip has no wire {name} in tile {x} {y}")
        return wire

    def _value(self, wire: int) -> Bit:
        """What a wire carries: a constant, or the net of what drives it, through however many switches."""
        seen = set[int]()
        while wire in self.feeding:
            if wire in seen:
                raise ProjectError(f"the bitstream lets wire {self._wire_name(wire)} drive itself")
            seen.add(wire)
            wire = self.feeding[wire]
        return self._origin(wire)

    def _origin(self, wire: int) -> Bit:
        name, (x, y) = self.chip.names[wire], self.chip.places[wire]
        if found := re.fullmatch(r"lutff_(\d):(out|lout|cout)", name):
            z, kind = int(found[1]), found[2]
            registered = kind == "out" and self.bits(x, y, f"LC_{z}")[_REGISTERED]
            return self.net(("carry" if kind == "cout" else "register" if registered else "table", x, y, z))
        if found := re.fullmatch(r"io_(\d):D_IN_0", name):
            return self._input((x, y, int(found[1])))
        if found := re.fullmatch(r"glb_netwk_(\d)", name):
            return self._global(int(found[1]))
        if name == "carry_in_mux":
            return str(self.bits(x, y, "CarryInSet")[0])
        if re.match(r"local_|lutff_\d:in_|sp\d|span|glb2local|neigh_op|fabout|io_\d:(D_OUT_0|OUT_ENB)|carry_in", name):
            return "0"  # a wire that nothing drives
        raise ProjectError(f"the bitstream uses {self._wire_name(wire)}, which is not read back: only look-up tables, "
                           "flip-flops, carries and pads are")

    def _global(self, index: int) -> Bit:
        network = self.chip.global_networks[index]
        if network.pad_bit in self.configuration.extra_bits:
            return self._input(network.pad)
        return self._at(*network.driver, "fabout")

    def _input(self, pad: Pad) -> int:
        x, y, z = self.chip.input_enables.get(pad, (-1, -1, -1))
        if self._mode(pad) & 0b11 != _INPUT or x < 0 or not self.bits(x, y, f"IoCtrl.IE_{z}")[0]:
            raise ProjectError(f"{_named(('pad', *pad))} of the bitstream is read, but not as a plain input")
        return self.net(("pad", *pad))

    def _wire_name(self, wire: int) -> str:
        x, y = self.chip.places[wire]
        return f"{self.chip.names[wire]} of tile {x} {y}"


def _named(source: Source) -> str:
    kind, x, y, z = source
    return f"{kind} {z} of tile {x} {y}"
