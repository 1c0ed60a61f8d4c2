from __future__ import annotations

import numpy as np
import pytest

from hls4rl.contract import FixedPoint, IntArray, Sign
from hls4rl.hls_projects.cost import ADD_PJ, MULTIPLY_PJ, TABLE_I, cost
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


def test_a_shared_weight_multiplies_the_sum_of_its_inputs() -> None:
    found = cost(network([[7, 7, 9], [9, 9, 9]], FixedPoint(8, 3, signed=False)), spec("compression"))
    # Inputs are signed, of 8 bits. Unit 1: 7·(x0 + x1) + 9·x2: one sum of 9 bits (0.05 pJ), whose product takes the
    # 32-bit multiplier (3.1; Table I has none of 16), and one product of 8 bits (0.2). Unit 2: 9·(x0 + x1 + x2): two
    # additions to 10 bits (0.05 each), one product (3.1). Each output: two activations of 8 bits, their sum of 9 bits
    # (0.05), one product (3.1). Each product is added at the unit's own width: 23·128 and 27·128 need 13 bits (0.05),
    # an output's 2·255 needs 10 (0.05).
    hidden = (0.05 + 3.1 + 0.2 + 2 * 0.05) + (2 * 0.05 + 3.1 + 0.05)
    output = 2 * (0.05 + 3.1 + 0.05)
    assert found.energy_pj == pytest.approx(hidden + output)


def test_an_adder_is_as_wide_as_its_own_unit() -> None:
    found = cost(network([[1, -1, 0], [100, 100, 100]], FixedPoint(8, 3, signed=False)), spec("pruning"))
    # Unit 1 sums to at most 2·128 (10 bits, 0.05 pJ an addition), unit 2 to 300·128 = 38400 (17 bits, 0.1); outputs to
    # 2·255 (10 bits). Nine products of 8 bits.
    assert found.energy_pj == pytest.approx(2 * 0.05 + 3 * 0.1 + 4 * 0.05 + 9 * 0.2)


def test_memory_is_charged_to_every_policy_where_its_weights_lie() -> None:
    found = cost(network([[10, 20, 30], [40, 50, 60]], FixedPoint(8, 3, signed=False)), spec("fp"))
    # Hidden layer: 6·8 bits and two biases of 1 bit are 50 bits, two words; output: 34 bits, two words. Together 84
    # bits, three words.
    assert found.energy_block_ram_pj - found.energy_pj == pytest.approx(4 * 5)
    assert found.energy_sram_pj - found.energy_pj == pytest.approx(3 * 5)
    assert found.energy_dram_pj - found.energy_pj == pytest.approx(3 * 640)
    arithmetic = 10 * (0.9 + 3.7)  # float32: 10 weights, and 14 parameters of one word each
    assert found.energy_float32_pj == pytest.approx(arithmetic)
    assert found.energy_float32_block_ram_pj == found.energy_float32_sram_pj == pytest.approx(arithmetic + 14 * 5)
    assert found.energy_float32_dram_pj == pytest.approx(arithmetic + 14 * 640)


def test_pong_is_fifty_times_dearer_in_float32_from_the_same_memory() -> None:
    # 6400×128 and 128×3 binary weights: 819,584 bits, 25,612 words of 32 bits: 128 nJ of reads. Additions: 819,200 at
    # 16 bits (0.05 pJ) and 384 at 8 or 16 bits: 41 nJ. Together 169 nJ. In float32 819,584·(4.6 + 5) pJ = 7.87 µJ from
    # SRAM: 47 times as much, and not the 3,100 times of float32 from DRAM (528 µJ) over weights in SRAM.
    weights = 6400 * 128 + 128 * 3
    assert weights * (4.6 + 5) / 1e6 == pytest.approx(7.87, abs=0.01)
    hidden: IntArray = np.ones((128, 6400), dtype=np.int64)
    output: IntArray = np.ones((3, 128), dtype=np.int64)
    found = cost(IntegerNetwork(FixedPoint(2, 2), (
        Layer(hidden, 1.0, np.zeros(128, dtype=np.int64), 1.0, Sign()),
        Layer(output, 1.0, np.zeros(3, dtype=np.int64), 1.0, None),
    )), PolicySpec("pong", "binarynet", hidden=128, seed=0))
    assert found.energy_float32_sram_pj / found.energy_sram_pj == pytest.approx(46.5, abs=1.5)


def test_table_1_is_the_papers() -> None:
    assert ADD_PJ == {8: 0.03, 16: 0.05, 32: 0.1}
    assert MULTIPLY_PJ == {8: 0.2, 32: 3.1}
    assert [area for _, _, area in TABLE_I if area] == [36, 67, 137, 1360, 4184, 282, 3495, 1640, 7700]
