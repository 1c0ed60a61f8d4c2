"""Scales that are no powers of two at 8 bits: a multiplier behind the sum, equal in every backend."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from fuzz.conversion import files_keep_the_integers, rtl_keeps_the_integers
from imported_models import QonnxGraph

from hls4rl.contract import CONTINUOUS, FixedPoint, IntArray, MultiplyShift
from hls4rl.export.check import MismatchError, check_observations
from hls4rl.export.imported.folding import _prove
from hls4rl.export.imported.original import Original
from hls4rl.network import IntegerNetwork, Layer, activate, plain


def eight_bits(seed: int = 0, hidden: int = 6, **options: object) -> QonnxGraph:
    """5 features, learned scales, biases that nobody quantised, hidden activations of 8 bits."""
    rng = np.random.default_rng(seed)
    graph = QonnxGraph(5).quant(0.0157, 8.0)
    for inputs in (5, hidden):
        graph.dense(rng.normal(size=(inputs, hidden)), 0.0047, 8.0, rng.normal(size=hidden) * 0.2)
        graph.quant(0.0129, 8.0, **options)
    return graph.dense(rng.normal(size=(hidden, 3)), 0.0035, 8.0, rng.normal(size=3) * 0.2)


def random_requantiser(rng: np.random.Generator, outputs: int) -> MultiplyShift:
    output = FixedPoint(int(rng.integers(2, 9)), int(rng.integers(2, 9)), bool(rng.integers(2)))
    limits = np.sort(rng.integers(output.minimum, output.maximum, size=2, endpoint=True))
    low, high = (output.minimum, output.maximum) if rng.random() < 0.5 else (int(limits[0]), int(limits[1]))
    bits, shift = int(rng.integers(3, 32)), int(rng.integers(0, 34))
    multiplier = rng.integers(0, 1 << bits, size=outputs)
    addend = rng.integers(-(1 << min(bits + 8, 36)), 1 << min(bits + 8, 36), size=outputs)
    return MultiplyShift(tuple(multiplier.tolist()), tuple(addend.tolist()), shift, output, low, high)


def random_network(seed: int) -> IntegerNetwork:
    rng = np.random.default_rng(seed)
    sizes = [int(size) for size in rng.integers(1, 5, size=3)]
    layers, inputs, lsb = [], sizes[0], 0.25
    for outputs in sizes[1:]:
        weight = rng.integers(-7, 8, size=(outputs, inputs))
        bias, kind = rng.integers(-9, 10, size=outputs), random_requantiser(rng, outputs)
        layers.append(Layer(weight, 0.5, bias, lsb * float(rng.choice([0.25, 0.5, 1.0])), kind))
        inputs, lsb = outputs, kind.lsb
    layers.append(Layer(rng.integers(-7, 8, size=(2, inputs)), 1.0, np.zeros(2, dtype=np.int64), lsb, None))
    return IntegerNetwork(FixedPoint(4, 2), tuple(layers))


def every_row(network: IntegerNetwork) -> IntArray:
    return check_observations(network.input, network.features)[:300]


@pytest.mark.parametrize("seed", range(40))
def test_plain_layers_are_the_same_function(seed: int) -> None:
    network = random_network(seed)
    rows, other = every_row(network), plain(network)
    assert all(not isinstance(layer.activation, MultiplyShift) for layer in other.layers)
    assert other.logit_lsb == network.logit_lsb
    assert np.array_equal(network.infer(rows), other.infer(rows))


def test_multiply_shift_by_the_definition() -> None:
    kind = MultiplyShift((3, 5), (-7, 4), 2, FixedPoint(4, 4), -5, 6)
    sums = np.arange(-40, 40)[:, None].repeat(2, axis=1)
    for total, row in zip(range(-40, 40), activate(sums, 1.0, kind), strict=True):
        exact = [Fraction(m * total + c, 4).__floor__() for m, c in ((3, -7), (5, 4))]
        assert row.tolist() == [min(max(item, -5), 6) for item in exact]


@pytest.mark.parametrize("options", [{}, {"signed": 0}, {"narrow": 1}])
def test_learned_scales_at_eight_bits(options: dict[str, object], tmp_path: Path) -> None:
    original = Original.load(eight_bits(**options).save(tmp_path / "model.onnx"))
    assert original.folded.ways == ("multiply-shift", "multiply-shift")
    assert original.judged(500).undecided == 0


def test_a_requantiser_that_is_wrong_at_one_sum_is_seen() -> None:
    steps = np.array([[-3, 2, 9]])
    good = MultiplyShift((1,), (0,), 0, FixedPoint(2, 2), -2, 1)
    with pytest.raises(AssertionError, match="output 0 has another level than the graph"):
        _prove(good, steps, np.array([-10]), np.array([10]))
    wide, last = np.array([[-(1 << 39), 0, 1 << 39]]), np.array([1 << 40])
    _prove(MultiplyShift((1,), (0,), 39, FixedPoint(2, 2), -2, 1), wide, -last, last)
    with pytest.raises(AssertionError, match="output 0 has another level than the graph"):
        _prove(MultiplyShift((1,), (1,), 39, FixedPoint(2, 2), -2, 1), wide, -last, last)


def test_hard_tanh_at_eight_bits(tmp_path: Path) -> None:
    graph = eight_bits()
    rng = np.random.default_rng(1)
    graph = QonnxGraph(3).quant(0.0157, 8.0).dense(rng.normal(size=(3, 4)), 0.0047, 8.0, rng.normal(size=4) * 0.2)
    graph.node("Clip", -1.0, 1.0).quant(1 / 127, 8.0).dense(rng.normal(size=(4, 2)), 0.0035, 8.0)
    original = Original.load(graph.save(tmp_path / "model.onnx"))
    assert original.folded.ways == ("multiply-shift",)
    kind = original.folded.network.layers[0].activation
    assert isinstance(kind, MultiplyShift)
    assert (kind.low, kind.high) == (-127, 127)
    original.judged(500)


@pytest.mark.parametrize("seed", range(3))
def test_files_and_traces_keep_the_integers(seed: int) -> None:
    files_keep_the_integers(plain(random_network(seed)))
    rtl_keeps_the_integers(plain(random_network(seed)))


@pytest.mark.parametrize("quantised", [False, True])
def test_continuous_outputs_are_the_model_s_own(quantised: bool, tmp_path: Path) -> None:
    graph = eight_bits(seed=2)
    original = Original.load((graph.quant(0.01, 8.0) if quantised else graph).save(tmp_path / "model.onnx"), None, True)
    original.judged(300)
    network, rows = original.folded.network, every_row(original.folded.network)
    assert network.output == CONTINUOUS
    results = original.infer(rows)
    assert np.array_equal(plain(network).act(rows), results)
    values = [[float(value * int(item) + base) for item, (value, base) in zip(row, original.folded.values, strict=True)]
              for row in results]
    assert np.allclose(original.outputs(results), values, rtol=1e-12)


def test_the_judge_sees_a_wrong_continuous_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Original.load(eight_bits(seed=2).save(tmp_path / "model.onnx"), None, True)
    right = Original.infer
    monkeypatch.setattr(Original, "infer", lambda self, rows: right(self, rows) + (rows[:, :1] == 3))
    with pytest.raises(MismatchError, match="the integers differ from the model on"):
        original.judged(300)
