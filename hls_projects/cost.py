"""What one action costs in operations, parameter bits and energy, by the paper's Table I (45 nm class)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hls4rl.contract import FixedPoint, IntArray
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.policy import PolicySpec

ADD_PJ = {8: 0.03, 16: 0.05, 32: 0.1}
"""Integer addition by width in bits, pJ (Table I)."""
MULTIPLY_PJ = {8: 0.2, 32: 3.1}
"""Integer multiplication by width in bits, pJ; Table I has none of 16 bits, which counts as 32."""
FLOAT32_ADD_PJ = 0.9
FLOAT32_MULTIPLY_PJ = 3.7
SRAM_READ_PJ = 5.0
"""One 32-bit word from an 8 KB SRAM, pJ (Table I)."""
DRAM_READ_PJ = 640.0
"""One 32-bit word from DRAM, pJ (Table I)."""


@dataclass(frozen=True)
class Cost:
    """Cost of one action of one policy."""

    multiplications: int
    additions: int
    parameter_bits: int
    energy_pj: float
    """Arithmetic alone: the weights are constants in the logic, so that nothing is fetched."""
    energy_float32_sram_pj: float
    """The same network in float32 with each parameter read from SRAM once."""
    energy_float32_dram_pj: float
    """The same network in float32 with each parameter read from DRAM once: the paper's own argument."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)


def cost(network: IntegerNetwork, spec: PolicySpec) -> Cost:
    """Count the operations of ``network`` as ``spec``'s method performs them.

    Binary and ternary weights need no multiplication. A compressed layer first adds the inputs that share a weight and
    multiplies once for each distinct value of a unit. A pruned weight costs nothing. Each remaining weight
    costs one addition: a unit's n products and its bias make n additions.
    """
    multiplications = additions = bits = weights = 0
    energy = 0.0
    inputs: FixedPoint | None = network.input
    for layer in network.layers:
        multiply = _multiplications(layer, spec.method)
        add = int(np.count_nonzero(layer.weight))
        multiplications += multiply
        additions += add
        weights += layer.weight.size + layer.bias.size
        energy += add * _pick(ADD_PJ, _accumulator_bits(layer, inputs))
        energy += multiply * _pick(MULTIPLY_PJ, max(_width(layer.weight), inputs.bits if inputs else 1))
        bits += _parameter_bits(layer, spec)
        inputs = layer.activation if isinstance(layer.activation, FixedPoint) else None
    dense = weights - sum(layer.bias.size for layer in network.layers)
    arithmetic = dense * (FLOAT32_ADD_PJ + FLOAT32_MULTIPLY_PJ)
    return Cost(
        multiplications=multiplications,
        additions=additions,
        parameter_bits=bits,
        energy_pj=round(energy, 4),
        energy_float32_sram_pj=round(arithmetic + weights * SRAM_READ_PJ, 4),
        energy_float32_dram_pj=round(arithmetic + weights * DRAM_READ_PJ, 4),
    )


def memory_figures(cost: Cost, memory_bits: int) -> dict[str, float]:
    """What a core with its weights in memory adds to its summary: their bits, and what it costs to read all of them.

    ``energy_on_chip_pj`` is ``cost.energy_pj`` and a read of every 32 bits from on-chip memory, as Table I has it; the
    paper's own argument stands beside it: the same network in float32, its weights read from SRAM or from DRAM.
    """
    return {
        "memory_bits": memory_bits,
        "energy_on_chip_pj": round(cost.energy_pj + math.ceil(memory_bits / 32) * SRAM_READ_PJ, 4),
        "energy_float32_sram_pj": cost.energy_float32_sram_pj,
        "energy_float32_dram_pj": cost.energy_float32_dram_pj,
    }


def _multiplications(layer: Layer, method: str) -> int:
    if method in ("binaryconnect", "binarynet", "ternary"):
        return 0
    if method == "compression":
        return sum(len(np.unique(row[row != 0])) for row in layer.weight)
    return int(np.count_nonzero(layer.weight))


def _parameter_bits(layer: Layer, spec: PolicySpec) -> int:
    n, bias = layer.weight.size, layer.bias.size * _width(layer.bias)
    if spec.method in ("binaryconnect", "binarynet"):
        return n + bias
    if spec.method == "ternary":
        return 2 * n + bias
    if spec.method == "compression":
        values = len(np.unique(layer.weight))
        return n * math.ceil(math.log2(max(values, 2))) + values * spec.bits + bias
    if spec.method == "pruning":
        return int(np.count_nonzero(layer.weight)) * spec.bits + n + bias  # one bit says which survive
    return n * spec.bits + bias


def _accumulator_bits(layer: Layer, inputs: FixedPoint | None) -> int:
    largest = max(abs(inputs.minimum), inputs.maximum) if inputs else 1
    bound = np.abs(layer.weight).sum(axis=1) * largest + np.abs(layer.bias)
    return int(bound.max()).bit_length() + 1


def _width(values: IntArray) -> int:
    return int(max(abs(int(values.min())), int(values.max()))).bit_length() + 1


def _pick(table: dict[int, float], bits: int) -> float:
    return table[min((width for width in table if width >= bits), default=max(table))]
