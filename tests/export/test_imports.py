"""What users' graphs do that went wrong once: each comes out as the graph says, or is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from imported_models import QonnxGraph, brevitas_model
from onnx import TensorProto, helper, numpy_helper

import hls4rl.export.imported.constants
import hls4rl.export.imported.folding
import hls4rl.export.imported.operators
from hls4rl.contract import FixedPoint, read_type
from hls4rl.errors import ProjectError
from hls4rl.export.check import MismatchError
from hls4rl.export.imported.exact import Clip, Levels, Smooth, root
from hls4rl.export.imported.judge.court import _certain, _possible
from hls4rl.export.imported.judge.interval import Interval
from hls4rl.export.imported.judge.program import Program
from hls4rl.export.imported.original import Original


def start(features: int = 2, scale: float = 1.0, bits: float = 4.0, **options: Any) -> QonnxGraph:
    return QonnxGraph(features).quant(scale, bits, **options)


def dense(graph: QonnxGraph, weight: Any = ((1, -1), (1, 1)), bias: Any = None) -> QonnxGraph:
    return graph.dense(np.array(weight, dtype=np.float64), 1.0, 4.0, bias)


def cast(graph: QonnxGraph, kind: int) -> QonnxGraph:
    return graph.node("Cast", to=kind).node("Cast", to=TensorProto.FLOAT)


def judged(graph: QonnxGraph, folder: Path) -> Original:
    original = Original.load(graph.save(folder / "model.onnx"))
    original.judged(200)
    return original


def test_biases_on_grids_without_a_common_power_of_two(tmp_path: Path) -> None:
    graph = dense(start(scale=0.375), ((1, 1), (1, 1)), np.array([0.09375, 0.125]))
    original = judged(graph, tmp_path)
    rows = np.stack(np.meshgrid(*[np.arange(-8, 8)] * 2), -1).reshape(-1, 2)
    assert (np.argmax(original.infer(rows), axis=1) == 1).all()


def test_a_cast_to_integers_cuts_towards_zero(tmp_path: Path) -> None:
    graph = cast(dense(start().node("Mul", 0.5)), TensorProto.INT32).quant(1.0, 4.0)
    original = judged(dense(graph), tmp_path)
    # -1.5 becomes -1; ROUND alone would make it -2.
    logits = original.infer(np.array([[-2, -1]])) * float(original.folded.logit_value)
    assert logits.tolist() == [[-1, 1]]


READ: dict[str, Callable[[], QonnxGraph]] = {
    "batch normalisation over a bias": lambda: dense(
        dense(start(), bias=np.array([0.3, -1.2]))
        .node("BatchNormalization", [1.5, 0.7], [0.1, 0.2], [0.3, -0.4], [1.1, 0.6]).node("Relu").quant(0.5, 3.0)
    ),
    "a negative and a zero gamma": lambda: dense(
        dense(start()).node("BatchNormalization", [-1.5, 0.0], [0.1, 0.2], [0.3, -0.4], [1.1, 0.6]).quant(0.5, 3.0)
    ),
    "a variance of 0 with an epsilon": lambda: dense(
        dense(start()).node("BatchNormalization", [1.0, 1.0], [0.0, 0.0], [0.5, 0.0], [0.0, 1.0]).quant(64.0, 6.0)
    ),
    "a clip whose minimum lies above its maximum": lambda: dense(
        dense(start()).node("Clip", 2.0, -1.0).quant(1.0, 4.0), bias=np.array([0.5, 0.25])
    ),
    "IntQuant, another name of Quant": lambda: dense(
        dense(start()).node("IntQuant", 0.5, 0.0, 4.0, signed=1, narrow=0, rounding_mode="ROUND",
                            domain="qonnx.custom_op.general")
    ),
    "an older domain": lambda: dense(
        dense(start()).node("Quant", 0.5, 0.0, 4.0, signed=1, narrow=0, rounding_mode="ROUND", domain="onnx.brevitas")
    ),
    "HALF_UP": lambda: dense(dense(start()).node("Mul", 0.5).quant(1.0, 4.0, rounding="HALF_UP")),
    "a scale behind the quantiser": lambda: dense(dense(start()).quant(0.5, 4.0).node("Mul", [-0.5, 3.0])),
    "a clip behind the quantiser": lambda: dense(dense(start()).quant(0.5, 4.0).node("Clip", -1.0, 9.0)),
    "a clip behind it that leaves one value": lambda: dense(
        dense(start()).quant(0.5, 4.0).node("Clip", -9.0, -7.0), bias=np.array([0.5, 0.0])
    ),
    "functions before a tanh": lambda: dense(dense(start()).node("Relu").node("Tanh").node("Mul", 2.0).quant(0.5, 3.0)),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_read_acts_as_the_graph_does(name: str, tmp_path: Path) -> None:
    judged(READ[name](), tmp_path)


def residual(kind: str, scale: float, zero: float = 0.0, bits: float = 4.0, axis: int | None = None) -> QonnxGraph:
    """A layer whose own input, or another layer of it, meets its output."""
    graph = dense(start(), bias=np.array([0.3, -1.0])).node("Relu").quant(0.5, 4.0)
    before = graph.tensor
    dense(graph, ((1, 2), (-1, 1)), np.array([0.25, 0.5])).quant(scale, bits, zero=zero)
    options = {} if axis is None else {"axis": axis}
    graph.node(kind, before, **options)
    return dense(graph.quant(0.5, 4.0) if axis is None else graph, np.ones((4 if axis == 1 else 2, 2)) * ((1, -1),))


BRANCHES = {
    "a residual Add of equal scales": lambda: residual("Add", 0.5),
    "a residual Add of scales that go together": lambda: residual("Add", 0.125),
    "a residual Sub": lambda: residual("Sub", 0.25),
    "a Concat": lambda: residual("Concat", 0.3, axis=1),
    "a Trunc": lambda: dense(
        dense(start()).quant(0.5, 6.0).node("Trunc", 0.5, 0.0, 6.0, 4.0, rounding_mode="FLOOR",
                                            domain="qonnx.custom_op.general")
    ),
    "a Trunc with a scale of its own": lambda: dense(
        dense(start()).quant(0.5, 6.0).node("Trunc", 0.5, 0.0, 6.0, 2.0, 4.0, rounding_mode="ROUND", signed=1, narrow=0,
                                            domain="qonnx.custom_op.general")
    ),
    "a single result with a zero point": lambda: dense(dense(start()).quant(0.5, 4.0), ((1,), (-1,))).quant(
        0.5, 4.0, signed=0, zero=-2.0
    ),
    "a Softmax at the end": lambda: dense(start()).node("Softmax", axis=1),
    "QuantizeLinear and DequantizeLinear": lambda: qdq(),
}


def qdq() -> QonnxGraph:
    """8 bits with zero points, weights and an int32 bias through DequantizeLinear."""
    graph = QonnxGraph(2)
    for _ in range(2):
        scale, zero = graph.constant(0.05), graph.integer(-3 if graph.tensor != "obs" else 0, np.int8)
        graph.node("QuantizeLinear", scale, zero).node("DequantizeLinear", scale, zero)
        rng = np.random.default_rng(len(graph.tensor))
        weight, bias = rng.integers(-99, 99, size=(2, 2)), rng.integers(-2000, 2000, size=2)
        graph.node("MatMul", graph.beside("DequantizeLinear", graph.integer(weight, np.int8), graph.constant(0.01)))
        graph.node("Add", graph.beside("DequantizeLinear", graph.integer(bias, np.int32), graph.constant(0.0005)))
    return graph


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_and_other_dialects(name: str, tmp_path: Path) -> None:
    judged(BRANCHES[name](), tmp_path)


def test_branches_that_no_layer_holds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"Add_\d+' \(Add\) has weights of \d+ bits on their common grid"):
        judged(residual("Add", 0.001), tmp_path)
    with pytest.raises(ProjectError, match=r"stands beside a branch of more levels; quantise both to as many bits"):
        judged(residual("Add", 0.5, bits=3.0), tmp_path)


def test_an_observation_whose_type_is_named(tmp_path: Path) -> None:
    path = dense(dense(QonnxGraph(2).node("Sub", 0.5)).quant(0.5, 4.0)).save(tmp_path / "raw.onnx")
    with pytest.raises(ProjectError, match=r"INPUT='ap_fixed<16,6>'"):
        Original.load(path)
    original = Original.load(path, read_type("ap_fixed<6,3>"))
    assert original.input == FixedPoint(6, 3)
    assert original.judged(300).undecided == 0
    assert original.host(np.array([[0.49, -9.0]])).tolist() == [[4, -32]]
    for text in ("ap_fixed<99,6>", "float", "ap_fixed<16,6", "ap_int<8>"):
        with pytest.raises(ProjectError, match="is no type of an input; write ap_fixed<16,6>"):
            read_type(text)


REFUSED: dict[str, tuple[Callable[[], QonnxGraph], str]] = {
    "a cast to truth values": (
        lambda: dense(cast(dense(start()), TensorProto.BOOL).node("BipolarQuant", 1.0)), r"Cast_3' \(Cast\) casts to B"
    ),
    "a cast to half floats": (
        lambda: dense(cast(dense(start()), TensorProto.FLOAT16).quant(1.0, 4.0)), r"Cast_3' \(Cast\) casts to FLOAT16"
    ),
    "a division by 0": (
        lambda: dense(dense(start()).node("Div", [0.0, 0.0]).node("BipolarQuant", 1.0)), r"Div_3' \(Div\) divides by 0"
    ),
    "an observation that is cut": (
        lambda: dense(start(rounding="FLOOR")), r"Quant_0' \(Quant\) rounds the observation by FLOOR"
    ),
    "a cast before the observation's quantiser": (
        lambda: dense(cast(QonnxGraph(2), TensorProto.INT32).quant(1.0, 4.0)), r"Cast_0' \(Cast\) changes the obs"
    ),
    "training mode": (
        lambda: dense(dense(start()).node("BatchNormalization", *np.ones((4, 2)), training_mode=1).quant(0.5, 3.0)),
        r"BatchNormalization_3' \(BatchNormalization\) is in training mode",
    ),
    "a variance of 0": (
        lambda: dense(
            dense(start()).node("BatchNormalization", *np.ones((3, 2)), [0.0, 1.0], epsilon=0.0).quant(0.5, 3.0)
        ), r"BatchNormalization_3' \(BatchNormalization\) has a variance that is not positive",
    ),
    "somebody else's Quant": (
        lambda: dense(dense(start()).node("Quant", 0.5, 0.0, 4.0, domain="my.ops")), r"is of the domain 'my.ops'"
    ),
    "a sampling node": (lambda: dense(start()).node("RandomNormalLike"), r"RandomNormalLike_3'.*is not supported"),
    "an LSTM": (lambda: dense(start()).node("LSTM", np.ones((1, 8, 2)), np.ones((1, 8, 2))), r"LSTM_3'.*not supported"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_meaning_is_refused_by_name(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ProjectError, match=message) as caught:
        Original.load(make().save(tmp_path / "refused.onnx"))
    assert "\n" not in str(caught.value)


def altered(graph: QonnxGraph, path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(graph.save(path))
    change(model)
    onnx.save(model, path)
    return path


def listed_as_inputs(model: onnx.ModelProto) -> None:
    model.ir_version = 3
    model.graph.input.extend(
        helper.make_tensor_value_info(item.name, item.data_type, item.dims) for item in model.graph.initializer
    )


def as_constant_nodes(model: onnx.ModelProto) -> None:
    nodes = []
    for number, item in enumerate(model.graph.initializer):
        array = numpy_helper.to_array(item)
        options: dict[str, Any] = {"value": numpy_helper.from_array(array)}
        if array.ndim < 2 and number % 2:
            options = {"value_floats": array.tolist()} if array.ndim else {"value_float": float(array)}
        nodes.append(helper.make_node("Constant", [], [item.name], **options))
    del model.graph.initializer[:]
    nodes += list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def unnamed(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.name = ""


def without_batch(model: onnx.ModelProto) -> None:
    for item in (*model.graph.input, *model.graph.output):
        del item.type.tensor_type.shape.dim[0]


def stale_value_info(model: onnx.ModelProto) -> None:
    model.graph.value_info.append(helper.make_tensor_value_info("t9", TensorProto.FLOAT, [7, 9]))


@pytest.mark.parametrize("change", [listed_as_inputs, as_constant_nodes, unnamed, without_batch, stale_value_info])
def test_the_same_graph_written_otherwise(change: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    graph = dense(dense(start(), bias=np.array([0.3, -1.0])).node("Relu").quant(0.5, 3.0))
    rows = np.stack(np.meshgrid(*[np.arange(-8, 8)] * 2), -1).reshape(-1, 2)
    plain = Original.load(graph.save(tmp_path / "plain.onnx"))
    other = Original.load(altered(graph, tmp_path / "other.onnx", change))
    other.judged(200)
    assert np.array_equal(plain.infer(rows), other.infer(rows))


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, onnx.defs.onnx_opset_version()])
def test_opsets_from_9_to_the_newest(opset: int, tmp_path: Path) -> None:
    def dated(model: onnx.ModelProto) -> None:
        next(item for item in model.opset_import if not item.domain).version = opset
        clip = next(node for node in model.graph.node if node.op_type == "Clip")
        if opset < 11:  # its ends were attributes then
            del clip.input[1:]
            clip.attribute.extend([helper.make_attribute("min", -1.0), helper.make_attribute("max", 1.0)])

    graph = dense(dense(start(), bias=np.array([0.3, -1.0])).node("Clip", -1.0, 1.0).quant(0.25, 4.0))
    original = Original.load(altered(graph, tmp_path / "dated.onnx", dated))
    original.judged(200)
    plain = Original.load(graph.save(tmp_path / "plain.onnx"))
    rows = np.stack(np.meshgrid(*[np.arange(-8, 8)] * 2), -1).reshape(-1, 2)
    assert np.array_equal(original.infer(rows), plain.infer(rows))


def test_two_inputs_as_of_a_memory_that_is_kept_outside_are_named(tmp_path: Path) -> None:
    def two(model: onnx.ModelProto) -> None:
        model.graph.input.append(helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 2]))

    with pytest.raises(ProjectError, match=r"2 inputs \('obs', 'state'\); export the observation as the only one"):
        Original.load(altered(dense(start()), tmp_path / "two.onnx", two))


def test_two_outputs_are_named(tmp_path: Path) -> None:
    def two(model: onnx.ModelProto) -> None:
        model.graph.output.append(helper.make_tensor_value_info("t9", TensorProto.FLOAT, None))

    with pytest.raises(ProjectError, match=r"2 outputs \('t\d+', 't9'\); export the policy's alone"):
        Original.load(altered(dense(start()), tmp_path / "two.onnx", two))


def test_weights_in_another_file(tmp_path: Path) -> None:
    graph = dense(dense(start()).node("Relu").quant(0.5, 3.0))
    plain = graph.save(tmp_path / "plain.onnx")
    path = tmp_path / "outside" / "model.onnx"
    path.parent.mkdir()
    onnx.save(onnx.load(plain), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    original = Original.load(path)
    original.judged(200)
    rows = np.array([[1, 2], [-3, 4]])
    assert np.array_equal(original.infer(rows), Original.load(plain).infer(rows))
    (path.parent / "weights.bin").rename(tmp_path / "weights.bin")
    with pytest.raises(ProjectError, match=r"the weights lie in weights\.bin, which is missing; put it"):
        Original.load(path)
    model = onnx.load(path, load_external_data=False)
    for location in ("../weights.bin", str(tmp_path / "weights.bin")):
        for item in model.graph.initializer:
            next(entry for entry in item.external_data if entry.key == "location").value = location
        path.write_bytes(model.SerializeToString())
        with pytest.raises(ProjectError, match=r"lies in '.*weights\.bin', outside the model's folder"):
            Original.load(path)
    (path.parent / "weights.bin").write_bytes(b"\0")
    for item in model.graph.initializer:
        next(entry for entry in item.external_data if entry.key == "location").value = "weights.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ProjectError, match=r"weights\.bin: too short for tensor"):
        Original.load(path)


@pytest.mark.parametrize("opset", [18, 20])
def test_brevitas_default_exporter(opset: int, tmp_path: Path) -> None:
    path = brevitas_model("real bias", tmp_path / "new.onnx", dynamo=True, opset=opset)
    original = Original.load(path)
    original.judged(200)
    old = Original.load(brevitas_model("real bias", tmp_path / "old.onnx"))
    rows = np.random.default_rng(0).integers(-8, 8, size=(100, 3))
    assert np.array_equal(np.argmax(original.infer(rows), axis=1), np.argmax(old.infer(rows), axis=1))
    assert torch.__version__


# The judge itself

def faulty_grid(offsets: list[Fraction]) -> tuple[list[int], int, bool]:
    grid = max(item.denominator for item in offsets)
    return [int(item * grid) for item in offsets], grid.bit_length() - 1, True


def test_the_judge_sees_a_wrong_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hls4rl.export.imported.folding, "_on_a_grid", faulty_grid)
    graph = dense(start(scale=0.375), ((1, 1), (1, 1)), np.array([0.09375, 0.125]))
    with pytest.raises(MismatchError, match="the integers differ from the model on 256 of 256 integers"):
        judged(graph, tmp_path)


def test_the_judge_sees_a_cast_that_was_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hls4rl.export.imported.operators._OPERATORS, "Cast", lambda graph, node, tensor, first: tensor)
    for kind in (TensorProto.BOOL, TensorProto.INT32):
        graph = cast(dense(start().node("Mul", 0.5)), kind).quant(1.0, 4.0)
        with pytest.raises(MismatchError, match="the integers differ from the model on"):
            judged(dense(graph), tmp_path)


def test_the_judge_sees_a_host_that_rounds_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Original.load(dense(start(1), ((1, -1),), np.array([0.0, 1.0])).save(tmp_path / "model.onnx"))
    monkeypatch.setattr(Original, "host", lambda self, x: np.clip(np.floor(x), -8, 7).astype(np.int64))
    with pytest.raises(MismatchError, match="real observations, through the host's conversion"):
        original.judged(200)


def test_ties_that_float64_gets_wrong_are_settled_in_fractions(tmp_path: Path) -> None:
    # 0.3 and 0.1 + 0.2 are equal, and 0 is the action; in float64 the second is larger.
    graph = dense(start(3).node("Div", 10.0), ((0, 1), (0, 1), (1, 0)))
    original = Original.load(graph.save(tmp_path / "model.onnx"))
    verdict = original.judged(3000)
    assert verdict.rounded > 0
    assert verdict.undecided == 0


def test_possible_and_certain_actions() -> None:
    low, high = np.array([[0.0, 1.0], [0.0, 0.5], [1.0, 1.0]]), np.array([[0.5, 2.0], [0.6, 1.0], [1.0, 1.0]])
    assert _possible(np.array([0, 0, 0]), low, high).tolist() == [False, True, True]
    assert _possible(np.array([1, 1, 1]), low, high).tolist() == [True, True, False]
    assert _certain(np.array([1, 1, 0]), low, high).tolist() == [True, False, True]


def test_intervals_hold_what_they_enclose() -> None:
    tanh = helper.make_node("Tanh", ["x"], ["y"])
    graph = helper.make_graph(
        [tanh], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 5])],
    )
    program, given = Program(helper.make_model(graph)), np.array([[-40.0, -1e-9, 0.0, 0.3, 25.0]])
    floats, exact = program.run(given, False)[0], program.run(given, True)[0]
    assert isinstance(floats, Interval)
    for index in range(5):
        low, high = exact.low[0, index], exact.high[0, index]
        assert Fraction(floats.low[0, index]) <= low <= high <= Fraction(floats.high[0, index])
        assert high - low < Fraction(1, 10**60)
        ours = Smooth("Tanh")(Fraction(given[0, index]), Fraction(given[0, index]))
        assert ours[0] <= high
        assert low <= ours[1]


def test_roots_and_clips() -> None:
    assert root(Fraction(9, 16)) == (Fraction(3, 4), True)
    value, is_exact = root(Fraction(2))
    assert not is_exact
    assert abs(value * value - 2) < Fraction(1, 1 << 200)
    levels = Levels(-8, 7, "ROUND")
    assert levels.behind(Clip(Fraction(2), Fraction(-1))) == Levels(-1, -1, "ROUND")
    assert levels.cut(Clip(Fraction(-20), Fraction(-10)), Fraction(1), Fraction(0)) == Levels(-10, -10, "ROUND")
    assert levels.cut(Clip(Fraction(1, 2), None), Fraction(1), Fraction(0)) is None


def test_the_verdict_is_plain_data(tmp_path: Path) -> None:
    original = Original.load(dense(start()).save(tmp_path / "model.onnx"))
    assert json.dumps(vars(original.judged(50)))
