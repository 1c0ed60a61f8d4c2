"""Place and route with nextpnr, and packing: one way for every family, for cores by themselves and for whole boards."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from types import MappingProxyType
from typing import Any

from hls4rl.errors import ProjectError, ToolError
from hls4rl.hls_projects.fpga.family import Family, Pin
from hls4rl.hls_projects.fpga.programs import find_program
from hls4rl.processes import run

REPORT = "report.json"
"""nextpnr's report."""


@dataclass(frozen=True)
class Target:
    """The chip that a design is placed on."""

    name: str
    kind: str
    """``part`` or ``board``: what a user takes a larger one of."""
    family: Family
    device: tuple[str, ...]
    """nextpnr's options for the part, its package and its speed grade."""


@dataclass(frozen=True)
class Placement:
    """One run of place and route."""

    seed: int
    fmax_mhz: float
    """Highest clock: what nextpnr found, and no more than the part's data sheet allows."""
    nextpnr_mhz: float
    """What nextpnr found on the design's paths alone."""
    capped_by: str | None
    """What in the chip holds the clock below :attr:`nextpnr_mhz`."""
    resources: dict[str, int]
    """``lut``, ``ff``, ``dsp``, ``bram``, as far as the report counts them."""
    utilization: dict[str, list[int]]
    """Of each cell that is used: how many, and how many there are."""
    critical_path: list[dict[str, Any]]
    """The slowest way between two registers: of each step its kind, cell and delay in ns."""
    seconds: float


def place(
    netlist: Path, target: Target, clock_mhz: float, seed: int, directory: Path, design: str = "core",
    pins: Mapping[str, Pin] = MappingProxyType({}), free: bool = False, seconds: float | None = None,
    more: Sequence[str] = (),
) -> Placement:
    """Place and route ``netlist`` in ``directory``, which gets :data:`REPORT` and the placed design, not yet packed.

    Args:
        design: stem of the files' names.
        pins: of the top's ports.
        free: whether ports without a pin get one, anywhere.
        more: options of nextpnr.

    Raises:
        ProjectError: the design does not fit, or nextpnr is missing.
        subprocess.TimeoutExpired: it took longer than ``seconds``.
    """
    family, start = target.family, time.perf_counter()
    if netlist.parent != directory:  # the tools see nothing but their working directory
        shutil.copyfile(netlist, directory / netlist.name)
    options = list(family.free_pins) if free else []
    if pins:
        assert family.pin is not None
        options += _named(family.pin_options, design)
        lines = "".join(family.pin(signal, pin) for signal, pin in pins.items())
        (directory / _name(family.pin_file, design)).write_text(lines, encoding="utf-8")
    done = run_tool(family.place, [
        *target.device, *options, "--json", netlist.name, "--freq", f"{clock_mhz:g}", "--seed", str(seed),
        "--timing-allow-fail", "--report", REPORT, *_named(family.place_options, design), *more,
    ], directory, seconds)
    if done.returncode:
        raise _failure(done.stdout + done.stderr, target)
    report = json.loads((directory / REPORT).read_text(encoding="utf-8"))
    return _placement(report, target, seed, round(time.perf_counter() - start, 1))


def pack(target: Target, directory: Path, design: str = "core", options: Sequence[str] = ()) -> str:
    """Make the bitstream of the design that :func:`place` left in ``directory``; returns its file's name.

    Args:
        options: of the packer.
    """
    program, *arguments = target.family.pack
    done = run_tool(program, [*options, *_named(arguments, design)], directory)
    if done.returncode:
        raise ToolError(f"{program} failed: {_last_line(done.stderr)}", done.stdout + done.stderr)
    (directory / _name(target.family.placed_file, design)).unlink()
    _keep_pins(target, directory, design)
    return _name(target.family.bitstream_file, design)


