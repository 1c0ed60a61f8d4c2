from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from imported_models import BREVITAS, QonnxGraph, brevitas_model, keras_model
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.util.cleanup import cleanup_model

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import MismatchError, check_observations
from hls4rl.export.graph import read_network
from hls4rl.export.imported.exact import SIGN, Levels
from hls4rl.export.imported.folding import _least_sums
from hls4rl.export.imported.original import Original
from hls4rl.export.lowering import lower
from hls4rl.export.model_file import save_model
from hls4rl.export.network_writer import network_model
from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend
from hls4rl.export.qonnx_backend import QonnxBackend

WAYS = {
    "fixed point": {"shift"}, "floating scales": {"multiplier", "multiply-shift", "thermometer"},
    "real bias": {"multiplier", "multiply-shift"}, "per channel": {"multiplier", "multiply-shift"}, "binary": {"sign"},
    "tanh": {"thermometer", "multiplier", "multiply-shift"},
}


def observations(original: Original) -> IntArray:
    network = original.folded.network
    return check_observations(network.input, network.features)


def require_equal_files(original: Original, directory: Path) -> None:
    """The folded network, written, read back and run by two executors, gives the model's own integers."""
    network, rows = original.folded.network, observations(original)
    expected = Answer.of_logits(original.infer(rows))
    original.judged(200)
    properties = {"observation_lsb": repr(network.input.lsb), "logit_lsb": repr(network.logit_lsb)}
    save_model(network_model(network), directory / "folded.onnx", properties)
    save_model(lower(network_model(network)), directory / "lowered.onnx", properties)
    assert np.array_equal(read_network(directory / "folded.onnx").infer(rows), expected.logits)
    assert np.array_equal(QonnxBackend(directory / "folded.onnx").infer(rows).logits, expected.logits)
    assert np.array_equal(OnnxRuntimeBackend(directory / "lowered.onnx").infer(rows).logits, expected.logits)


@pytest.mark.parametrize("name", BREVITAS)
@pytest.mark.parametrize("seed", [0, 1])
def test_what_brevitas_exports_keeps_its_integers(name: str, seed: int, tmp_path: Path) -> None:
    original = Original.load(brevitas_model(name, tmp_path / "model.onnx", seed))
    require_equal_files(original, tmp_path)
    assert set(original.folded.ways) <= WAYS[name]


def test_what_qkeras_exports_keeps_its_integers(tmp_path: Path) -> None:
    original = Original.load(keras_model(tmp_path / "keras.onnx"))
    require_equal_files(original, tmp_path)
    assert original.folded.ways == ("thermometer", "shift")


@pytest.mark.parametrize("name", ["fixed point", "binary", "per channel"])
def test_qonnx_s_own_executor_says_the_same(name: str, tmp_path: Path) -> None:
    path = brevitas_model(name, tmp_path / "model.onnx", 3)
    original = Original.load(path)
    rows = observations(original)[:40]
    expected = original.infer(rows)
    model = cleanup_model(ModelWrapper(str(path)))
    unit, scale = float(original.folded.logit_value), float(original.exact.input.scale)
    for row, logits in zip(rows, expected, strict=True):
        answer = execute_onnx(model, {model.graph.input[0].name: (row[None] * scale).astype(np.float32)})
        assert np.rint(answer[model.graph.output[0].name][0] / unit).tolist() == logits.tolist()


def dense(graph: QonnxGraph, outputs: int = 2, **options: Any) -> QonnxGraph:
    rng = np.random.default_rng(5)
    width = graph._width
    return graph.dense(rng.integers(-7, 8, (width, outputs)) * 0.25, 0.25, 4.0, **options)


def start() -> QonnxGraph:
    return QonnxGraph(3).quant(0.5, 4.0)


