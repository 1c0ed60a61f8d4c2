"""What one action costs in operations, parameter bits and energy, by the paper's Table I (45 nm class)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from hls4rl.contract import FixedPoint, IntArray
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.policy import PolicySpec
from hls4rl.train.methods import METHODS, weight_bits

TABLE_I: tuple[tuple[str, float, int | None], ...] = (
    ("8-bit addition", 0.03, 36),
    ("16-bit addition", 0.05, 67),
    ("32-bit addition", 0.1, 137),
    ("16-bit floating-point addition", 0.4, 1360),
    ("32-bit floating-point addition", 0.9, 4184),
    ("8-bit multiplication", 0.2, 282),
    ("32-bit multiplication", 3.1, 3495),
    ("16-bit floating-point multiplication", 1.1, 1640),
    ("32-bit floating-point multiplication", 3.7, 7700),
    ("32-bit read, 8 KB SRAM", 5.0, None),
    ("32-bit read, DRAM", 640.0, None),
)
"""The paper's Table I: operation, energy in pJ, area in µm² (its heading says "um"; its source gives µm²)."""
_PJ = {name: energy for name, energy, _ in TABLE_I}
ADD_PJ = {width: _PJ[f"{width}-bit addition"] for width in (8, 16, 32)}
"""Integer addition by width in bits, pJ."""
MULTIPLY_PJ = {width: _PJ[f"{width}-bit multiplication"] for width in (8, 32)}
"""Integer multiplication by width in bits, pJ; Table I has none of 16 bits, which counts as 32."""
FLOAT32_ADD_PJ = _PJ["32-bit floating-point addition"]
FLOAT32_MULTIPLY_PJ = _PJ["32-bit floating-point multiplication"]
SRAM_READ_PJ = _PJ["32-bit read, 8 KB SRAM"]
"""One 32-bit word, pJ."""
DRAM_READ_PJ = _PJ["32-bit read, DRAM"]
"""One 32-bit word, pJ."""
BLOCK_RAM_READ_PJ = SRAM_READ_PJ
"""One 32-bit word from an FPGA's block RAM, pJ. Table I prices none; a block is a smaller SRAM than its 8 KB."""
WORD_BITS = 32
"""Width of a read in Table I."""


@dataclass(frozen=True)
class Cost:
    """Cost of one action of one policy, and of the same network in float32.

    Each energy stands for one place where the parameters may lie, for both alike. ``energy_pj`` has them as constants
    in the logic or in registers, which nothing reads; the others add a read of every parameter: from one block RAM a
    layer, from one SRAM, or from DRAM.
    """

    multiplications: int
    additions: int
    parameter_bits: int
    energy_pj: float
    """Arithmetic alone."""
    energy_block_ram_pj: float
    energy_sram_pj: float
    energy_dram_pj: float
    energy_float32_pj: float
    """The same network in float32: arithmetic alone."""
    energy_float32_block_ram_pj: float
    energy_float32_sram_pj: float
    energy_float32_dram_pj: float

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


class _Operations(NamedTuple):
    """What the units of a layer compute for one action."""

    multiplications: int
    additions: int
    energy_pj: float


def cost(network: IntegerNetwork, spec: PolicySpec) -> Cost:
    """Count the operations of ``network`` as ``spec``'s method performs them, priced at the widths that meet.

    Binary and ternary weights need no multiplication. A compressed unit first adds the inputs that share a weight and
    multiplies that sum, which is wider than an input, once for each distinct value. A pruned weight costs nothing.
    Each remaining weight costs one addition: a unit's n products and its bias make n additions.
    """
    inputs: FixedPoint | None = network.input
    operations, bits = [], []
    for layer in network.layers:
        low, high = (inputs.minimum, inputs.maximum) if inputs else (-1, 1)
        operations.append(_operations(layer, spec.method, low, high))
        bits.append(_parameter_bits(layer, spec))
        inputs = layer.activation if isinstance(layer.activation, FixedPoint) else None
    weights = sum(layer.weight.size for layer in network.layers)
    parameters = weights + sum(layer.bias.size for layer in network.layers)
    energy = sum(item.energy_pj for item in operations)
    float32 = weights * (FLOAT32_ADD_PJ + FLOAT32_MULTIPLY_PJ)
    return Cost(
        multiplications=sum(item.multiplications for item in operations),
        additions=sum(item.additions for item in operations),
        parameter_bits=sum(bits),
        energy_pj=round(energy, 4),
        energy_block_ram_pj=round(energy + sum(map(_words, bits)) * BLOCK_RAM_READ_PJ, 4),
        energy_sram_pj=round(energy + _words(sum(bits)) * SRAM_READ_PJ, 4),
        energy_dram_pj=round(energy + _words(sum(bits)) * DRAM_READ_PJ, 4),
        energy_float32_pj=round(float32, 4),
        energy_float32_block_ram_pj=round(float32 + parameters * BLOCK_RAM_READ_PJ, 4),
        energy_float32_sram_pj=round(float32 + parameters * SRAM_READ_PJ, 4),
        energy_float32_dram_pj=round(float32 + parameters * DRAM_READ_PJ, 4),
    )


