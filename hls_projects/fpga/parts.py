"""The parts that can be built for: one TOML file each under ``parts/``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.family import Family, load_family
from hls4rl.hls_projects.fpga.nextpnr import Target
from hls4rl.plain import build, read_toml

PART_DIRECTORY = Path(__file__).resolve().parent / "parts"
RESOURCES = ("lut", "ff", "dsp", "bram", "pins")


@dataclass(frozen=True)
class Part:
    """One part, as its TOML file says."""

    name: str
    device: str
    """Order code, or the family where only cells are counted."""
    family: str
    """Name of the family's record, see :mod:`hls4rl.hls_projects.fpga.family`."""
    level_ns: float
    """Delay of one adder level, routing included: a guess that starts the search for the pipeline's length."""
    routed_ns: tuple[float, ...] = ()
    """factor, a, b: a netlist of n look-up tables whose slowest way takes d ns by ABC can be clocked every
    factor · d^a · n^b ns once it is placed and routed, about; empty where ABC tells no d, or nobody fitted it."""
    place: tuple[str, ...] = ()
    """nextpnr's options for the device; empty where there is no open place and route."""
    clock_site: str = ""
    """A pin with a way of its own to the clock tree."""
    capacity: dict[str, int] = field(default_factory=dict)
    """What the part has of ``lut``, ``ff``, ``dsp``, ``bram`` and ``pins``; empty where cells are only counted."""

    @property
    def tools(self) -> Family:
        """The record of its family."""
        return load_family(self.family)

    @property
    def target(self) -> Target:
        """What nextpnr places on."""
        return Target(self.name, "part", self.tools, self.place)

    @property
    def has_bitstream(self) -> bool:
        """Whether place and route, timing and a bitstream are to be had."""
        return bool(self.place)

    @property
    def result(self) -> str:
        """What a build for this part yields, for people."""
        return "timing and bitstream" if self.has_bitstream else "counts only, no timing"


def part_names() -> list[str]:
    """Names of all parts, sorted."""
    return sorted(path.stem for path in PART_DIRECTORY.glob("*.toml"))


def load_part(name: str) -> Part:
    """The part called ``name``.

    Raises:
        ProjectError: there is none, or its file is not a valid one.
    """
    if name not in part_names():
        raise ProjectError(f"unknown part '{name}'; choose one of {', '.join(part_names())}")
    path = PART_DIRECTORY / f"{name}.toml"
    part: Part = build(Part, {**read_toml(path, "part file"), "name": name}, str(path))
    if part.place and not set(RESOURCES) <= set(part.capacity):
        raise ProjectError(f"{path}: [capacity] says how many {', '.join(RESOURCES)} the part has; add what is missing")
    load_family(part.family)
    return part
