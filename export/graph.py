"""Reads a QONNX graph back as integers: as the :class:`hls4rl.network.IntegerNetwork` that all else is built from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from qonnx.custom_op.general.quant import quant

from hls4rl.contract import CutType, FixedPoint, FloatArray, IntArray, ResultType, Sign, Table, is_power_of_two
from hls4rl.errors import ProjectError
from hls4rl.export.model_file import load_model, output_of
from hls4rl.network import IntegerNetwork, Layer

_LARGEST = 2.0**62
"""What 64-bit integers hold twice."""


def read_network(path: Path) -> IntegerNetwork:
    """Read the QONNX graph in ``path``: an input Quant, then layers of Gemm (or MatMul, Add) with an
    activation (Relu and Quant, Quant, BipolarQuant, or none after the last layer).

    Raises:
        ProjectError: no such file, or the graph has anything else; the message names the node.
    """
    model = load_model(path)
    try:
        layers = _Reader(model.graph, path.name).network()
        return IntegerNetwork(layers.input, layers.layers, output_of(model))
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ProjectError(
            f"{path.name}: not a well-formed QONNX graph ({' '.join(str(error).split())[:120]}); export it again"
        ) from error


class _Reader:
    """Follows the one chain of nodes from the graph's input to its output."""

    def __init__(self, graph: onnx.GraphProto, name: str) -> None:
        self._name = name
        self._graph = graph
        self._constants = {item.name: numpy_helper.to_array(item).astype(np.float64) for item in graph.initializer}
        self._maker = {output: node for node in graph.node for output in node.output}
        inputs = [item.name for item in graph.input if item.name not in self._constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ProjectError(f"{name}: {len(inputs)} inputs, {len(graph.output)} outputs; only one each is supported")
        self._chain = self._follow(inputs[0])

    def network(self) -> IntegerNetwork:
        """The whole graph."""
        _, node = self._next()
        if node.op_type != "Quant":
            raise self._refusal(node, "comes first, where a Quant must say the input's type")
        input_type = self._fixed_point(node, roundings=("ROUND",))
        layers = []
        lsb = input_type.lsb
        while self._chain:
            layers.append(self._layer(lsb))
            lsb = layers[-1].result_lsb(lsb)
        if not layers:
            raise ProjectError(f"{self._name}: no Gemm or MatMul after the input; nothing to build")
        self._check_types(layers)
        self._check_range(input_type, layers)
        return IntegerNetwork(input_type, tuple(layers))

    def _follow(self, tensor: str) -> list[tuple[str, onnx.NodeProto]]:
        # (incoming tensor, node) from the input to the output, each tensor used once.
        chain: list[tuple[str, onnx.NodeProto]] = []
        output = self._graph.output[0].name
        while tensor != output:
            users = [node for node in self._graph.node if tensor in node.input]
            if len(users) != 1 or len(users[0].output) != 1:
                raise ProjectError(f"{self._name}: tensor '{tensor}' has {len(users)} users; only chains are supported")
            chain.append((tensor, users[0]))
            if len(chain) > len(self._graph.node):
                raise ProjectError(f"{self._name}: tensor '{tensor}' leads back to itself; only chains are supported")
            tensor = users[0].output[0]
        return chain

    def _next(self) -> tuple[str, onnx.NodeProto]:
        if not self._chain:
            raise ProjectError(f"{self._name}: the graph ends too early; export the policy again")
        return self._chain.pop(0)

    def _next_is(self, kind: str) -> bool:
        return bool(self._chain) and self._chain[0][1].op_type == kind

    def _layer(self, input_lsb: float) -> Layer:
        tensor, node = self._next()
        if node.op_type not in ("Gemm", "MatMul") or node.input[0] != tensor:
            raise self._refusal(node, "is not supported here; a layer begins with Gemm or MatMul")
        attributes = _attributes(node)
        if any(attributes.get(key, 1.0) != 1.0 for key in ("alpha", "beta")) or attributes.get("transA", 0):
            raise self._refusal(node, "has alpha, beta or transA set; only plain products are supported")
        weight, weight_lsb = self._parameter(node.input[1], node)
        if weight.ndim != 2:
            raise self._refusal(node, f"has weights of {weight.ndim} axes; only 2 are supported")
        # Gemm with transB already has (outputs, inputs).
        weight = weight if attributes.get("transB", 0) else weight.T
        bias, bias_lsb = np.zeros(len(weight), dtype=np.int64), input_lsb * weight_lsb
        if len(node.input) > 2:
            bias, bias_lsb = self._parameter(node.input[2], node)
        elif self._next_is("Add"):
            tensor, add = self._next()
            other = add.input[1] if add.input[0] == tensor else add.input[0]
            bias, bias_lsb = self._parameter(other, add)
        if bias.size not in (1, len(weight)):
            raise self._refusal(node, f"has {bias.size} biases for {len(weight)} outputs")
        bias = np.broadcast_to(bias.reshape(-1), (len(weight),))
        kind, rounding = self._activation()
        return Layer(np.ascontiguousarray(weight), weight_lsb, np.ascontiguousarray(bias), bias_lsb, kind, rounding)

    def _activation(self) -> tuple[CutType | None, str]:
        relu = self._next_is("Relu")
        if relu:
            _, node = self._next()
            if not self._next_is("Quant"):
                raise self._refusal(node, "is not followed by a Quant; its type is unknown")
        if self._next_is("BipolarQuant"):
            _, node = self._next()
            if self._scale(node) != 1.0:
                raise self._refusal(node, "has a scale other than 1; put it into the next layer's weights")
            return Sign(), "FLOOR"
        if not self._next_is("Quant"):
            return None, "FLOOR"
        _, node = self._next()
        kind, rounding = self._fixed_point(node, roundings=("FLOOR", "ROUND")), _attributes(node)["rounding_mode"]
        if relu and kind.signed:  # the sign bit is never used
            kind = FixedPoint(kind.bits - 1, kind.integer_bits - 1, signed=False)
        if self._chain and self._chain[0][1].op_type in ("Div", "Mul", "Sub", "Add", "Cast"):
            return self._table(kind), rounding
        return kind, rounding

    def _table(self, kind: FixedPoint) -> Table:
        """A look-up: (x / lsb - minimum) as an integer picks one of the constants, whose type a Quant says."""
        factor, offset = 1.0, 0.0
        tensor, node = self._next()
        while node.op_type in ("Div", "Mul", "Sub", "Add"):
            if node.input[0] != tensor:
                raise self._refusal(node, "takes a constant on its left; a table's place is (x / scale - lowest)")
            value = self._scalar(node, 1)
            if node.op_type in ("Div", "Mul"):
                factor, offset = (item * value if node.op_type == "Mul" else item / value for item in (factor, offset))
            else:
                offset += value if node.op_type == "Add" else -value
            tensor, node = self._next()
        if node.op_type != "Cast" or not self._next_is("Gather"):
            raise self._refusal(node, "is not supported after a Quant; a table is Div, Sub, Cast and Gather")
        tensor, node = self._next()
        values = self._constants.get(node.input[0])
        if values is None or node.input[1] != tensor or _attributes(node).get("axis", 0) or values.ndim != 1:
            raise self._refusal(node, "is no look-up in a constant table of one axis")
        if (factor * kind.lsb, offset) != (1.0, -kind.minimum) or len(values) != 1 << kind.bits:
            raise self._refusal(node, "does not look up each integer of the Quant before it")
        if not self._next_is("Quant"):
            raise self._refusal(node, "is not followed by a Quant; the type of its results is unknown")
        _, quantiser = self._next()
        output = self._fixed_point(quantiser, roundings=("ROUND", "FLOOR"))
        integers = np.rint(values / output.lsb)
        if (integers * output.lsb != values).any():
            raise self._refusal(node, "has values that the Quant after it would round; round them in the table")
        return Table(kind, output, tuple(int(integer) for integer in integers))

    def _parameter(self, name: str, user: onnx.NodeProto) -> tuple[IntArray, float]:
        # Integers and unit of a weight or bias: a Quant or BipolarQuant on an initialiser.
        node = self._maker.get(name)
        if node is None or node.op_type not in ("Quant", "BipolarQuant") or node.input[0] not in self._constants:
            raise self._refusal(user, "has a parameter that is no quantised constant; quantise its weights and biases")
        values, scale = self._constants[node.input[0]], self._scale(node)
        if node.op_type == "BipolarQuant":
            return np.where(values >= 0, 1, -1).astype(np.int64), scale
        attributes = _attributes(node)
        zero, bits = (self._scalar(node, index) for index in (2, 3))
        if zero != 0:
            raise self._refusal(node, "has a zero point; only 0 is supported")
        real: FloatArray = quant(
            values, np.float64(scale), np.float64(0.0), np.float64(bits),
            attributes["signed"], attributes["narrow"], attributes["rounding_mode"],
        )
        return np.rint(real / scale).astype(np.int64), scale

    def _fixed_point(self, node: onnx.NodeProto, roundings: Sequence[str]) -> FixedPoint:
        scale, (zero, bits), attributes = self._scale(node), (self._scalar(node, i) for i in (2, 3)), _attributes(node)
        if zero != 0 or attributes["narrow"]:
            raise self._refusal(node, "has a zero point or a narrow range; neither is supported for activations")
        if attributes["rounding_mode"] not in roundings:
            raise self._refusal(node, f"rounds by {attributes['rounding_mode']}; supported: {', '.join(roundings)}")
        if bits != int(bits) or not 1 + bool(attributes["signed"]) <= bits <= 32:  # QONNX takes signed 1 bit as ±1
            raise self._refusal(node, f"has {bits:g} bits; 2 to 32 (unsigned: 1 to 32) are supported")
        return FixedPoint(int(bits), int(bits) + round(np.log2(scale)), bool(attributes["signed"]))

    def _scale(self, node: onnx.NodeProto) -> float:
        scale = self._scalar(node, 1)
        if not is_power_of_two(scale):
            raise self._refusal(node, f"has scale {scale:g}, which is no power of two")
        return scale

    def _scalar(self, node: onnx.NodeProto, index: int) -> float:
        value: NDArray[Any] | None = self._constants.get(node.input[index])
        if value is None or value.size != 1:
            raise self._refusal(node, f"has an input {index} that is no single constant")
        return float(value.item())

    def _check_types(self, layers: Sequence[Layer]) -> None:
        if any(layer.activation is None for layer in layers[:-1]):
            raise ProjectError(f"{self._name}: a hidden layer has no activation; its type is unknown")
        for before, after in itertools.pairwise(layers):
            if len(before.weight) != after.weight.shape[1]:
                raise ProjectError(f"{self._name}: the layers' sizes do not fit together; export the policy again")

    def _check_range(self, input_type: FixedPoint, layers: Sequence[Layer]) -> None:
        """All that is computed fits 64-bit integers, whatever the observation: sums, and a step in their unit."""
        kind: ResultType | None = input_type
        for number, layer in enumerate(layers):
            assert kind is not None
            unit = layer.sum_lsb(kind.lsb)
            cut = layer.activation.input if isinstance(layer.activation, Table) else layer.activation
            step = unit if cut is None else cut.lsb
            if max(layer.largest_sum(kind), step) / unit >= _LARGEST:
                raise ProjectError(
                    f"{self._name}: layer {number} needs integers of more than 62 bits; bring the scales of its "
                    "inputs, weights, bias and activation closer together"
                )
            kind = layer.activation

    def _refusal(self, node: onnx.NodeProto, why: str) -> ProjectError:
        return ProjectError(f"{self._name}: node '{node.name or node.output[0]}' ({node.op_type}) {why}")


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    values = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} if node.op_type == "Quant" else {}
    for item in node.attribute:
        value = onnx.helper.get_attribute_value(item)
        values[item.name] = value.decode().upper() if isinstance(value, bytes) else value
    return values
