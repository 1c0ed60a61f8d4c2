"""Memories that a design writes and reads, in a design that Yosys wrote as JSON, and how they are simulated.

Where a word is read and written at one edge, hardware promises nothing about what is read: here it is the
complement of what lies there, so that a design that relied on either word would be found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hls4rl.hls_projects.fpga.read_only import KINDS, is_wide, outputs_of, width_of

Words = NDArray[np.uint64]
_LANES = 64  # of a word; gates.py, which says so, imports this module
PINS = ("read_address", "outputs", "write_address", "data", "enables")
"""Fields of :class:`Ram` that are nets."""


@dataclass(frozen=True, eq=False)
class Ram:
    """A memory with one port that writes and one that reads, at each rising edge."""

    read_address: list[Any]
    """Nets, lowest bit first; so are all others."""
    outputs: list[Any]
    write_address: list[Any]
    data: list[Any]
    """As many as ``outputs``."""
    enables: list[Any]
    """Of each bit of ``data``: whether it is written."""
    clocks: int = 1
    """Rising edges from an address to its word: 2 with an output register."""

    @property
    def pins(self) -> dict[str, list[Any]]:
        """Its nets, by the names in :data:`PINS`."""
        return {name: list(getattr(self, name)) for name in PINS}

    @property
    def words(self) -> int:
        """How many there are: one for each address."""
        return 1 << len(self.read_address)


def is_written(cell: Mapping[str, Any]) -> bool:
    """Whether a memory cell has a port that writes."""
    if cell["type"] == KINDS[0]:
        return int(cell["parameters"]["WR_PORTS"], 2) > 0
    pins = {pin: (bits or ["x"])[0] for pin, bits in cell["connections"].items()}
    return any(
        pins.get(f"CLK{port}", "x") not in ("0", "x") and pins.get(f"WE{port}", "x") not in ("0", "x") for port in "AB"
    )


def ram_of(name: str, cell: Mapping[str, Any]) -> Ram:
    """A cell that :func:`is_written`.

    Raises:
        RuntimeError: it is used in another way than with one port that writes and one that reads.
    """
    ram = _yosys(cell) if cell["type"] == KINDS[0] else _block_ram(cell)
    if ram is None:
        raise RuntimeError(f"memory {name} has other ports than one that writes and one that reads, or stops or resets")
    return ram


def _yosys(cell: Mapping[str, Any]) -> Ram | None:
    pins, values = cell["connections"], cell["parameters"]
    number = {key: int(values[key], 2) for key in ("SIZE", "ABITS", "OFFSET", "RD_PORTS", "WR_PORTS")}
    if (number["RD_PORTS"], number["WR_PORTS"], number["OFFSET"]) != (1, 1, 0) or pins["RD_EN"] != ["1"]:
        return None
    clocked = [values[f"{port}_CLK_{what}"][-1] for port in ("RD", "WR") for what in ("ENABLE", "POLARITY")]
    plain = pins["RD_ARST"] + pins["RD_SRST"] == ["0", "0"] and values["RD_TRANSPARENCY_MASK"][-1] == "0"
    if clocked != ["1"] * 4 or not plain or number["SIZE"] > 1 << number["ABITS"] or pins["RD_CLK"] != pins["WR_CLK"]:
        return None
    return Ram(pins["RD_ADDR"], pins["RD_DATA"], pins["WR_ADDR"], pins["WR_DATA"], pins["WR_EN"])


def _byte_written(write: Any, byte: Any) -> Any | None:
    """The net that says whether a byte is written, of the port's and of the low address pin that selects the byte in
    wide words; None where it takes both."""
    nets = {item for item in (write, byte) if item != "1"} or {"1"}
    return nets.pop() if len(nets) == 1 else None


def _wide_block_ram(cell: Mapping[str, Any]) -> Ram | None:
    """Both ports as one: words of 36 bits, written byte by byte (of nine bits), the upper half in port B's pins."""
    values, pins = cell["parameters"], cell["connections"]

    def net(pin: str) -> Any:
        return (pins.get(pin) or ["x"])[0]

    fixed = {"WEB": "0", "RSTA": "0", "RSTB": "0", "CEA": "1", "CEB": "1"}
    if width_of(cell, "A") != width_of(cell, "B") or net("CLKA") != net("CLKB"):
        return None
    if any(net(pin) not in (value, "x") for pin, value in fixed.items()):
        return None
    if any(values.get(f"CLK{port}MUX", f"CLK{port}") != f"CLK{port}" for port in "AB"):
        return None
    if any(values[f"REGMODE_{port}"] != "NOREG" for port in "AB"):
        return None
    used = [(pin, place) for pin, place in outputs_of(cell, "B") if pins.get(pin)]
    enables = [_byte_written(net("WEA"), net(f"ADA{place // 9}")) for _, place in used]
    if None in enables:
        return None
    half = width_of(cell, "A") // 2
    return Ram(
        [net(f"ADB{pin}") for pin in range(5, 14)], [net(pin) for pin, _ in used],
        [net(f"ADA{pin}") for pin in range(5, 14)],
        [net(f"DIA{place}" if place < half else f"DIB{place - half}") for _, place in used], enables,
    )


