"""Reads QONNX graphs that somebody else exported (Brevitas, QKeras, …) as exact networks, or refuses them by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from qonnx.custom_op.general.quant import quant

from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.exact import ROUNDINGS, SIGN, Clip, Curve, ExactLayer, ExactNetwork, Levels, Smooth
from hls4rl.export.model_file import load_model

_QUANTISERS = ("Quant", "IntQuant", "BipolarQuant")
_NOTHING = ("Identity", "Dropout", "Flatten", "Cast")
_SMOOTH: dict[str, Callable[[float], float]] = {"Tanh": math.tanh, "Sigmoid": lambda x: 1.0 / (1.0 + math.exp(-x))}
_WEIGHT_BITS = 24
_INPUT_BITS = 16


def read_foreign(path: Path) -> ExactNetwork:
    """Read the QONNX graph in ``path``: a quantiser on the observation, then fully connected layers.

    A layer is MatMul or Gemm with quantised weights (scales a tensor or an output), then any of Add, Sub, Mul, Div
    by constants and BatchNormalization, then Relu, Clip, Tanh or Sigmoid, then a Quant or BipolarQuant. The
    last layer may go without the quantiser.

    Raises:
        ProjectError: the graph has anything else; the message names the node and what to do.
    """
    model = load_model(path)
    try:
        return _Reader(model.graph, path.name).network()
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise ProjectError(
            f"{path.name}: not a well-formed QONNX graph ({' '.join(str(error).split())[:120]}); export the model again"
        ) from error


@dataclass(frozen=True, eq=False)
class _Parameter:
    """A constant tensor; ``scale`` is None if it isn't quantised."""

    integers: FloatArray
    """The integers in units of ``scale``, or the values themselves."""
    scale: FloatArray | None
    """Of the same shape."""

    def rearranged(self, how: Callable[[FloatArray], FloatArray]) -> _Parameter:
        return _Parameter(how(self.integers), None if self.scale is None else how(self.scale))

    def fractions(self, count: int) -> list[Fraction]:
        """Its exact values, one for each of ``count`` outputs."""
        integers = np.broadcast_to(self.integers.reshape(-1), (count,))
        if self.scale is None:
            return [Fraction(float(value)) for value in integers]
        scale = np.broadcast_to(self.scale.reshape(-1), (count,))
        return [Fraction(float(value)) * Fraction(float(unit)) for value, unit in zip(integers, scale, strict=True)]


@dataclass
class _Open:
    """A layer that is being read."""

    node: str
    weight: IntArray
    gain: list[Fraction]
    offset: list[Fraction]
    curves: list[Curve]
    levels: Levels | None
    exact: bool

    def close(self) -> ExactLayer:
        return ExactLayer(
            self.node, self.weight, tuple(self.gain), tuple(self.offset), tuple(self.curves), self.levels, self.exact
        )