ODD = {
    "a ceiling": lambda: dense(dense(start()).quant(0.7, 3.0, rounding="CEIL")),
    "a narrow range": lambda: dense(dense(start()).quant(0.5, 3.0, narrow=1)),
    "a narrow weight and a scale of its own": lambda: dense(dense(start()).node("Mul", 0.3).quant(0.11, 3.0)),
    "signs of one bit": lambda: dense(dense(start()).quant(0.3, 1.0)),
    "a falling batch normalisation": lambda: dense(
        dense(start()).node("BatchNormalization", [-1.5, 0.7], [0.1, 0.2], [0.3, -0.4], [1.1, 0.6])
        .node("Relu").quant(0.5, 3.0)
    ),
    "a factor of zero": lambda: dense(dense(start()).node("Mul", [0.0, -0.5]).quant(0.5, 3.0)),
    "relu after the quantiser": lambda: dense(dense(start()).quant(0.5, 4.0).node("Relu")),
    "a clip": lambda: dense(dense(start()).node("Clip", -1.0, 0.75).quant(0.25, 4.0)),
    "a sigmoid": lambda: dense(dense(start()).node("Sigmoid").quant(0.2, 4.0, signed=0)),
    "a subtraction and a division": lambda: dense(
        dense(start()).node("Sub", [0.3, -1.0]).node("Div", 3.0).quant(0.5, 3.0)
    ),
    "an output quantiser": lambda: dense(dense(start()).quant(0.5, 4.0)).quant(0.37, 5.0),
    "logits that never differ": lambda: dense(start().dense(np.zeros((3, 2)), 0.25, 4.0).quant(0.5, 4.0)),
    "no hidden layer": lambda: dense(start(), 4),
    "a zero point": lambda: dense(dense(start()).quant(0.5, 4.0, signed=0, zero=3.0)),
    "rounding towards zero": lambda: dense(dense(start()).quant(0.5, 4.0, rounding="DOWN")),
    "a scale an activation": lambda: dense(dense(start()).quant([0.5, 0.25], 4.0)),
    "scales an input": lambda: start().dense(np.ones((3, 2)), [[0.5], [0.25], [0.5]], 4.0),
    "weights that lie on a grid": lambda: start().node("MatMul", np.array([[1, -2], [3, 0.5], [0, 1]])),
    "one unit": lambda: dense(dense(start(), 1).node("Relu").quant(1.0, 1.0, signed=0), 2),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_models_keep_their_integers(name: str, tmp_path: Path) -> None:
    require_equal_files(Original.load(ODD[name]().save(tmp_path / "odd.onnx")), tmp_path)


REFUSED: dict[str, tuple[Callable[[], QonnxGraph], str]] = {
    "no input type": (lambda: dense(QonnxGraph(3)), r"MatMul_1' \(MatMul\) takes the raw observation.*QuantIdentity"),
    "an unknown node": (lambda: dense(start()).node("Softplus"), r"Softplus_3' \(Softplus\) is not supp"),
    "odd rounding": (lambda: dense(start()).quant(0.5, 4.0, rounding="AWAY"), r"rounds by AWAY; supported: ROUND"),
    "no quantiser between": (lambda: dense(dense(start()).node("Relu")), r"MatMul_5.*takes sums that no Quant has cut"),
    "no quantiser at the end": (lambda: dense(start()).node("Relu"), r"MatMul_2' ends in a function without a Quant"),
    "no function between": (lambda: dense(dense(start())), r"MatMul_4' \(MatMul\) takes sums that no Quant has cut"),
    "scales an output at the end": (
        lambda: start().dense(np.ones((3, 2)), [[0.5, 0.3]], 4.0), r"logits in units that differ from output to output"
    ),
    "real weights": (
        lambda: start().node("MatMul", np.random.default_rng(0).normal(size=(3, 2))), r"weights of \d+ bits on their"
    ),
    "too many steps": (
        lambda: dense(dense(start(), 8).node("Tanh").quant(2.0**-9, 10.0)), r"needs \d+ thresholds, more than 1024"
    ),
    "a negative scale": (lambda: dense(start()).quant(-0.5, 4.0), r"has scale -0.5; it must be positive"),
    "too many input bits": (lambda: dense(QonnxGraph(3).quant(0.5, 24.0)), r"24 bits; give the observation 16"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exact_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ProjectError, match=message) as caught:
        Original.load(make().save(tmp_path / "refused.onnx"))
    assert "\n" not in str(caught.value)


def test_a_flipped_weight_is_caught(tmp_path: Path) -> None:
    path = keras_model(tmp_path / "keras.onnx")
    original = Original.load(path)
    model = onnx.load(path)
    weight = next(item for item in model.graph.initializer if len(item.dims) == 2)
    values = onnx.numpy_helper.to_array(weight).copy()
    values[1, 2] = 3.0 - values[1, 2]
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    onnx.save(model, path)  # the executor reads the file again, the folded network is that of before
    with pytest.raises(MismatchError, match=r"the integers differ from the model on \d+ of \d+ integers, first on"):
        original.judged(200)


def test_levels_by_the_definition() -> None:
    rounded = [Levels(-2, 3, "ROUND").level(Fraction(n, 2)) for n in range(-7, 9)]
    assert rounded == [-2, -2, -2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2, 3, 3, 3]
    assert [Levels(-2, 3, "CEIL").level(Fraction(n, 2)) for n in (-9, -1, 0, 1, 9)] == [-2, 0, 0, 1, 3]
    assert [Levels(-1, 1, SIGN).level(Fraction(n)) for n in (-1, 0, 1)] == [-1, 1, 1]
    ties = [Fraction(n, 2) for n in (-3, -1, 1, 3)]
    assert [Levels(-9, 9, "HALF_UP").level(value) for value in ties] == [-2, -1, 1, 2]
    assert [Levels(-9, 9, "HALF_DOWN").level(value) for value in ties] == [-1, 0, 0, 1]
    assert [Levels(-9, 9, "UP").level(Fraction(n, 4)) for n in (-5, -1, 0, 1)] == [-2, -1, 0, 1]
    assert [Levels(-9, 9, "DOWN").level(Fraction(n, 4)) for n in (-5, -1, 3, 4)] == [-1, 0, 0, 1]


def test_least_sums_are_found_wherever_they_lie() -> None:
    steps = [-9, -9, -3, 0, 0, 1, 40, 41]
    found = _least_sums(lambda total: sum(total >= step for step in steps), 0, len(steps) + 2, -9, 41)
    assert found.tolist() == [*steps, 42, 42]
