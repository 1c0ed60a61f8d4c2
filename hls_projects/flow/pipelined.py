"""The whole flow from integers to a placed pipeline, made longer until the clock that was asked for is met."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hls4rl.artefact import write_json
from hls4rl.contract import FixedPoint
from hls4rl.hls_projects.fpga.nextpnr import Placement
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.fpga.place import (
    RESULT,
    check_capacity,
    median,
    place_seeds,
    placed_files,
    require_possible,
    result_of,
)
from hls4rl.hls_projects.fpga.read_back import unreadable
from hls4rl.hls_projects.fpga.steps import UNKEPT, Steps, processors, side_by_side
from hls4rl.hls_projects.fpga.synthesis import NETLIST, Synthesis, synthesise
from hls4rl.hls_projects.fpga.wrapper import synthesise_around
from hls4rl.hls_projects.rtl.pipelined import CORE, INFO, LOGITS, RtlInfo, write_rtl
from hls4rl.hls_projects.simulation.pipelined import (
    SIMULATION,
    build_bitstream_model,
    build_netlist_model,
    build_rtl_model,
    has_rtl_model,
)
from hls4rl.network import IntegerNetwork

MAXIMUM_STAGES = 24
_TRIES = 5
_QUICK = 600
"""Look-up tables of a design whose placements take no time to speak of."""
_HARDLY, _SURELY = 1.02, 1.1
"""A netlist that promises less than so many times the clock often misses it, one that promises more hardly ever."""
_AHEAD = range(25_000, 150_000)
"""Bytes of Verilog of a core that takes long to synthesise, with one recipe alone: the next longer pipeline, which is
needed as often as not, is synthesised beside the first one. Beyond, both together take half as long again as one."""
CROWDED = 10_000
"""Look-up tables from which on one seed is placed, in two or three minutes, and nextpnr's second router is used: its
first one, which takes less time for small designs and finds quicker ways there, was not done with 19,000 in twice the
time that placing and the second one take."""

SERIAL = "policy_serial"
"""Module around a core whose observation has more bits than the part has pins: they come in one per clock."""
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
    network: IntegerNetwork, part_name: str, clock_mhz: float, seeds: int, directory: Path, stages: int = 0,
    steps: Steps = UNKEPT,
) -> dict[str, Any]:
    """Write RTL, synthesise, place and route; with more stages again until ``clock_mhz`` is met.

    ``directory`` gets the Verilog, ``netlist.json``, :data:`RESULT`, nextpnr's report and the bitstream of the
    run with the median clock, and what :mod:`hls4rl.hls_projects.simulation.pipelined` needs. For a part without
    place and route only the first pipeline is synthesised.

    Args:
        stages: build just this pipeline, whether it meets the clock or not; 0: search for one that does.
        steps: where what takes long is kept, and whom it tells.

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
    candidates: dict[int, _Candidate] = {}
    with tempfile.TemporaryDirectory(dir=directory, prefix=".try-") as folder:
        while True:
            if stages not in candidates:
                candidates |= _candidates(network, part, stages, Path(folder), steps, not given and not tries)
            candidate = candidates[stages]
            if part.has_bitstream:
                check_capacity(candidate.synthesis.resources, part)
            promised = promised_mhz(candidate.synthesis, part)
            tries.append(candidate.to_json() | {"promised_mhz": promised, "fmax_mhz": None})
            last = given or len(tries) == _TRIES or stages == MAXIMUM_STAGES
            if last or promised is None or promised >= _HARDLY * clock_mhz:
                together = last or len(tries) > 1 or _is_sure(candidate.synthesis, promised, clock_mhz)
                placements = _place_beside_models(candidate, part, clock_mhz, seeds, last, steps, together)
                fmax = tries[-1]["fmax_mhz"] = median(placements).fmax_mhz if placements else None
                if last or fmax is None or fmax >= clock_mhz:
                    break
            else:
                fmax = promised
                steps.tell(f"{stages} stages not placed: {promised:g} MHz by their netlist, too few for {clock_mhz:g}")
            stages = min(MAXIMUM_STAGES, max(stages + 1, math.ceil(stages * clock_mhz / fmax)))
        _keep(candidate.work, directory, part, placements)
    info, synthesis = candidate.info, candidate.synthesis
    reason = unreadable(part, _fits(info, part))
    if not reason:
        build_bitstream_model(directory, part)
    result = {**result_of(part, clock_mhz, info.cycles, synthesis, placements), "tries": tries, "not_read_back": reason}
    write_json(directory / RESULT, result)
    return result


@dataclass(frozen=True)
class _Candidate:
    """A pipeline, synthesised in ``work``."""

    stages: int
    work: Path
    info: RtlInfo
    synthesis: Synthesis

    def to_json(self) -> dict[str, Any]:
        return {"stages": self.stages, "recipe": self.synthesis.recipe, **self.synthesis.resources}


