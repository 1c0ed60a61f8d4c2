"""Integer network → QONNX, in the form that every flow from here on reads: power-of-two scales, one chain."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hls4rl.contract import FixedPoint, FloatArray, IntArray, Sign, Table
from hls4rl.export.lowering import IR_VERSION, OPSET
from hls4rl.export.operators import QONNX_DOMAIN
from hls4rl.network import IntegerNetwork, plain


def network_model(network: IntegerNetwork) -> onnx.ModelProto:
    """The QONNX graph that :func:`hls4rl.export.graph.read_network` reads back as ``plain(network)``.

    Weights have up to 24 significant bits (they lie in float32), biases up to 32 bits.
    """
    return _Graph().model(plain(network))


class _Graph:
    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self, network: IntegerNetwork) -> onnx.ModelProto:
        self._quant("observation", "x0", network.input, network.input.lsb, "ROUND", "input")
        tensor = "x0"
        for index, layer in enumerate(network.layers):
            last = index == len(network.layers) - 1
            sums, output = f"sums{index}", "logits" if last else f"x{index + 1}"
            weight = self._parameter(f"weight{index}", layer.weight, layer.weight_lsb)
            bias = self._parameter(f"bias{index}", layer.bias, layer.bias_lsb)
            self._node("Gemm", [tensor, weight, bias], sums if layer.activation else output, f"layer{index}", transB=1)
            kind = layer.activation
            if isinstance(kind, Sign):
                self._node("BipolarQuant", [sums, self._constant(f"scale{index}", 1.0)], output, f"sign{index}",
                           domain=QONNX_DOMAIN)
            elif isinstance(kind, Table):
                self._table(sums, output, kind, layer.rounding, f"table{index}")
            elif isinstance(kind, FixedPoint):
                self._cut(sums, output, kind, layer.rounding, f"activation{index}")
            tensor = output
        graph = helper.make_graph(
            self._nodes, "policy",
            [helper.make_tensor_value_info("observation", TensorProto.FLOAT, [1, network.features])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, network.outputs])],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(QONNX_DOMAIN, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hls4rl")

    def _cut(self, source: str, output: str, kind: FixedPoint, rounding: str, name: str) -> None:
        if not kind.signed:
            self._node("Relu", [source], f"{name}_relu", f"{name}_relu")
            source = f"{name}_relu"
        self._quant(source, output, kind, kind.lsb, rounding, name)

    def _table(self, source: str, output: str, kind: Table, rounding: str, name: str) -> None:
        """Cut, then look (x / lsb - minimum) up, and say the type of what was found."""
        self._cut(source, f"{name}_cut", kind.input, rounding, f"{name}_input")
        values = self._constant(f"{name}_values", np.array(kind.values, dtype=np.float64) * kind.lsb)
        lsb, lowest = (
            self._constant(f"{name}_{key}", value)
            for key, value in (("lsb", kind.input.lsb), ("lowest", float(kind.input.minimum)))
        )
        self._node("Div", [f"{name}_cut", lsb], f"{name}_steps", f"{name}_steps")
        self._node("Sub", [f"{name}_steps", lowest], f"{name}_place", f"{name}_place")
        self._node("Cast", [f"{name}_place"], f"{name}_index", f"{name}_index", to=TensorProto.INT64)
        self._node("Gather", [values, f"{name}_index"], f"{name}_found", f"{name}_found", axis=0)
        self._quant(f"{name}_found", output, kind.output, kind.lsb, "ROUND", name)

    def _parameter(self, name: str, integers: IntArray, lsb: float) -> str:
        bits = max(2, 1 + max(int(np.abs(integers).max(initial=0)).bit_length(), 1))
        stored = self._constant(f"{name}_values", integers.astype(np.float64) * lsb)
        self._quant(stored, name, FixedPoint(min(bits, 32), min(bits, 32)), lsb, "ROUND", name)
        return name

    def _quant(self, source: str, output: str, kind: FixedPoint, lsb: float, rounding: str, name: str) -> None:
        constants = [
            self._constant(f"{name}_{key}", value)
            for key, value in (("scale", lsb), ("zero_point", 0.0), ("bits", float(kind.bits)))
        ]
        self._node("Quant", [source, *constants], output, f"{name}_quant", domain=QONNX_DOMAIN,
                   signed=int(kind.signed), narrow=0, rounding_mode=rounding)

    def _constant(self, name: str, value: float | FloatArray) -> str:
        self._constants.append(numpy_helper.from_array(np.array(value, dtype=np.float32), name))
        return name

    def _node(self, kind: str, inputs: list[str], output: str, name: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
