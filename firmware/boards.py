"""Boards: one TOML file each in ``boards/``, with the part, the pins and how to load a bitstream."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.family import Family, Pin
from hls4rl.hls_projects.fpga.nextpnr import Target
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.plain import build, read_toml

BOARD_DIRECTORY = Path(__file__).resolve().parent / "boards"
DEFAULT_BOARD = "ulx3s"

_SIGNALS = ("clk", "rx", "tx", "led", "button")
_PULLS = ("none", "up", "down")


@dataclass(frozen=True)
class Board:
    """What a bitstream needs to know of a board."""

    name: str
    title: str
    sources: tuple[str, ...]
    """Public documents that the pins were taken from."""
    part: str
    """Name of a part of its family; its core goes onto the board where the policy was built for another family."""
    device: tuple[str, ...]
    """nextpnr's options for the part, its package and its speed grade."""
    loader: str
    """openFPGALoader's name of the board."""
    clock_mhz: float
    """Of the oscillator at pin ``clk``; the whole design runs at it."""
    baud: int
    """Bits per second of the serial port."""
    pins: dict[str, Pin]
    """``clk``, ``rx``, ``tx``, ``led`` and, where there is one, ``button`` (reset)."""
    packer: tuple[str, ...] = ()
    """The packer's options for the part, where it doesn't find them in its input."""

    @property
    def family(self) -> Family:
        """The record of its part's family."""
        return load_part(self.part).tools

    @property
    def target(self) -> Target:
        """What nextpnr places on."""
        return Target(self.name, "board", self.family, self.device)

    def part_for(self, built: Part) -> Part:
        """The part whose netlist of the core goes onto this board: ``built``, if its cells are those of this board."""
        return built if built.tools is self.family else load_part(self.part)

    @property
    def clocks_per_bit(self) -> int:
        """Clock cycles of one bit on the wire, rounded; at least 4, and within 2 % of the truth."""
        return round(self.clock_mhz * 1e6 / self.baud)


def board_names() -> list[str]:
    """Names of the shipped boards."""
    return sorted(path.stem for path in BOARD_DIRECTORY.glob("*.toml"))


def load_board(name: str) -> Board:
    """Read a board by the name of a shipped one, or by the path of a TOML file.

    Raises:
        ProjectError: no such board, or the file is not a valid one; the message says which key and why.
    """
    path = Path(name) if name.endswith(".toml") else BOARD_DIRECTORY / f"{name}.toml"
    if not path.is_file():
        raise ProjectError(
            f"unknown board '{name}'; shipped boards are {', '.join(board_names())}; "
            "for one of your own give the path of its TOML file"
        )
    board: Board = build(Board, {"name": path.stem, **read_toml(path, "board file")}, str(path))
    _check(board, path)
    return board


_WORDS = {
    "name": r"\w[\w. -]{0,99}",
    "title": r"[^\x00-\x1f\x7f]{1,200}",
    "loader": r"\w[\w.-]{0,99}",
    "device": r"--(\w+-)?\w*\d+k|--(package|device|speed)|--vopt|(family=)?\w[\w./-]*",
    "packer": r"-\w|--(idcode|spimode|freq|compress)|[\w.-]+",
}
"""Texts: what they may be, for they end in names of folders, in command lines and in files of pins."""
_PIN = {"site": r"[\w.:]{1,40}", "io_type": r"\w{1,40}"}


def _check_words(board: Board, path: Path) -> None:
    texts = [(key, item) for key in _WORDS for value in [getattr(board, key)]
             for item in ([value] if isinstance(value, str) else value)]
    named = [(key, item, _WORDS[key]) for key, item in texts]
    named += [(f"pins.{signal}.{key}", getattr(pin, key), pattern)
              for signal, pin in board.pins.items() for key, pattern in _PIN.items()]
    for key, item, pattern in named:
        if not re.fullmatch(pattern, item):
            raise ProjectError(f"{path}: {key} has {item[:200]!r}, which no tool takes for one; see the shipped boards")


def _check(board: Board, path: Path) -> None:
    _check_words(board, path)
    if board.family.pin is None:
        raise ProjectError(f"{path}: boards with {board.family.name} parts are not built here; take another part")
    missing = set(_SIGNALS) - {"button"} - set(board.pins)
    unknown = set(board.pins) - set(_SIGNALS)
    if missing or unknown:
        raise ProjectError(f"{path}: pins are {', '.join(_SIGNALS[:-1])} and optionally button; "
                           f"correct {', '.join(sorted(missing | unknown))}")
    for signal, pin in board.pins.items():
        if pin.pull not in _PULLS:
            raise ProjectError(f"{path}: pins.{signal}.pull is '{pin.pull}'; choose {', '.join(_PULLS)}")
    if not 0 < board.clock_mhz <= 1000 or not 300 <= board.baud <= 10**8:
        raise ProjectError(f"{path}: clock_mhz is {board.clock_mhz:g}, baud {board.baud}; "
                           "they must lie in 0 … 1000 and 300 … 100000000")
    actual = board.clock_mhz * 1e6 / max(board.clocks_per_bit, 1)
    if board.clocks_per_bit < 4 or abs(actual / board.baud - 1) > 0.02:
        raise ProjectError(f"{path}: {board.clock_mhz} MHz can't make {board.baud} baud within 2 %; take another baud")
