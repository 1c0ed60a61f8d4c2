"""What a build will come to, before it is made: cells, clocks and minutes; and the choice that rests on it.

The numbers in here were fitted to designs that were placed on an ECP5 on a quiet machine with two processors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hls4rl.contract import IntArray, Sign
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.flow.pipelined import CROWDED, pipeline_for
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.rtl.fold_plan import UNITS, Plan, plan
from hls4rl.hls_projects.rtl.fold_storage import BOOKS, NUMBERS
from hls4rl.network import IntegerNetwork, plain
from hls4rl.task import Hardware

AUTO = "auto"
_UNROLLED_LUT = 3000
_UNROLLED_SECONDS = 120
"""Where fold is "auto": the largest design that is unrolled."""
_LATENCY_US = 1000.0
"""Latency to meet where nobody knows how often the environment steps: 1/20 of 50 Hz."""
_MEMORIES = {
    "ecp5": ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36)),
    "ice40": ((2048, 2), (1024, 4), (512, 8), (256, 16)),
}
_MULTIPLIER_BITS = {"ecp5": 18, "ice40": 16}
_ROW_WORDS = {"ecp5": 2048, "ice40": 512}
"""Of a weight memory in one block RAM; deeper ones take look-up tables that choose between rows of block RAMs."""
_CELLS = {"ice40": 1.36}
"""Look-up tables there for one on an ECP5: a flip-flop without one takes its place all the same."""
_SHARED, _ONES_SHARED, _SIGNS_SHARED = 0.85, 0.68, 0.37
"""Adders of unrolled weights, by what is left after rows have shared some: numbers; ±1 and 0; signs where they meet the
observation or other signs."""
_LAST = 3.3
"""Look-up tables for each bit of the last sums but one, which are cut or held against each other."""
_SECOND_ROUTER = 0.5
"""Time to place and route with nextpnr's second router, for that with its first."""


@dataclass(frozen=True)
class Estimate:
    """A design that has not been built."""

    fold: int
    lut: int
    dsp: int
    bram: int
    cycles: int
    seconds: float
    """Of synthesis, place and route."""

    def __str__(self) -> str:
        core = f"{self.fold} units side by side" if self.fold else "unrolled"
        return (f"{core}: about {self.lut:,} look-up tables, {self.dsp} multipliers, {self.bram} block RAMs, "
                f"{self.cycles:,} clocks, {max(0.1, self.seconds / 60):.1f} minutes to build")


def estimate(network: IntegerNetwork, part: Part, clock_mhz: float, seeds: int, fold: int) -> Estimate:
    """The design of ``network`` with ``fold`` units, or unrolled where that is 0.

    Raises:
        ProjectError: see :func:`hls4rl.hls_projects.rtl.fold_plan.plan`.
    """
    if fold:
        return _folded(plan(network, fold), part, seeds)
    network = plain(network)
    lut = _unrolled_lut(network)
    crowded = lut > CROWDED
    place = 2 + 6.8 * (lut / 1000) ** 1.27 * (_SECOND_ROUTER if crowded else 1.0)
    synthesis = 5 * (lut / 1000) ** 0.6 * (3 if lut < 600 else 1) + 2
    runs = 1 if crowded else 1 + math.ceil((seeds - 1) / 2)
    return Estimate(0, lut, 0, 0, pipeline_for(network, clock_mhz, part), 1.3 * (synthesis + runs * place))


def resolved(network: IntegerNetwork, hardware: Hardware) -> Hardware:
    """``hardware`` with a number where ``fold`` is "auto": 0 if the network is small enough to be unrolled, else the
    fewest units that meet ``latency_us`` at ``clock_mhz``, or, if none do, the most that the part has room for.

    Raises:
        ProjectError: no core of the network fits the part, by this estimate.
    """
    if hardware.fold != AUTO:
        return hardware
    part = load_part(hardware.part)
    unrolled = estimate(network, part, hardware.clock_mhz, hardware.place_seeds, 0)
    if unrolled.lut <= _UNROLLED_LUT and unrolled.seconds <= _UNROLLED_SECONDS and _fits(unrolled, part):
        return replace(hardware, fold=0)
    chosen = None
    for units in UNITS:
        item = estimate(network, part, hardware.clock_mhz, hardware.place_seeds, units)
        if not _fits(item, part):
            continue
        chosen = units
        if item.cycles / hardware.clock_mhz <= (hardware.latency_us or _LATENCY_US):
            break
    if chosen is None:
        raise ProjectError(f"no folded core of this network fits {part.name}; take a larger PART, or fewer BITS")
    return replace(hardware, fold=chosen)


