"""A built bitstream as a netlist again: what is loaded into the chip, not what was meant to be."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hls4rl.artefact import write_json
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.nextpnr import unpack
from hls4rl.hls_projects.fpga.parts import Part
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.fpga.wrapper import core_of


def bitstream_files(directory: Path, part: Part) -> list[Path]:
    """The bitstream in ``directory``, and the file that says which of its pins is which port."""
    return [directory / name.format(design="core") for name in (part.tools.bitstream_file, part.tools.pin_file)]


def unreadable(part: Part, whole: bool) -> str:
    """Why a part's bitstream is not read back; empty where it is.

    Args:
        whole: whether the core itself was placed, and not one that gets its inputs in series.
    """
    if not part.has_bitstream:
        return "the part's flow gives none"
    if not part.tools.reads_back(part.place):
        return "only the iCE40 HX8K's and UP5K's are read back"
    return "" if whole else "the part has too few pins for the core: its inputs come in series"


def read_back(directory: Path, part: Part, top: str, result: Path) -> None:
    """Write the netlist, in Yosys' JSON, of the bitstream in ``directory`` to ``result``.

    The ports are those of the module ``top`` of the netlist there.

    Raises:
        ProjectError: the bitstream has what is not read, or is damaged.
    """
    back = part.tools.read_back
    assert back is not None
    bitstream, pins = bitstream_files(directory, part)
    ports = core_of(directory / NETLIST, top)["ports"]
    with tempfile.TemporaryDirectory(dir=result.parent, prefix=".read-back-") as work:
        unpacked = unpack(part.target, bitstream, Path(work))
        try:
            text = pins.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProjectError(f"{pins}: not readable ({error}); build it again with `make synth`") from error
        write_json(result, back.decode(unpacked, text, part.place, ports, top))
