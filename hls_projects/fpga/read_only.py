"""Read-only memories in a design that Yosys wrote as JSON: its own kind of memory, and the ECP5's block RAM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
BLOCK_RAM = "DP16KD"
"""The ECP5's block RAM of 18 Kbit, with two ports."""
KINDS = ("$mem_v2", BLOCK_RAM)
_WIDE = 18
"""Widest word of one port; both ports together give one of 36 bits."""


@dataclass(frozen=True, eq=False)
class Rom:
    """One port of a memory that is read at each rising edge."""

    address: list[Any]
    """Nets of the address, lowest bit first."""
    outputs: list[Any]
    """Nets of the word, lowest bit first."""
    content: Bits
    """Shape (words, outputs)."""
    clocks: int = 1
    """Rising edges from an address to its word: 2 with an output register."""


def roms_of(name: str, cell: Mapping[str, Any]) -> list[Rom]:
    """The ports of a cell of one of :data:`KINDS`.

    Raises:
        RuntimeError: the memory is written to, or used in another way that isn't modelled.
    """
    roms = [_yosys(cell)] if cell["type"] == KINDS[0] else [_block_ram(cell, port) for port in ports_of(cell)]
    if None in roms:
        raise RuntimeError(f"memory {name} is written, reset, stopped or read without a clock; only ROMs are simulated")
    return [rom for rom in roms if rom is not None]


def clocks_of(cell: Mapping[str, Any]) -> list[Any]:
    """The nets of the clocks that a cell of one of :data:`KINDS` reads at."""
    pins = cell["connections"]
    return pins["RD_CLK"] if cell["type"] == KINDS[0] else [pins[f"CLK{port}"][0] for port in ports_of(cell)]


def ports_of(cell: Mapping[str, Any]) -> list[str]:
    """The ports, "A" and "B", of a block RAM that are clocked; where a word takes both, "B" stands for it."""
    return ["B"] if is_wide(cell) else _clocked(cell)


def is_wide(cell: Mapping[str, Any]) -> bool:
    """Whether both ports of a block RAM give one word of 36 bits."""
    return width_of(cell, "B") > _WIDE


def width_of(cell: Mapping[str, Any], port: str) -> int:
    """Bits of a word at one port of a block RAM."""
    return int(cell["parameters"][f"DATA_WIDTH_{port}"], 2)


def outputs_of(cell: Mapping[str, Any], port: str) -> list[tuple[str, int]]:
    """The output pins that a port's word comes from, and each one's place in that word."""
    if is_wide(cell):
        return [(f"DO{half}{pin}", pin + offset) for half, offset in (("A", 0), ("B", _WIDE)) for pin in range(_WIDE)]
    return [(f"DO{port}{pin}", pin) for pin in range(width_of(cell, port))]


def _yosys(cell: Mapping[str, Any]) -> Rom | None:
    pins, values = cell["connections"], cell["parameters"]
    number = {key: int(values[key], 2) for key in ("SIZE", "WIDTH", "OFFSET", "RD_PORTS", "WR_PORTS")}
    plain = {"RD_CLK_ENABLE": "1", "RD_CLK_POLARITY": "1"}
    if (number["RD_PORTS"], number["WR_PORTS"], number["OFFSET"]) != (1, 0, 0) or pins["RD_EN"] != ["1"]:
        return None
    if any(values[key][-1] != value for key, value in plain.items()) or pins["RD_ARST"] + pins["RD_SRST"] != ["0", "0"]:
        return None
    content = _bits(values["INIT"])[:number["SIZE"] * number["WIDTH"]].reshape(number["SIZE"], number["WIDTH"])
    return Rom(pins["RD_ADDR"], pins["RD_DATA"], content)


def _block_ram(cell: Mapping[str, Any], port: str) -> Rom | None:
    width, values, pins = width_of(cell, port), cell["parameters"], cell["connections"]
    fixed = {f"RST{port}": "0", f"CE{port}": "1", f"OCE{port}": "1"} | {f"WE{half}": "0" for half in _clocked(cell)}
    modes = {f"CLK{port}MUX": f"CLK{port}", f"RST{port}MUX": f"RST{port}", f"CE{port}MUX": f"CE{port}"}
    if any(_net(cell, pin) not in (value, "x") for pin, value in fixed.items()):
        return None
    if any(values.get(key, value) != value for key, value in modes.items()):
        return None
    memory = np.concatenate([_bits(values[f"INITVAL_{index:02X}"]).reshape(16, 20)[:, :_WIDE] for index in range(64)])
    # Words of 9, 18 and 36 bits use the ninth bit of each byte; narrower ones leave it out.
    words = memory.reshape(-1, width) if width % 9 == 0 else memory.reshape(-1, 9)[:, :8].reshape(-1, width)
    used = [(pins[pin][0], place) for pin, place in outputs_of(cell, port) if pins.get(pin)]
    skipped = 14 - (len(words) - 1).bit_length()
    address = [_net(cell, f"AD{port}{index}") for index in range(skipped, 14)]
    clocks = 2 if values[f"REGMODE_{port}"] == "OUTREG" else 1
    return Rom(address, [net for net, _ in used], words[:, [place for _, place in used]], clocks)


def _clocked(cell: Mapping[str, Any]) -> list[str]:
    return [port for port in "AB" if _net(cell, f"CLK{port}") not in ("0", "x")]


def _net(cell: Mapping[str, Any], pin: str) -> Any:
    return (cell["connections"].get(pin) or ["x"])[0]


def _bits(text: str) -> Bits:
    """A number in base two, lowest bit first; undefined bits are 0."""
    bits: Bits = (np.frombuffer(text.encode(), dtype=np.uint8)[::-1] == ord("1")).astype(np.uint8)
    return bits
