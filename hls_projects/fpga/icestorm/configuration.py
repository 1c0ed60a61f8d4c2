"""The bits of a bitstream, tile by tile: IceStorm's text form, which ``iceunpack`` writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hls4rl.errors import ProjectError

_ROWS, _COLUMNS = 16, 54
"""Of the largest tile."""
_PASSED_OVER = (".comment", ".ram_data", ".sym")
"""Sections that say nothing of logic; who reads a block RAM is told that they are not read."""


@dataclass(frozen=True, eq=False)
class Configuration:
    """What a bitstream sets."""

    device: str
    tiles: NDArray[np.uint8]
    """Shape (rows of tiles, columns of tiles, 16, 54); tiles that have fewer bits are filled up with 0."""
    extra_bits: frozenset[tuple[int, int, int]]
    """Bank, column and row of each bit beside the tiles that is set."""


def read_configuration(path: Path) -> Configuration:
    """Read the text form of a bitstream.

    Raises:
        ProjectError: it is not one.
    """
    device, bits, extra = "", dict[tuple[int, int], list[str]](), set[tuple[int, int, int]]()
    rows: list[str] = []
    for number, line in enumerate(path.read_text(encoding="ascii", errors="replace").splitlines(), start=1):
        words = line.split()
        try:
            if line.startswith(".") and words[0] == ".device":
                device = words[1]
            elif line.startswith(".") and words[0].endswith("_tile"):
                rows = bits.setdefault((int(words[1]), int(words[2])), [])
            elif line.startswith(".") and words[0] == ".extra_bit":
                extra.add((int(words[1]), int(words[2]), int(words[3])))
            elif line.startswith(".") and words[0] in _PASSED_OVER:
                rows = []
            elif line.startswith("."):
                raise ValueError(words[0])
            elif words and rows is not None:
                rows.append(words[0])
        except (ValueError, IndexError) as error:
            raise ProjectError(f"{path}, line {number}: no line of an iCE40 bitstream: {line[:60]}") from error
    if not device or not bits:
        raise ProjectError(f"{path}: no iCE40 bitstream")
    width, height = (1 + max(place[axis] for place in bits) for axis in (0, 1))
    tiles = np.zeros((height, width, _ROWS, _COLUMNS), dtype=np.uint8)
    for (x, y), lines in bits.items():
        block = np.array([[char == "1" for char in line] for line in lines], dtype=np.uint8)
        if min(x, y) < 0 or block.ndim != 2 or block.shape[0] > _ROWS or block.shape[1] > _COLUMNS:
            raise ProjectError(f"{path}: tile {x} {y} has another form than a tile of an iCE40")
        tiles[y, x, :block.shape[0], :block.shape[1]] = block
    return Configuration(device, tiles, frozenset(extra))