def _block_ram(cell: Mapping[str, Any]) -> Ram | None:
    """A block RAM of the ECP5 that port A writes and port B reads, as Yosys uses it."""
    values, pins = cell["parameters"], cell["connections"]

    def net(pin: str) -> Any:
        return (pins.get(pin) or ["x"])[0]

    if is_wide(cell):
        return _wide_block_ram(cell)
    width = width_of(cell, "A")
    fixed = {"WEB": "0", "RSTA": "0", "RSTB": "0", "CEA": "1", "CEB": "1", "OCEB": "1"}
    if width != width_of(cell, "B") or net("CLKA") != net("CLKB"):
        return None
    if any(net(pin) not in (value, "x") for pin, value in fixed.items()):
        return None
    if any(values.get(f"CLK{port}MUX", f"CLK{port}") != f"CLK{port}" for port in "AB"):
        return None
    skipped = {1: 0, 2: 1, 4: 2, 9: 3, 18: 4}[width]
    used = [place for pin, place in outputs_of(cell, "B") if pins.get(pin)]
    enables = [_byte_written(net("WEA"), net(f"ADA{place // 9}") if width == 18 else "1") for place in used]
    if None in enables:
        return None
    return Ram(
        [net(f"ADB{pin}") for pin in range(skipped, 14)], [net(f"DOB{place}") for place in used],
        [net(f"ADA{pin}") for pin in range(skipped, 14)], [net(f"DIA{place}") for place in used],
        enables, 2 if values["REGMODE_B"] == "OUTREG" else 1,
    )


def ram_tables(rams: Sequence[Ram]) -> tuple[NDArray[np.int64], NDArray[np.int64], Words]:
    """The memories in three arrays for compiled code: table, nets, contents.

    A row of the table: where in ``nets`` the read address, the outputs, the write address, the data and the enables
    begin, where these end, and where in the contents its words begin. A word of the contents is one bit of the
    memory in each of 64 copies of the design; there is no telling what lies in a memory that was switched on.
    """
    table, nets, size = [], list[int](), 0
    for ram in rams:
        row = []
        for name in PINS:
            row.append(len(nets))
            nets += getattr(ram, name)
        table.append((*row, len(nets), size))
        size += ram.words * len(ram.outputs)
    contents = np.random.default_rng(0).integers(0, 1 << 63, size, dtype=np.uint64)
    return np.array(table, dtype=np.int64).reshape(-1, 7), np.array(nets, dtype=np.int64), contents


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def exchange(state: Words, rams: NDArray[np.int64], nets: NDArray[np.int64], contents: Words, words: Words) -> None:
    """What each memory reads and writes at this edge: ``words`` gets what is read, in the places of the outputs."""
    for ram in range(len(rams)):
        at, out, to, data, enable, _, start = rams[ram]
        width = to - out
        read, read_same = _address(state, nets, at, out, 0)
        write, write_same = _address(state, nets, to, data, 0)
        if read_same and write_same:
            _exchange_all(state, nets, contents, words, start, out, data, enable, width, read, write)
            continue
        for lane in range(_LANES):
            read, _ = _address(state, nets, at, out, lane)
            write, _ = _address(state, nets, to, data, lane)
            _exchange_lane(state, nets, contents, words, start, out, data, enable, width, read, write, lane)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _address(
    state: Words, nets: NDArray[np.int64], first: int, end: int, lane: int
) -> tuple[np.int64, bool]:
    """The address in one copy, and whether it is that of all copies."""
    address, same = np.int64(0), True
    for index in range(first, end):
        word = state[nets[index]]
        same = same and (word == 0 or ~word == 0)
        address |= np.int64((word >> np.uint64(lane)) & np.uint64(1)) << (index - first)
    return address, same


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _exchange_all(
    state: Words, nets: NDArray[np.int64], contents: Words, words: Words, start: int, out: int, data: int, enable: int,
    width: int, read: np.int64, write: np.int64,
) -> None:
    for bit in range(width):
        kept = contents[start + read * width + bit]
        written = state[nets[enable + bit]]
        words[out + bit] = kept ^ written if read == write else kept
        place = start + write * width + bit
        contents[place] = (contents[place] & ~written) | (state[nets[data + bit]] & written)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _exchange_lane(
    state: Words, nets: NDArray[np.int64], contents: Words, words: Words, start: int, out: int, data: int, enable: int,
    width: int, read: np.int64, write: np.int64, lane: int,
) -> None:
    one = np.uint64(1) << np.uint64(lane)
    for bit in range(width):
        kept = contents[start + read * width + bit] & one
        written = state[nets[enable + bit]] & one
        seen = kept ^ written if read == write else kept
        words[out + bit] = (words[out + bit] & ~one) | seen
        place = start + write * width + bit
        contents[place] = (contents[place] & ~written) | (state[nets[data + bit]] & written)
