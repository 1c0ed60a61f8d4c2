from __future__ import annotations

import numpy as np
import pytest

from hls4rl.contract import FixedPoint, IntArray, Sign
from hls4rl.hls_projects.cost import cost
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.policy import PolicySpec


def network(weight: list[list[int]], activation: FixedPoint | Sign) -> IntegerNetwork:
    hidden = np.array(weight, dtype=np.int64)
    units = len(hidden)
    output: IntArray = np.ones((2, units), dtype=np.int64)
    return IntegerNetwork(FixedPoint(8, 1), (
        Layer(hidden, 2.0**-5, np.zeros(units, dtype=np.int64), 2.0**-12, activation),
        Layer(output, 2.0**-5, np.zeros(2, dtype=np.int64), 2.0**-10, None),
    ))


def spec(method: str) -> PolicySpec:
    return PolicySpec("cartpole", method, hidden=2, seed=0)


def test_full_precision_multiplies_once_a_weight() -> None:
    found = cost(network([[10, 20, 30], [40, 50, 60]], FixedPoint(8, 3, signed=False)), spec("fp"))
    assert (found.multiplications, found.additions) == (10, 10)
    # 10 weights of 8 bits; each of the four biases is 0, a number of one bit.
    assert found.parameter_bits == 10 * 8 + 4
    # Table I: sums below 2^15 need 16-bit additions (0.05 pJ), 8-bit multiplications cost 0.2 pJ.
    assert found.energy_pj == pytest.approx(10 * 0.2 + 10 * 0.05)


def test_binary_weights_multiply_never() -> None:
    found = cost(network([[1, -1, 1], [-1, -1, 1]], Sign()), spec("binarynet"))
    assert (found.multiplications, found.additions) == (0, 10)
    # The hidden sums reach 3·128 (16 bits), those of the output 2 (8 bits).
    assert found.energy_pj == pytest.approx(6 * 0.05 + 4 * 0.03)


def test_a_pruned_weight_costs_nothing() -> None:
    found = cost(network([[10, 0, 0], [0, 50, 0]], FixedPoint(8, 3, signed=False)), spec("pruning"))
    assert (found.multiplications, found.additions) == (6, 6)


def test_shared_weights_multiply_once_a_value() -> None:
    found = cost(network([[7, 7, 9], [9, 9, 9]], FixedPoint(8, 3, signed=False)), spec("compression"))
    # Two values in the first unit, one in the second, one in each of the two outputs.
    assert (found.multiplications, found.additions) == (5, 10)
    # Hidden layer: an index of one bit a weight and two centroids; output: as one value has no index bits, one.
    assert found.parameter_bits == (6 + 2 * 8 + 2) + (4 + 8 + 2)


def test_float32_with_memory_costs_what_the_paper_says() -> None:
    found = cost(network([[1, 2, 3], [4, 5, 6]], FixedPoint(8, 3, signed=False)), spec("fp"))
    arithmetic = 10 * (0.9 + 3.7)
    assert found.energy_float32_sram_pj == pytest.approx(arithmetic + 14 * 5)
    assert found.energy_float32_dram_pj == pytest.approx(arithmetic + 14 * 640)