def require_patience(found: Estimate, quicker: Estimate, hardware: Hardware) -> None:
    """Refuse a build that is expected to take longer than ``hardware.build_minutes``.

    Raises:
        ProjectError: it is; the message says what would be quicker.
    """
    if found.seconds > 60 * hardware.build_minutes:
        raise ProjectError(
            f"this build is expected to take {found.seconds / 60:.0f} minutes ({found}); quicker: hardware.fold="
            f"{quicker.fold} ({quicker}); or let it take its time with "
            f"hardware.build_minutes={math.ceil(found.seconds / 60 * 1.5)}"
        )


def _fits(item: Estimate, part: Part) -> bool:
    needed = {"lut": item.lut, "dsp": item.dsp, "bram": item.bram}
    return all(count <= part.capacity.get(name, math.inf) for name, count in needed.items())


def _unrolled_lut(network: IntegerNetwork) -> int:
    """Adders: one for each digit of a weight, half as wide as what goes in and the sum together; rows share the more of
    them the fewer different weights there are. Then the last sums are cut, or held against each other.
    """
    total, bits = 0.0, float(network.input.bits)
    for number, layer in enumerate(network.layers):
        weight: IntArray = layer.weight
        sum_bits = bits + math.log2(max(1, int(abs(weight).sum(axis=1).max())))
        shared = _SHARED
        if (abs(weight) <= 1).all():
            shared = _SIGNS_SHARED if bits == 1 or (number == 0 and weight.all()) else _ONES_SHARED
        if number + 1 == len(network.layers):
            total += _LAST * (len(weight) - 1) * sum_bits
            if layer.activation is None:
                weight = weight - weight[np.argmin([np.count_nonzero(weight - row) for row in weight])]
        total += shared * _digits(weight) * (bits + sum_bits) / 2
        bits = 1.0 if isinstance(layer.activation, Sign) else float(getattr(layer.activation, "bits", 8))
    return round(total)


def _digits(weight: IntArray) -> int:
    """Digits that are not 0 of all weights in canonical signed form."""
    number = abs(weight)
    return int(np.bitwise_count(number ^ (3 * number)).sum())


def _folded(core: Plan, part: Part, seeds: int) -> Estimate:
    storage, units = core.storage, core.units
    numbers = storage.kind in (NUMBERS, BOOKS)
    multipliers = part.capacity.get("dsp", 0) > 0 or not part.capacity
    size = _MULTIPLIER_BITS.get(part.family, 18)
    pieces = math.ceil(core.activation_bits / size) * math.ceil(storage.value_bits / size)
    dsp = units * pieces if numbers and multipliers else 0
    if core.multiplier_bits and multipliers:
        dsp += math.ceil(core.sum_bits / size) * math.ceil(core.multiplier_bits / size)
    word = units * (storage.code_bits + storage.gap_bits)
    banks = _MEMORIES.get(part.family, _MEMORIES["ecp5"])
    constant = core.constant_bits + core.multiplier_bits + 6
    neurons = sum(-(-len(layer.weight) // units) * units for layer in core.layers)
    bram = _block_rams(banks, word, len(storage.words)) + _block_rams(banks, constant, neurons)
    bram += (units if storage.gap_bits else 1) * _block_rams(banks, core.activation_bits, 2 << core.place_bits)
    unit = 2.5 * core.sum_bits
    if not numbers:
        unit += core.activation_bits
    elif not dsp:
        unit += 1.3 * storage.value_bits * core.activation_bits
    if storage.kind == BOOKS:
        unit += 3 * storage.value_bits * math.ceil(len(core.layers) * (1 << storage.code_bits) / 16) / units
    if storage.gap_bits:
        unit += 6.5 * core.place_bits
    rows = math.ceil(len(storage.words) / _ROW_WORDS.get(part.family, 2048))
    tables = 10 * core.activation_bits if core.tabled else 0
    logic = 97 + 3.4 * core.scaled_bits + 3 * core.multiplier_bits + tables + units * unit + 1.2 * word * (rows - 1)
    lut = round(logic * _CELLS.get(part.family, 1.0))
    seconds = 5 + lut / 80 + math.ceil(seeds / 2) * (3 + 6 * (lut / 1000) + 0.2 * bram)
    return Estimate(units, lut, dsp, bram, core.clocks[0], seconds)


def _block_rams(banks: tuple[tuple[int, int], ...], width: int, words: int) -> int:
    return min(math.ceil(width / bits) * math.ceil(words / depth) for depth, bits in banks)
