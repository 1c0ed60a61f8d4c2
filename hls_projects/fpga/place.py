"""Place and route with nextpnr: timing, what is used of the part, and a bitstream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from hls4rl.artefact import digest, write_json
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.family import Pin
from hls4rl.hls_projects.fpga.nextpnr import REPORT, Placement, pack, place, too_large
from hls4rl.hls_projects.fpga.parts import Part
from hls4rl.hls_projects.fpga.steps import UNKEPT, Steps, side_by_side
from hls4rl.hls_projects.fpga.synthesis import Synthesis
from hls4rl.plain import read_json

RESULT = "ooc_synth_and_timing.json"
_PLACEMENT = "placement.json"


def place_seeds(
    netlist: Path, part: Part, clock_mhz: float, seeds: int, work: Path, whole: bool = True, steps: Steps = UNKEPT,
    more: Sequence[str] = (), together: bool = False, clock: str = "",
) -> list[Placement]:
    """Placements with the seeds 1 … ``seeds`` by rising clock, each in a folder ``seed-<n>`` of ``work``.

    The seeds but the first run side by side, and those that take too long are left out.

    Args:
        whole: place with all seeds even if the first one misses the clock.
        steps: where each seed's placement is kept, and how long they may take.
        more: options of nextpnr.
        together: let all start with the first; its clock decides as before whether the others count.
        clock: port that gets the part's clock pin; empty: nextpnr chooses all pins. Its second router finds no way
            from some of the others to the clock tree.

    Raises:
        ProjectError: the design does not fit the part.
    """
    inputs = {
        "netlist": digest(netlist), "part": asdict(part), "clock_mhz": clock_mhz, "options": part.tools.place_options,
        "more": list(more), "clock": clock,
    }
    pins = {clock: Pin(part.clock_site)} if clock and part.clock_site else {}

    def one(seed: int, limit: float | None = None) -> Placement:
        folder = work / f"seed-{seed}"
        folder.mkdir()

        def make(place_here: Path) -> None:
            found = place(
                netlist, part.target, clock_mhz, seed, place_here, pins=pins, free=True, seconds=limit, more=more
            )
            (place_here / netlist.name).unlink()
            write_json(place_here / _PLACEMENT, asdict(found))

        steps.make(f"placement, seed {seed}", {**inputs, "seed": seed}, make, folder)
        return Placement(**read_json(folder / _PLACEMENT, "place again"))

    def in_time(seed: int, first_seconds: float) -> Placement | None:
        limit = steps.limit(first_seconds)
        try:
            return one(seed, limit)
        except TimeoutExpired:
            steps.tell(f"placement, seed {seed}: left out after {limit:.0f} s")
            return None

    others = range(2, seeds + 1)
    if together and steps.together():
        all_seeds: dict[str, Callable[[], Placement | None]] = {"1": partial(one, 1)}
        found = side_by_side(all_seeds | {str(seed): partial(in_time, seed, 0.0) for seed in others})
        placements = [item for item in found.values() if item is not None]
        if not whole and placements[0].fmax_mhz < clock_mhz:
            del placements[1:]
    else:
        placements = [one(1)]
        if whole or placements[0].fmax_mhz >= clock_mhz:
            found = side_by_side({str(seed): partial(in_time, seed, placements[0].seconds) for seed in others})
            placements += [item for item in found.values() if item is not None]
    return sorted(placements, key=lambda item: (item.nextpnr_mhz, item.seed))


def require_possible(clock_mhz: float, part: Part) -> None:
    """Insist that ``part`` can run at ``clock_mhz`` at all.

    Raises:
        ProjectError: its data sheet says that it can't.
    """
    limit = part.tools.clock_limit(part.place)
    if limit is not None and part.has_bitstream and clock_mhz > limit.mhz:
        raise ProjectError(
            f"a clock of {clock_mhz:g} MHz is more than {part.name} is made for: {limit.mhz:g} MHz, by {limit.what}; "
            "set a lower CLOCK_MHZ"
        )


def check_capacity(resources: dict[str, int], part: Part) -> None:
    """Insist that ``resources``, counted before packing, do not exceed what ``part`` has.

    Raises:
        ProjectError: they do.
    """
    for name, needed in resources.items():
        if needed > part.capacity[name]:
            raise too_large(f"{needed} {name.upper()} of {part.capacity[name]}", part.target)


def placed_files(work: Path, part: Part, placements: Sequence[Placement]) -> list[Path]:
    """nextpnr's report, the bitstream, made now, and its pins, where they are known, of the median one of what
    :func:`place_seeds` left in ``work``."""
    chosen = work / f"seed-{median(placements).seed}"
    bitstream, pins = chosen / pack(part.target, chosen), chosen / part.tools.pin_file.format(design="core")
    return [chosen / REPORT, bitstream, *([pins] if pins.is_file() else [])]


def median(placements: Sequence[Placement]) -> Placement:
    """The one in the middle of ``placements``, the lower of two."""
    return placements[(len(placements) - 1) // 2]


def result_of(
    part: Part, clock_mhz: float, cycles: int, synthesis: Synthesis, placements: Sequence[Placement],
) -> dict[str, Any]:
    """What :data:`RESULT` says of a core of so many ``cycles``, but for how it came about."""
    chosen = median(placements) if placements else None
    resources = synthesis.resources | (chosen.resources if chosen else {})
    return {
        "part": part.name,
        "device": part.device,
        **resources,
        "fmax_mhz": chosen.fmax_mhz if chosen else None,
        "fmax_nextpnr_mhz": chosen.nextpnr_mhz if chosen else None,
        "fmax_capped_by": chosen.capped_by if chosen else None,
        "cycles": cycles,
        "latency_ns": round(1000 * cycles / chosen.fmax_mhz, 2) if chosen else None,
        "clock_mhz": clock_mhz,
        "timing_met": chosen.fmax_mhz >= clock_mhz if chosen else None,
        "bitstream": part.tools.bitstream_file.format(design="core") if chosen else None,
        "result": part.result,
        "recipe": synthesis.recipe,
        "cells": synthesis.cells,
        "seeds": {str(item.seed): item.fmax_mhz for item in sorted(placements, key=lambda item: item.seed)},
        "critical_path": chosen.critical_path if chosen else [],
    }
