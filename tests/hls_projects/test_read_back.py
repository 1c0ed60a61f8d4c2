"""A bitstream that is read back, and everything about one that must be refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.icestorm.chip import Chip, load_chip
from hls4rl.hls_projects.fpga.icestorm.configuration import Configuration, read_configuration
from hls4rl.hls_projects.fpga.icestorm.decode import Port, decode

INPUT, OUTPUT = (4, 33, 0), (4, 33, 1)
PORTS = {"a": Port("input", (INPUT,)), "y": Port("output", (OUTPUT,))}


def pins_only(chip: Chip) -> Configuration:
    """A chip whose one pin can be read, and another is driven by what nothing drives."""
    tiles = np.zeros((chip.height, chip.width, 16, 54), dtype=np.uint8)
    configuration = Configuration("8k", tiles, frozenset())
    set_bit(chip, configuration, INPUT[:2], "IOB_0.PINTYPE_0")
    x, y, z = chip.input_enables[INPUT]
    set_bit(chip, configuration, (x, y), f"IoCtrl.IE_{z}")
    for index in (3, 4):
        set_bit(chip, configuration, OUTPUT[:2], f"IOB_1.PINTYPE_{index}")
    return configuration


def set_bit(chip: Chip, configuration: Configuration, place: tuple[int, int], setting: str) -> None:
    x, y = place
    for row, column in chip.tile_bits[int(chip.grid[y * chip.width + x])][setting]:
        configuration.tiles[y, x, row, column] = 1


def connect(chip: Chip, configuration: Configuration, target: int, choice: int = 0) -> int:
    """Switch one of the wires that may drive ``target`` onto it; returns that wire."""
    ways = chip.pips[(chip.pips["target"] == target) & (chip.switches["cell"][chip.pips["switch"]] < 0)]
    way = ways[choice]
    switch, count = chip.switches[way["switch"]], int(chip.switches[way["switch"]]["count"])
    for index in range(count):
        row, column = switch["bits"][index]
        if int(way["mask"]) >> (count - 1 - index) & 1:
            configuration.tiles[switch["y"], switch["x"], row, column] = 1
    return int(way["source"])


def test_a_wire_that_nothing_drives_is_0() -> None:
    chip = load_chip("8k")
    module = decode(pins_only(chip), PORTS, "top")["modules"]["top"]
    assert module["cells"] == {}
    assert module["ports"]["y"] == {"direction": "output", "bits": ["0"]}


def test_a_pin_in_another_mode_is_refused() -> None:
    chip = load_chip("8k")
    other = pins_only(chip)
    set_bit(chip, other, INPUT[:2], "IOB_0.PINTYPE_5")
    with pytest.raises(ProjectError, match="pad 0 of tile 4 33 of the bitstream is driven in mode 1000"):
        decode(other, PORTS, "top")
    with pytest.raises(ProjectError, match="pad 1 of tile 4 33 of the bitstream is driven in mode 0110"):
        decode(pins_only(chip), {"a": PORTS["a"]}, "top")


def test_a_wire_with_two_drivers_is_refused() -> None:
    chip = load_chip("8k")
    configuration = pins_only(chip)
    # A span of wire has a switch for each of the spans that it goes over to, in tiles of its own.
    targets, counts = np.unique(chip.pips["target"][chip.switches["cell"][chip.pips["switch"]] < 0], return_counts=True)
    spans = [wire for wire in targets[counts > 4].tolist() if chip.names[wire].startswith("sp4")]
    switches = {wire: chip.pips[chip.pips["target"] == wire]["switch"] for wire in spans[:50]}
    wire = next(wire for wire in switches if len(set(switches[wire].tolist())) > 1)
    choices = np.unique(switches[wire], return_index=True)[1]
    for choice in choices[:2].tolist():
        connect(chip, configuration, wire, choice)
    with pytest.raises(ProjectError, match=r"the bitstream drives wire sp4.* from two sides"):
        decode(configuration, PORTS, "top")


def test_what_is_not_read_is_refused_by_name(tmp_path: Path) -> None:
    chip = load_chip("8k")
    with pytest.raises(ProjectError, match="bitstreams of the iCE40 1k are not read back here; those of 5k, 8k are"):
        decode(dataclasses.replace(pins_only(chip), device="1k"), PORTS, "top")
    small = pins_only(chip)
    with pytest.raises(ProjectError, match="the bitstream has 33 columns and 34 rows, the chip 34 and 34: it is damag"):
        decode(dataclasses.replace(small, tiles=small.tiles[:, :33]), PORTS, "top")
    text = tmp_path / "core.asc"
    text.write_text(".device 8k\n.io_tile 1 0\n0000\n.warmboot enabled\n", encoding="utf-8")
    with pytest.raises(ProjectError, match=r"core.asc, line 4: no line of an iCE40 bitstream: .warmboot enabled"):
        read_configuration(text)
    file = tmp_path / "chipdb-8k.bin"
    file.write_bytes(json.dumps("not a chip").encode() * 20)
    with pytest.raises(ProjectError, match="a chip database of another form than nextpnr"):
        Chip(file)