def unpack(target: Target, bitstream: Path, directory: Path, design: str = "core") -> Path:
    """The inverse of :func:`pack`, in ``directory``; returns what it made.

    Raises:
        ProjectError: the unpacker is missing, or ``bitstream`` is none.
    """
    assert target.family.read_back is not None
    program, *arguments = target.family.read_back.unpack
    if bitstream.parent != directory:
        shutil.copyfile(bitstream, directory / _name(target.family.bitstream_file, design))
    done = run_tool(program, _named(arguments, design), directory)
    result = directory / _name(target.family.placed_file, design)
    if done.returncode or not result.is_file():
        raise ToolError(f"{program} failed: {_last_line(done.stderr)}", done.stdout + done.stderr)
    return result


def _keep_pins(target: Target, directory: Path, design: str) -> None:
    """Of a design that had its pins anywhere: write where they are, as a file of pins."""
    back = target.family.read_back
    if back is None:
        return
    placement, pins = (directory / _name(name, design) for name in (back.placement, target.family.pin_file))
    if not pins.exists() and target.family.reads_back(target.device):
        pins.write_text(back.pins(placement, target.device), encoding="utf-8")
    placement.unlink()


def too_large(what: str, target: Target) -> ProjectError:
    """The complaint that a design does not fit."""
    return ProjectError(
        f"design too large for its {target.kind} {target.name}: {what}; take fewer hidden units, fewer BITS, or a "
        f"larger {target.kind.upper()}"
    )


def run_tool(
    tool: str, arguments: Sequence[str], directory: Path, seconds: float | None = None
) -> CompletedProcess[str]:
    """Run one of YoWASP's or Apicula's programs in ``directory``, which is all that it sees of the disk.

    Raises:
        ProjectError: it isn't installed.
        subprocess.TimeoutExpired: it took longer than ``seconds``.
    """
    return run([find_program(tool), *arguments], directory, timeout=seconds)


def check_programs(family: Family) -> None:
    """Insist that what places and packs for ``family`` is installed, before hours of training.

    Raises:
        ProjectError: it isn't; the message has the line that installs it.
    """
    if family.place:
        find_program(family.place)
        find_program(family.pack[0])


def _placement(report: dict[str, Any], target: Target, seed: int, seconds: float) -> Placement:
    utilization = {
        name: [int(item["used"]), int(item["available"])]
        for name, item in report["utilization"].items() if item["used"]
    }
    counted = target.family.used or {}
    resources = {key: utilization.get(name, [0])[0] for key, name in counted.items() if name}
    found = round(min((float(item["achieved"]) for item in report["fmax"].values()), default=0.0), 2)
    limit = target.family.clock_limit(target.device, utilization)
    capped = limit is not None and found > limit.mhz
    return Placement(
        seed, limit.mhz if limit and capped else found, found, limit.what if limit and capped else None, resources,
        utilization, _critical_path(report), seconds,
    )


def _failure(output: str, target: Target) -> Exception:
    line = next((item for item in output.splitlines() if "ERROR" in item), _last_line(output)).strip()
    full = ("no Bels remaining", "no more", "Unable to find legal placement", "Unable to find a placement", "too many")
    if any(sign.lower() in output.lower() for sign in full):
        return too_large(line.removeprefix("ERROR: "), target)
    return ToolError(f"nextpnr failed: {line}", output)


def _critical_path(report: dict[str, Any]) -> list[dict[str, Any]]:
    paths = [
        item["path"] for item in report.get("critical_paths", ())
        if "<async>" not in item["from"] and "<async>" not in item["to"]
    ]
    longest: list[dict[str, Any]] = max(paths, key=lambda path: sum(step["delay"] for step in path), default=[])
    return [
        {"kind": step["type"], "cell": step["to"]["cell"], "delay_ns": round(step["delay"], 3)}
        for step in longest if step["delay"] > 0
    ]


def _named(words: Sequence[str], design: str) -> list[str]:
    return [_name(word, design) for word in words]


def _name(word: str, design: str) -> str:
    return word.format(design=design)


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]