def memory_figures(cost: Cost, memory_bits: int) -> dict[str, float]:
    """What a core with its weights in memory adds to its summary: their bits, and what it costs to read all of them.

    ``energy_on_chip_pj`` is ``cost.energy_pj`` and a read of every 32 bits of the core's own block RAMs, as they are
    filled; beside it the same network in float32, its weights read from block RAM, SRAM and DRAM.
    """
    return {
        "memory_bits": memory_bits,
        "energy_on_chip_pj": round(cost.energy_pj + _words(memory_bits) * BLOCK_RAM_READ_PJ, 4),
        "energy_float32_block_ram_pj": cost.energy_float32_block_ram_pj,
        "energy_float32_sram_pj": cost.energy_float32_sram_pj,
        "energy_float32_dram_pj": cost.energy_float32_dram_pj,
    }


def _operations(layer: Layer, method: str, low: int, high: int) -> _Operations:
    """Of one layer whose inputs are integers from ``low`` to ``high``."""
    if METHODS[method].shares_weights:
        units = [_shared_unit(row, int(bias), low, high, layer) for row, bias in _units(layer)]
        return _Operations(*map(sum, zip(*units, strict=True)))
    multiplies = METHODS[method].multiplies
    product = _pick(MULTIPLY_PJ, max(_width(layer.weight), _bits(low, high))) if multiplies else 0.0
    counts = [int(np.count_nonzero(row)) for row, _ in _units(layer)]
    sums = [_pick(ADD_PJ, _sum_bits(row, int(bias), low, high)) for row, bias in _units(layer)]
    additions = sum(counts)
    energy = sum(count * price for count, price in zip(counts, sums, strict=True)) + additions * product
    return _Operations(additions if multiplies else 0, additions, energy)


def _shared_unit(row: IntArray, bias: int, low: int, high: int, layer: Layer) -> _Operations:
    """A unit of shared weights: m inputs of one weight take m - 1 additions and one product, and each product one."""
    _, members = np.unique(row[row != 0], return_counts=True)
    energy, total, weight_bits = 0.0, _pick(ADD_PJ, _sum_bits(row, bias, low, high)), _width(layer.weight)
    for count in members.tolist():
        sum_bits = _bits(count * low, count * high)
        energy += (count - 1) * _pick(ADD_PJ, sum_bits) + _pick(MULTIPLY_PJ, max(weight_bits, sum_bits)) + total
    return _Operations(len(members), int(members.sum()), energy)


def _units(layer: Layer) -> Iterator[tuple[IntArray, IntArray]]:
    return zip(layer.weight, layer.bias, strict=True)


def _parameter_bits(layer: Layer, spec: PolicySpec) -> int:
    n, bias = layer.weight.size, layer.bias.size * _width(layer.bias)
    if METHODS[spec.method].shares_weights:
        values = len(np.unique(layer.weight))
        return n * math.ceil(math.log2(max(values, 2))) + values * spec.bits + bias
    if METHODS[spec.method].removes_weights:
        return int(np.count_nonzero(layer.weight)) * spec.bits + n + bias  # one bit says which survive
    return n * weight_bits(spec) + bias


def _sum_bits(row: IntArray, bias: int, low: int, high: int) -> int:
    """Width of a unit's sum."""
    return (int(np.abs(row).sum()) * max(abs(low), high) + abs(bias)).bit_length() + 1


def _bits(low: int, high: int) -> int:
    """Width of integers from ``low`` to ``high``; without a sign where none is needed."""
    return high.bit_length() if low >= 0 else 1 + max((-low - 1).bit_length(), high.bit_length())


def _words(bits: int) -> int:
    return math.ceil(bits / WORD_BITS)


def _width(values: IntArray) -> int:
    return int(max(abs(int(values.min())), int(values.max()))).bit_length() + 1


def _pick(table: dict[int, float], bits: int) -> float:
    return table[min((width for width in table if width >= bits), default=max(table))]