def _candidates(
    network: IntegerNetwork, part: Part, stages: int, folder: Path, steps: Steps, ahead: bool
) -> dict[int, _Candidate]:
    """The pipeline of ``stages`` in ``folder``, and where ``ahead`` and a processor idles the next longer one.

    What simulates a small one is built meanwhile.
    """

    def write(count: int) -> RtlInfo:
        work = folder / str(count)
        work.mkdir()
        return write_rtl(network, work, count)

    def build(count: int) -> _Candidate:
        work = folder / str(count)
        synthesis = synthesise([work / f"{CORE}.v"], CORE, part, work, steps=steps)
        return _Candidate(count, work, infos[count], synthesis)

    infos = {stages: write(stages)}
    size = (folder / str(stages) / f"{CORE}.v").stat().st_size
    if ahead and processors() > 1 and size in _AHEAD and part.routed_ns and stages < MAXIMUM_STAGES:
        infos[stages + 1] = write(stages + 1)
    tasks: dict[str, Callable[[], Any]] = {str(count): partial(build, count) for count in infos}
    if size < _AHEAD.start:  # what simulates a larger one keeps its synthesis from the memory, and may be in vain
        tasks["models"] = partial(build_rtl_model, folder / str(stages))
    made = side_by_side(tasks)
    return {count: made[str(count)] for count in infos}


def pipeline_for(network: IntegerNetwork, clock_mhz: float, part: Part) -> int:
    """Stages to begin with.

    The adder levels on the longest way, at the part's delay for one of them; ways get longer as a design
    spreads. The power of 0.3 fits the designs of 16 and 64 units that were placed on the ECP5; inputs of up to 5 bits
    are in it. Wider ones have longer carries, which show where many are added: 8 → 64 → 4 with 8 bits runs at 37 MHz in
    4 stages, just short of 50 in 6 and at 51 in 7; 3 → 16 → 15 with signs at 73 MHz in 1.
    """
    levels, wide, longer = 2.0, 1.0, max(1.0, network.input.bits / 5)
    for layer in network.layers:
        digits = max(1, int(abs(layer.weight).max()).bit_length() // 2)  # adders that one weight takes
        levels += math.log2(max(2, layer.weight.shape[1] * digits))
        levels += 1 if isinstance(layer.activation, FixedPoint) else 0
        wide = max(wide, (layer.weight.shape[1] * digits / 16) ** 0.3)
    spread: float = wide * longer ** (1.1 * (wide - 1.0))
    return min(MAXIMUM_STAGES, max(1, math.ceil(levels * spread * part.level_ns * clock_mhz / 1000)))


def promised_mhz(synthesis: Synthesis, part: Part) -> float | None:
    """The clock that a netlist can be expected to reach, from its slowest way and its size; None where nothing tells.

    It saves the minutes that placing a pipeline takes which would miss the clock clearly.
    """
    if not part.routed_ns or synthesis.delay_ns is None:
        return None
    factor, way, size = part.routed_ns
    period: float = factor * synthesis.delay_ns**way * max(1, synthesis.resources["lut"]) ** size
    return round(1000 / period, 1)


def _is_sure(synthesis: Synthesis, promised: float | None, clock_mhz: float) -> bool:
    """Whether all seeds may be placed at once, though they are in vain if the first one misses the clock."""
    return synthesis.resources["lut"] < _QUICK or (promised is not None and promised >= _SURELY * clock_mhz)


def _place_beside_models(
    candidate: _Candidate, part: Part, clock_mhz: float, seeds: int, whole: bool, steps: Steps, together: bool
) -> list[Placement]:
    """The placements of all seeds by rising clock; if the first seed misses the clock and not ``whole``, it alone.

    None where there is no place and route. What simulates the core is built meanwhile.
    """
    placements: list[Placement] = side_by_side({
        "models": partial(_build_models, candidate.work, part),
        "placements": partial(_place_pipeline, candidate, part, clock_mhz, seeds, whole, steps, together),
    })["placements"]
    return placements


def _place_pipeline(
    candidate: _Candidate, part: Part, clock_mhz: float, seeds: int, whole: bool, steps: Steps, together: bool
) -> list[Placement]:
    if not part.has_bitstream:
        return []
    work, netlist = candidate.work, candidate.work / NETLIST
    if not _fits(candidate.info, part):
        netlist = _serial_netlist(candidate.info, candidate.synthesis, part, work)
    if candidate.synthesis.resources["lut"] <= CROWDED:
        return place_seeds(netlist, part, clock_mhz, seeds, work, whole, steps, together=together)
    return place_seeds(netlist, part, clock_mhz, 1, work, steps=steps, more=("--router", "router2"), clock="clk")


def _fits(info: RtlInfo, part: Part) -> bool:
    """Whether all ports of the core can be pins of the part."""
    return info.features * info.observation_bits + info.action_bits + 3 <= part.capacity.get("pins", 0)


def _serial_netlist(info: RtlInfo, synthesis: Synthesis, part: Part, work: Path) -> Path:
    folder = work / "serial"
    folder.mkdir()
    source = folder / f"{SERIAL}.v"
    source.write_text(serial_verilog(info), encoding="utf-8")
    return synthesise_around(work / NETLIST, CORE, [source], SERIAL, part, folder, synthesis.recipe)


def serial_verilog(info: RtlInfo) -> str:
    """The module :data:`SERIAL` around a core."""
    return _SERIAL.format(high=info.action_bits - 1, width=info.features * info.observation_bits)


def _build_models(work: Path, part: Part) -> None:
    """What simulates the RTL, unless it is there, and, where its cells are known, the netlist."""
    if not has_rtl_model(work):
        build_rtl_model(work)
    if part.tools.models:
        build_netlist_model(work, work / NETLIST, part.tools.models)


def _keep(work: Path, directory: Path, part: Part, placements: Sequence[Placement]) -> None:
    shutil.rmtree(directory / SIMULATION, ignore_errors=True)
    files = [work / name for name in (f"{CORE}.v", f"{LOGITS}.v", INFO, NETLIST, SIMULATION)]
    for path in (*files, *(placed_files(work, part, placements) if placements else ())):
        path.replace(directory / path.name)