class _Reader:
    def __init__(self, graph: onnx.GraphProto, name: str) -> None:
        self._name, self._graph = name, graph
        self._parameters: dict[str, _Parameter] = {}
        self._dynamic: list[onnx.NodeProto] = []
        self._chain: list[tuple[str, onnx.NodeProto]] = []

    def network(self) -> ExactNetwork:
        """The whole graph."""
        for item in self._graph.initializer:
            self._parameters[item.name] = _Parameter(_array(item), None)
        for node in self._graph.node:
            if all(name in self._parameters or not name for name in node.input):
                self._compute(node)
            else:
                self._dynamic.append(node)
        self._chain = self._follow()
        input_levels = self._input()
        layers: list[ExactLayer] = []
        unit, width = input_levels.scale, None
        while self._chain:
            layer = self._layer(unit, width)
            layers.append(layer.close())
            if layer.levels is not None:
                unit, width = layer.levels.scale, len(layer.weight)
            elif self._chain:
                raise self._refusal(self._chain[0][1], "takes sums that no Quant has cut; quantise the layer before it")
        if not layers:
            raise ProjectError(f"{self._name}: no MatMul or Gemm after the input; nothing to build")
        return ExactNetwork(input_levels, tuple(layers))

    def _follow(self) -> list[tuple[str, onnx.NodeProto]]:
        inputs = [item.name for item in self._graph.input if item.name not in self._parameters]
        if len(inputs) != 1 or len(self._graph.output) != 1:
            raise ProjectError(
                f"{self._name}: {len(inputs)} inputs and {len(self._graph.output)} outputs; export one of each"
            )
        tensor, output = inputs[0], self._graph.output[0].name
        chain: list[tuple[str, onnx.NodeProto]] = []
        while tensor != output:
            users = [node for node in self._dynamic if tensor in node.input]
            if len(users) != 1 or len(chain) >= len(self._dynamic):
                raise ProjectError(
                    f"{self._name}: tensor '{tensor}' has {len(users)} users; only chains of layers are supported"
                )
            chain.append((tensor, users[0]))
            tensor = users[0].output[0]
        return chain

    def _input(self) -> Levels:
        tensor, node = self._next()
        while node.op_type in _NOTHING:
            tensor, node = self._next()
        if node.op_type not in _QUANTISERS:
            raise self._refusal(
                node, "takes the raw observation, whose type is unknown; "
                "begin the model with a quantiser (Brevitas: QuantIdentity, QKeras: QActivation)"
            )
        levels = self._levels(tensor, node)
        if levels.rounding == SIGN:
            raise self._refusal(node, "makes signs of the observation; give it a Quant of 2 bits or more")
        if levels.type.bits > _INPUT_BITS:
            raise self._refusal(node, f"has {levels.type.bits} bits; give the observation {_INPUT_BITS} at most")
        if (levels.type.minimum, levels.type.maximum) != (levels.low, levels.high):
            raise self._refusal(node, "has a narrow range; export the observation's quantiser without it")
        return levels

    def _layer(self, unit: Fraction, inputs: int | None) -> _Open:
        tensor, node = self._next()
        if node.op_type not in ("MatMul", "Gemm"):
            raise self._refusal(node, "is not supported here; a layer begins with MatMul or Gemm")
        layer = self._product(tensor, node, unit)
        if inputs is not None and layer.weight.shape[1] != inputs:
            raise self._refusal(node, f"takes {layer.weight.shape[1]} inputs, but the layer before gives {inputs}")
        while self._chain and self._chain[0][1].op_type not in ("MatMul", "Gemm"):
            self._continue(layer, *self._next())
        if layer.levels is None and layer.curves:
            raise self._refusal(node, "ends in a function without a Quant after it; quantise it, or export the logits")
        return layer

    def _product(self, tensor: str, node: onnx.NodeProto, unit: Fraction) -> _Open:
        attributes = _attributes(node)
        if node.input[0] != tensor or attributes.get("transA", 0):
            raise self._refusal(node, "has the weights on its left, or transA; export weights on the right")
        weight = self._parameter(node, 1)
        if weight.scale is None:
            raise self._refusal(node, "has weights that are not quantised; export them through a Quant")
        if weight.integers.ndim != 2:
            raise self._refusal(node, f"has weights of {weight.integers.ndim} axes; only 2 are supported")
        if not attributes.get("transB", 0):
            weight = weight.rearranged(np.transpose)
        assert weight.scale is not None
        if weight.integers.size == 0 or (weight.scale != weight.scale[:, :1]).any():
            raise self._refusal(node, "has no weights, or scales that differ between its inputs; take one an output")
        alpha, beta = (Fraction(float(attributes.get(key, 1.0))) for key in ("alpha", "beta"))
        gain = [unit * alpha * Fraction(float(scale)) for scale in weight.scale[:, 0]]
        count = len(gain)
        offset = [Fraction(0)] * count
        if len(node.input) > 2 and node.input[2]:
            offset = [beta * value for value in self._parameter(node, 2).fractions(count)]
        layer = _Open(node.name or node.output[0], weight.integers.astype(np.int64), gain, offset, [], None, True)
        return self._oriented(layer, node)

    def _continue(self, layer: _Open, tensor: str, node: onnx.NodeProto) -> None:
        kind = node.op_type
        if kind in _NOTHING:
            return
        if kind in _QUANTISERS:
            if layer.levels is not None:
                layer.curves.append(layer.levels)
            layer.levels = self._levels(tensor, node)
        elif kind == "Relu" and layer.levels is not None and layer.levels.rounding != SIGN:
            layer.levels = replace(layer.levels, low=max(layer.levels.low, 0))
        elif layer.levels is not None:
            raise self._refusal(node, "is not supported after a Quant; put it before the Quant")
        elif kind == "Relu":
            layer.curves.append(Clip(Fraction(0), None))
        elif kind == "Clip":
            layer.curves.append(self._clip(node))
        elif kind in _SMOOTH:
            layer.curves.append(Smooth(_SMOOTH[kind]))
            layer.exact = False
        elif kind not in ("Add", "Sub", "Mul", "Div", "BatchNormalization"):
            raise self._refusal(
                node, "is not supported; a layer is MatMul or Gemm, a bias, BatchNormalization, "
                "Relu, Clip, Tanh or Sigmoid, and a Quant or BipolarQuant"
            )
        elif layer.curves:
            raise self._refusal(node, "comes after the activation; put it before")
        else:
            self._affine(layer, tensor, node)

    def _affine(self, layer: _Open, tensor: str, node: onnx.NodeProto) -> None:
        count = len(layer.gain)
        if node.op_type == "BatchNormalization":
            self._batch_normalization(layer, node)
            return
        first = node.input[0] == tensor
        if not first and node.op_type in ("Sub", "Div"):
            raise self._refusal(node, "subtracts from or divides a constant; only the reverse is supported")
        constants = self._parameter(node, 1 if first else 0).fractions(count)
        if node.op_type in ("Add", "Sub"):
            sign = 1 if node.op_type == "Add" else -1
            layer.offset = [value + sign * more for value, more in zip(layer.offset, constants, strict=True)]
            return
        factors = constants if node.op_type == "Mul" else [1 / value if value else Fraction(0) for value in constants]
        layer.gain = [value * factor for value, factor in zip(layer.gain, factors, strict=True)]
        layer.offset = [value * factor for value, factor in zip(layer.offset, factors, strict=True)]
        self._oriented(layer, node)

    def _batch_normalization(self, layer: _Open, node: onnx.NodeProto) -> None:
        count = len(layer.gain)
        scale, bias, mean, variance = (self._parameter(node, index).fractions(count) for index in range(1, 5))
        epsilon = float(_attributes(node).get("epsilon", 1e-5))
        factors = [s / Fraction(math.sqrt(float(v) + epsilon)) for s, v in zip(scale, variance, strict=True)]
        layer.gain = [value * factor for value, factor in zip(layer.gain, factors, strict=True)]
        layer.offset = [
            (value - middle) * factor + more
            for value, middle, factor, more in zip(layer.offset, mean, factors, bias, strict=True)
        ]
        layer.exact = False
        self._oriented(layer, node)

    def _oriented(self, layer: _Open, node: onnx.NodeProto) -> _Open:
        # A falling sum is a rising one of the negated weights; a factor of 0 leaves the offset alone.
        for output, gain in enumerate(layer.gain):
            if gain <= 0:
                layer.weight[output] *= -1 if gain else 0
                others = [abs(item) for item in layer.gain if item]
                layer.gain[output] = -gain if gain else max(others, default=Fraction(1))
        return layer

    def _clip(self, node: onnx.NodeProto) -> Clip:
        attributes = _attributes(node)
        limits: list[Fraction | None] = []
        for index, key in ((1, "min"), (2, "max")):
            if len(node.input) > index and node.input[index]:
                limits.append(self._parameter(node, index).fractions(1)[0])
            else:
                limits.append(Fraction(float(attributes[key])) if key in attributes else None)
        return Clip(limits[0], limits[1])

    def _levels(self, tensor: str, node: onnx.NodeProto) -> Levels:
        if node.input[0] != tensor:
            raise self._refusal(node, "takes its scale, zero point or bits from the network; make them constants")
        scale = self._scalar(node, 1)
        if not (scale > 0 and math.isfinite(scale)):
            raise self._refusal(node, f"has scale {scale:g}; it must be positive")
        if node.op_type == "BipolarQuant":
            return Levels(Fraction(scale), -1, 1, SIGN)
        low, high, rounding = self._integers(node)
        return Levels(Fraction(scale), low, high, rounding)

    def _integers(self, node: onnx.NodeProto) -> tuple[int, int, str]:
        """Smallest and largest integer of a Quant, and its rounding."""
        attributes = _attributes(node)
        zero, bits = self._scalar(node, 2), self._scalar(node, 3)
        signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
        rounding = str(attributes.get("rounding_mode", "ROUND")).upper().replace("HALF_EVEN", "ROUND")
        if zero != 0:
            raise self._refusal(node, f"has zero point {zero:g}; export symmetric quantisers, without one")
        if bits != int(bits) or not 1 <= bits <= 32:
            raise self._refusal(node, f"has {bits:g} bits; 1 to 32 are supported")
        if rounding not in ROUNDINGS:
            raise self._refusal(node, f"rounds by {rounding}; supported: {', '.join(ROUNDINGS)}")
        if signed and bits == 1:
            return -1, 1, SIGN
        top = 1 << (int(bits) - signed)
        return -(top - narrow) if signed else 0, top - 1 - (narrow and not signed), rounding

    def _compute(self, node: onnx.NodeProto) -> None:
        # A node on constants alone; what isn't known stays unnamed, and whoever needs it is refused.
        if node.op_type in _QUANTISERS:
            self._parameters[node.output[0]] = self._quantised(node)
        elif node.op_type == "Constant":
            self._parameters[node.output[0]] = _Parameter(_array(_attributes(node)["value"]), None)
        elif node.op_type == "Transpose":
            axes = _attributes(node).get("perm")
            self._parameters[node.output[0]] = self._parameters[node.input[0]].rearranged(
                lambda array: np.transpose(array, axes)
            )
        elif node.op_type in ("Identity", "Cast"):
            self._parameters[node.output[0]] = self._parameters[node.input[0]]
        else:
            raise self._refusal(node, "computes a constant; fold the constants (qonnx.util.cleanup) first")

    def _quantised(self, node: onnx.NodeProto) -> _Parameter:
        values, scales = (self._parameters[node.input[index]].integers for index in (0, 1))
        if not np.isfinite(values).all():
            raise self._refusal(node, "quantises values that are no numbers; export the model again")
        if not ((scales > 0) & np.isfinite(scales)).all():
            raise self._refusal(node, "has a scale that is not positive; export the model again")
        scale = np.broadcast_to(scales, values.shape)
        if node.op_type == "BipolarQuant":
            return _Parameter(np.where(values >= 0, 1.0, -1.0), scale)
        low, high, rounding = self._integers(node)
        if rounding == SIGN:
            return _Parameter(np.where(values >= 0, 1.0, -1.0), scale)
        attributes, bits = _attributes(node), self._scalar(node, 3)
        integers = quant(
            values / scale, np.float64(1.0), np.float64(0.0), np.float64(bits),
            attributes.get("signed", 1), attributes.get("narrow", 0), rounding,
        )
        assert integers.size == 0 or (integers.min() >= low and integers.max() <= high)
        return _Parameter(np.asarray(integers, dtype=np.float64), scale)

    def _next(self) -> tuple[str, onnx.NodeProto]:
        if not self._chain:
            raise ProjectError(f"{self._name}: the graph ends too early; export the model again")
        return self._chain.pop(0)

    def _parameter(self, node: onnx.NodeProto, index: int) -> _Parameter:
        found = self._parameters.get(node.input[index])
        if found is None:
            raise self._refusal(node, f"has an input {index} that is no constant; make its parameters constants")
        if not np.isfinite(found.integers).all():
            raise self._refusal(node, f"has an input {index} that is no number; export the model again")
        if np.abs(found.integers).max(initial=0) >= 1 << _WEIGHT_BITS and found.scale is not None and index == 1:
            raise self._refusal(node, f"has weights of more than {_WEIGHT_BITS} bits; take fewer")
        return found

    def _scalar(self, node: onnx.NodeProto, index: int) -> float:
        found = self._parameters.get(node.input[index])
        if found is None or found.integers.size != 1:
            raise self._refusal(node, f"has an input {index} that is no single constant; take one scale a tensor here")
        return float(found.integers.item())

    def _refusal(self, node: onnx.NodeProto, why: str) -> ProjectError:
        name = node.name or (node.output[0] if node.output else "?")
        return ProjectError(f"{self._name}: node '{name}' ({node.op_type}) {why}")


def _array(tensor: onnx.TensorProto) -> FloatArray:
    return np.asarray(numpy_helper.to_array(tensor)).astype(np.float64)


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    values = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in values.items()}
