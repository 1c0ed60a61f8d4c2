"""Place and route with nextpnr: timing, what is used of the part, and a bitstream.

:func:`build_for_clock` is the whole flow from integers to a placed core. It makes the pipeline longer until
the clock that was asked for is met.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hls4rl.contract import FixedPoint
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.nextpnr import REPORT, Placement, pack, place, too_large
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.fpga.synthesis import NETLIST, Synthesis, synthesise
from hls4rl.hls_projects.fpga.wrapper import synthesise_around
from hls4rl.hls_projects.rtl.pipelined import CORE, INFO, LOGITS, RtlInfo, write_rtl
from hls4rl.hls_projects.simulation.pipelined import build_netlist_model, build_rtl_model
from hls4rl.network import IntegerNetwork
from hls4rl.stage import write_json

RESULT = "ooc_synth_and_timing.json"
MAXIMUM_STAGES = 24
_TRIES = 5
_PARALLEL = 2


# Where the observation has more bits than the part has pins, they come in one per clock.
_SERIAL = """module policy_serial (
    input wire clk, input wire in_valid, input wire observation_bit,
    output wire out_valid, output wire [{high}:0] action
);
    reg [{width}-1:0] observation;
    always @(posedge clk) observation <= {{observation[{width}-2:0], observation_bit}};
    policy_core core (.clk(clk), .in_valid(in_valid), .observation(observation),
        .out_valid(out_valid), .action(action));
endmodule
"""


def build_for_clock(
    network: IntegerNetwork, part_name: str, clock_mhz: float, seeds: int, directory: Path, stages: int = 0
) -> dict[str, Any]:
    """Write RTL, synthesise, place and route; with more stages again until ``clock_mhz`` is met.

    ``directory`` gets the Verilog, ``netlist.json``, :data:`RESULT`, nextpnr's report and the bitstream of the
    run with the median clock, and what :mod:`hls4rl.hls_projects.simulation.pipelined` needs. For a part without
    place and route only the first pipeline is synthesised.

    Args:
        stages: build just this pipeline, whether it meets the clock or not; 0: search for one that does.

    Returns:
        The content of ``ooc_synth_and_timing.json``: ``part lut ff dsp bram fmax_mhz cycles latency_ns clock_mhz
        timing_met bitstream`` (None where there is no place and route) and the details.

    Raises:
        ProjectError: unknown part, or the design is too large for it.
    """
    part = load_part(part_name)
    require_possible(clock_mhz, part)
    tries: list[dict[str, Any]] = []
    given = stages > 0
    stages = stages or pipeline_for(network, clock_mhz, part)
    while True:
        with tempfile.TemporaryDirectory(dir=directory, prefix=".try-") as folder:
            work = Path(folder)
            info = write_rtl(network, work, stages)
            synthesis = synthesise([work / f"{CORE}.v"], CORE, part, work)
            last = given or len(tries) + 1 == _TRIES or stages == MAXIMUM_STAGES
            placements = []
            if part.has_bitstream:
                placements = _place_pipeline(info, synthesis, part, clock_mhz, seeds, work, last)
            fmax = median(placements).fmax_mhz if placements else None
            tries.append({"stages": stages, "recipe": synthesis.recipe, "fmax_mhz": fmax, **synthesis.resources})
            if last or fmax is None or fmax >= clock_mhz:
                _keep(work, directory, part, placements)
                break
        stages = min(MAXIMUM_STAGES, max(stages + 1, math.ceil(stages * clock_mhz / fmax)))
    build_rtl_model(directory)
    if part.tools.models:
        build_netlist_model(directory, directory / NETLIST, part.tools.models)
    result = {**result_of(part, clock_mhz, info.cycles, synthesis, placements), "tries": tries}
    write_json(directory / RESULT, result)
    return result


def pipeline_for(network: IntegerNetwork, clock_mhz: float, part: Part) -> int:
    """Stages to begin with.

    The adder levels on the longest way, at the part's delay for one of them; ways get longer as a design
    spreads. The power of 0.3 fits the designs of 16 and 64 units that were placed on the ECP5.
    """
    levels, spread = 2.0, 1.0
    for layer in network.layers:
        digits = max(1, int(abs(layer.weight).max()).bit_length() // 2)  # adders that one weight takes
        levels += math.log2(max(2, layer.weight.shape[1] * digits))
        levels += 1 if isinstance(layer.activation, FixedPoint) else 0
        spread = max(spread, (layer.weight.shape[1] * digits / 16) ** 0.3)
    return min(MAXIMUM_STAGES, max(1, math.ceil(levels * spread * part.level_ns * clock_mhz / 1000)))


def _place_pipeline(
    info: RtlInfo, synthesis: Synthesis, part: Part, clock_mhz: float, seeds: int, work: Path, whole: bool
) -> list[Placement]:
    """The placements of all seeds by rising clock; if the first seed misses the clock and not ``whole``, it alone."""
    check_capacity(synthesis.resources, part)
    netlist = work / NETLIST
    if info.features * info.observation_bits + info.action_bits + 3 > part.capacity["pins"]:
        netlist = _serial_netlist(info, synthesis, part, work)
    return place_seeds(netlist, part, clock_mhz, seeds, work, whole)


def place_seeds(
    netlist: Path, part: Part, clock_mhz: float, seeds: int, work: Path, whole: bool = True
) -> list[Placement]:
    """Placements with the seeds 1 … ``seeds`` by rising clock, each in a folder ``seed-<n>`` of ``work``.

    Args:
        whole: place with all seeds even if the first one misses the clock.

    Raises:
        ProjectError: the design does not fit the part.
    """
    def one(seed: int) -> Placement:
        folder = work / f"seed-{seed}"
        folder.mkdir()
        return place(netlist, part.target, clock_mhz, seed, folder)

    placements = [one(1)]
    if whole or placements[0].fmax_mhz >= clock_mhz:
        with ThreadPoolExecutor(_PARALLEL) as pool:
            placements += pool.map(one, range(2, seeds + 1))
    return sorted(placements, key=lambda item: (item.nextpnr_mhz, item.seed))


def _serial_netlist(info: RtlInfo, synthesis: Synthesis, part: Part, work: Path) -> Path:
    folder = work / "serial"
    folder.mkdir()
    source = folder / "policy_serial.v"
    source.write_text(
        _SERIAL.format(high=info.action_bits - 1, width=info.features * info.observation_bits), encoding="utf-8"
    )
    return synthesise_around(work / NETLIST, CORE, [source], "policy_serial", part, folder, synthesis.recipe)


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


def _keep(work: Path, directory: Path, part: Part, placements: Sequence[Placement]) -> None:
    files = [work / name for name in (f"{CORE}.v", f"{LOGITS}.v", INFO, NETLIST)]
    for path in (*files, *(placed_files(work, part, placements) if placements else ())):
        path.replace(directory / path.name)


def placed_files(work: Path, part: Part, placements: Sequence[Placement]) -> tuple[Path, Path]:
    """nextpnr's report and the bitstream, made now, of the median one of what :func:`place_seeds` left in ``work``."""
    chosen = work / f"seed-{median(placements).seed}"
    return chosen / REPORT, chosen / pack(part.target, chosen)


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

