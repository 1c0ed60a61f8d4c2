"""QONNX's two quantisers as operators of ONNX's reference evaluator, in float64.

QONNX's own executor casts every quantiser's result to float32 and starts an ONNX Runtime session for each
node: its 24-bit mantissa is too narrow for 16-bit networks, and a batch costs tens of milliseconds. Here
ONNX's evaluator walks the graph and QONNX's own functions do the rounding, on float64 throughout.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.quant import quant

from hls4rl.contract import FloatArray

QONNX_DOMAIN = "qonnx.custom_op.general"


class Quant(OpRun):  # type: ignore[misc]
    """Integers of a fixed width; the evaluator finds the operator by the class's name."""

    op_domain = QONNX_DOMAIN

    def _run(
        self, x: FloatArray, scale: FloatArray, zero: FloatArray, bits: FloatArray,
        signed: int | None = None, narrow: int | None = None, rounding_mode: str | None = None,
    ) -> tuple[FloatArray]:
        signed, narrow = 1 if signed is None else signed, narrow or 0
        return (np.asarray(quant(x, scale, zero, np.float64(bits.item()), signed, narrow, rounding_mode or "ROUND")),)


class BipolarQuant(OpRun):  # type: ignore[misc]
    """±scale, sign(0) = +1."""

    op_domain = QONNX_DOMAIN

    def _run(self, x: FloatArray, scale: FloatArray) -> tuple[FloatArray]:
        return (np.asarray(binary_quant(x, scale)),)


OPERATORS = [Quant, BipolarQuant]


def fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` whose initialisers are float64, with all nodes on constants computed."""
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph = folded.graph
    constants = {item.name: numpy_helper.to_array(item).astype(np.float64) for item in graph.initializer}
    kept = []
    for node in graph.node:
        if all(name in constants for name in node.input):
            constants.update(_compute(node, folded, constants))
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(constants[name], name) for name in sorted(used & constants.keys()))
    for value in (*graph.input, *graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return folded


def evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    """ONNX's reference evaluator for ``model``, QONNX's quantisers included."""
    return ReferenceEvaluator(model, new_ops=OPERATORS)


def _compute(node: onnx.NodeProto, model: onnx.ModelProto, constants: dict[str, Any]) -> dict[str, NDArray[Any]]:
    unknown = onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=onnx.TensorProto.DOUBLE))
    graph = onnx.helper.make_graph(
        [node], "constant",
        [onnx.ValueInfoProto(name=name, type=unknown) for name in node.input],
        [onnx.ValueInfoProto(name=name, type=unknown) for name in node.output],
    )
    single = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    results = evaluator(single).run(None, {name: constants[name] for name in node.input})
    return dict(zip(node.output, results, strict=True))
