"""QONNX → plain ONNX: standard operators only, so that any runtime gives the same integers.

QONNX's own lowering (to QuantizeLinear) knows neither floor rounding nor more than 8 bits, hence this one.
All tensors are float64, which holds every sum of products exactly.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hls4rl.errors import ProjectError
from hls4rl.export.operators import QONNX_DOMAIN, fold_constants

OPSET = 13
IR_VERSION = 8
_ROUNDING = {"ROUND": "Round", "FLOOR": "Floor", "CEIL": "Ceil"}
_STANDARD = ("Gemm", "MatMul", "Add", "Relu", "Sub", "Div", "Mul", "Cast", "Gather")


def lower(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` without QONNX operators: Quant → Div, Round or Floor, Clip, Mul; BipolarQuant → Where.

    The input and output keep their names and real-valued scales, become float64 and take any batch.

    Raises:
        ProjectError: the graph has an operator that isn't known here.
    """
    folded = fold_constants(model)
    graph = _Lowered(folded.graph)
    for node in folded.graph.node:
        if node.op_type == "Quant":
            graph.add_quant(node)
        elif node.op_type == "BipolarQuant":
            graph.add_bipolar_quant(node)
        elif node.op_type in _STANDARD and node.domain != QONNX_DOMAIN:
            graph.nodes.append(node)
        else:
            raise ProjectError(f"node '{node.name}' ({node.op_type}) has no counterpart in plain ONNX here")
    return graph.model()


class _Lowered:
    def __init__(self, source: onnx.GraphProto) -> None:
        self._source = source
        self._constants = {item.name: numpy_helper.to_array(item) for item in source.initializer}
        self.nodes: list[onnx.NodeProto] = []

    def add_quant(self, node: onnx.NodeProto) -> None:
        """Round(x / scale + zero), clip, (… − zero) × scale."""
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        zero, bits = (self._constants[name] for name in node.input[2:4])
        rounding = attributes["rounding_mode"].decode().upper()
        if rounding not in _ROUNDING or zero.any():
            raise ProjectError(f"node '{node.name}': rounding {rounding} or a zero point has no counterpart here")
        signed, narrow = attributes["signed"], attributes["narrow"]
        width = int(bits.item())
        high = 2.0 ** (width - signed) - 1.0 - (narrow and not signed)
        low = -(2.0 ** (width - 1)) + narrow if signed else 0.0
        steps = [("Div", node.input[1]), (_ROUNDING[rounding], None), ("Clip", (low, high)), ("Mul", node.input[1])]
        tensor = node.input[0]
        for index, (kind, operand) in enumerate(steps):
            extra = self._limits(node.name, operand) if isinstance(operand, tuple) else [operand] if operand else []
            output = node.output[0] if index == len(steps) - 1 else f"{node.name}_{kind.lower()}"
            self.nodes.append(helper.make_node(kind, [tensor, *extra], [output], name=f"{node.name}_{kind}"))
            tensor = output

    def add_bipolar_quant(self, node: onnx.NodeProto) -> None:
        """x ≥ 0 ? scale : −scale."""
        scale = self._constants[node.input[1]]
        zero, plus, minus = (
            self._constant(f"{node.name}_{name}", value)
            for name, value in (("zero", np.zeros_like(scale)), ("plus", scale), ("minus", -scale))
        )
        condition = f"{node.name}_nonnegative"
        self.nodes += [
            helper.make_node("GreaterOrEqual", [node.input[0], zero], [condition], name=f"{node.name}_GreaterOrEqual"),
            helper.make_node("Where", [condition, plus, minus], list(node.output), name=f"{node.name}_Where"),
        ]

    def model(self) -> onnx.ModelProto:
        """The new model."""
        used = {name for node in self.nodes for name in node.input}
        constants = [
            numpy_helper.from_array(value, name) for name, value in sorted(self._constants.items()) if name in used
        ]
        graph = helper.make_graph(self.nodes, "policy", self._source.input, self._source.output, constants)
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="hls4rl"
        )

    def _limits(self, name: str, limits: tuple[float, float]) -> list[str]:
        return [
            self._constant(f"{name}_{key}", np.array(value, dtype=np.float64))
            for key, value in zip(("low", "high"), limits, strict=True)
        ]

    def _constant(self, name: str, value: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
        self._constants[name] = value
        return name
