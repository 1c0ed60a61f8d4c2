"""What each ONNX operator does to a tensor that depends on the observation, exactly."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import onnx
from onnx import TensorProto

from hls4rl.export.imported.constants import shaped
from hls4rl.export.imported.exact import ROUNDINGS, Clip, Curve, Leaky, Levels, Rounded, Smooth, root
from hls4rl.export.imported.graph import Graph
from hls4rl.export.imported.quantisers import DOMAINS, QUANTISERS, Exact, along, attributes
from hls4rl.export.imported.tensors import FallingError, Tensor

_MOVES = ("Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Gather", "Slice")
_INTEGER_CASTS = {TensorProto.INT32: 31, TensorProto.INT64: 53}
_STANDARD = ("", "ai.onnx")


def made(graph: Graph, node: onnx.NodeProto) -> Tensor:
    """What ``node`` makes of a tensor of ``graph``.

    Raises:
        ProjectError: something that no layer has; the message names the node and what to do.
    """
    kind = node.op_type
    if node.domain in _STANDARD and sum(name in graph.tensors for name in node.input) > 1:
        return _joined(graph, node)
    tensor, first = _operand(graph, node)
    if kind in QUANTISERS:
        return graph.quantised(node, tensor)
    elsewhere = moved(graph, node, tensor)
    if elsewhere is not None:
        return elsewhere
    how = _truncated if kind == "Trunc" else _OPERATORS.get(kind) if node.domain in _STANDARD else None
    if how is None:
        raise graph.refusal(
            node, "is not supported; a layer is MatMul or Gemm, a bias, BatchNormalization, "
            "Relu, Clip, Tanh or Sigmoid, and a Quant or BipolarQuant"
        )
    try:
        try:
            return how(graph, node, tensor, first)
        except FallingError:  # after a quantiser, sums of its integers may fall
            return how(graph, node, graph.integers(node.input[0 if first else 1]), first)
    except ValueError as error:
        raise graph.refusal(node, str(error)) from error


def _joined(graph: Graph, node: onnx.NodeProto) -> Tensor:
    """Two branches of the network, or more."""
    if any(name not in graph.tensors for name in node.input) or node.op_type not in ("Add", "Sub", "Concat"):
        raise graph.refusal(
            node, "joins branches of the network in a way that no layer has; Add, Sub and Concat of quantised "
            "tensors are supported"
        )
    try:
        operands = [
            graph.integers(name) if graph.tensors[name].is_curved else graph.tensors[name] for name in node.input
        ]
        if node.op_type == "Concat":
            return Tensor.joined(operands, int(attributes(node)["axis"]))
        return operands[0].plus(_times(graph, operands[1], Fraction(-1)) if node.op_type == "Sub" else operands[1])
    except ValueError as error:
        raise graph.refusal(node, str(error)) from error


def _operand(graph: Graph, node: onnx.NodeProto) -> tuple[Tensor, bool]:
    """The one input that depends on the observation, and whether it is the first."""
    places = [index for index, name in enumerate(node.input) if name in graph.tensors]
    if any(name in graph.raw for name in node.input):
        raise graph.refusal(node, "takes the raw observation besides the quantised one; quantise it once, first")
    if len(places) != 1:
        raise graph.refusal(node, "joins two branches of the network, which only Add, Sub and Concat may do")
    if places[0] and node.op_type in QUANTISERS:
        raise graph.refusal(node, "takes its scale, zero point or bits from the network; make them constants")
    return graph.tensors[node.input[places[0]]], places[0] == 0


def moved(graph: Graph, node: onnx.NodeProto, tensor: Tensor) -> Tensor | None:
    """``tensor`` with its elements in other places; None if ``node`` does more than that."""
    if node.op_type not in _MOVES:
        return None
    places = shaped(graph.constants, node, tensor.places())
    return None if places is None else tensor.taken(places)


def _product(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    values = attributes(node)
    if not first or values.get("transA", 0):
        raise ValueError("has the weights on its left, or transA; export weights on the right")
    tensor = graph.integers(node.input[0])
    if tensor.is_summed:
        raise ValueError("takes sums that no Quant has cut; quantise the layer before it")
    weight = graph.constants.get(node, 1)
    if weight.ndim != 2:
        raise ValueError(f"has weights of {weight.ndim} axes; only 2 are supported")
    weight = weight if values.get("transB", 0) else weight.T
    if not weight.size or weight.shape[1] != tensor.shape[-1] or len(tensor) != tensor.shape[-1]:
        raise ValueError(f"has weights for {weight.shape[1]} inputs, but its input has the shape {tensor.shape}")
    if node.input[1] in graph.constants.rough:
        raise ValueError("has irrational weights; fold the constants first")
    name = node.name or node.output[0]
    alpha = Fraction(float(values.get("alpha", 1.0)))
    result = tensor.product(weight * alpha, (*tensor.shape[:-1], len(weight)), name)
    if node.op_type == "MatMul" or len(node.input) < 3 or not node.input[2]:
        return result
    return _added(graph, node, result, graph.constants.get(node, 2) * Fraction(float(values.get("beta", 1.0))))


def _sum(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    constant = graph.constants.get(node, 1 if first else 0)
    if node.op_type == "Add":
        return _added(graph, node, tensor, constant)
    if first:
        return _added(graph, node, tensor, -constant)
    return _added(graph, node, _times(graph, tensor, Fraction(-1)), constant)


def _added(graph: Graph, node: onnx.NodeProto, tensor: Tensor, constant: Exact) -> Tensor:
    if any(name in graph.constants.rough for name in node.input):
        raise ValueError("adds a root that is irrational; fold the constants first")
    tensor, terms = tensor.spread(constant)
    return tensor.scaled([Fraction(1)] * len(terms), terms)


def _times(graph: Graph, tensor: Tensor, factor: Fraction) -> Tensor:
    return tensor.scaled([factor] * len(tensor), [Fraction(0)] * len(tensor))


def _scaled(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    if node.op_type == "Neg":
        return _times(graph, tensor, Fraction(-1))
    if not first and node.op_type == "Div":
        raise ValueError("divides a constant by what it gets; only the reverse is supported")
    constant = graph.constants.get(node, 1 if first else 0)
    if node.op_type == "Div" and not all(constant.flat):
        raise ValueError("divides by 0; export the model again")
    tensor, factors = tensor.spread(1 / constant if node.op_type == "Div" else constant)
    rough = node.input[1 if first else 0] in graph.constants.rough
    return tensor.scaled(factors, [Fraction(0)] * len(factors), rough)


def _normalised(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    values = attributes(node)
    if values.get("training_mode", 0) or not values.get("is_test", 1) or len([o for o in node.output if o]) > 1:
        raise ValueError("is in training mode, where it depends on the batch; export the model in evaluation mode")
    if not first or len(tensor.shape) < 2 or not values.get("spatial", 1):
        raise ValueError("needs a batch axis and one statistic a channel; export the model again")
    gamma, beta, mean, variance = (graph.constants.get(node, index).ravel() for index in range(1, 5))
    channels = tensor.shape[1]
    if {len(item) for item in (gamma, beta, mean, variance)} != {channels}:
        raise ValueError(f"has statistics for other than its {channels} channels; export the model again")
    epsilon = Fraction(float(values.get("epsilon", np.float32(1e-5))))
    if min(variance) < 0 or min(variance) + epsilon <= 0:
        raise ValueError("has a variance that is not positive, even with its epsilon; export the model again")
    roots = [root(item + epsilon) for item in variance]
    index = [int(item) for item in np.broadcast_to(
        np.arange(channels).reshape([-1 if axis == 1 else 1 for axis in range(len(tensor.shape))]), tensor.shape
    ).ravel()]
    centred = tensor.scaled([Fraction(1)] * len(index), [-mean[channel] for channel in index])
    return centred.scaled(
        [gamma[channel] / roots[channel][0] for channel in index], [beta[channel] for channel in index],
        not all(is_exact for _, is_exact in roots),
    )


def _cast(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    to = int(attributes(node)["to"])
    if to in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return tensor
    if to not in _INTEGER_CASTS:
        raise ValueError(f"casts to {TensorProto.DataType.Name(to)}, which changes values in a way that no layer "
                         "has; leave the Cast away")
    if max(map(abs, _range(graph, tensor))) >= 1 << _INTEGER_CASTS[to]:
        raise ValueError("casts values that may be too large for an integer; clip them first")
    return tensor.through(Rounded("DOWN"))


def _range(graph: Graph, tensor: Tensor) -> tuple[Fraction, Fraction]:
    """What no element leaves."""
    oriented = tensor.oriented()
    lows, highs = (
        np.array([getattr(graph.ranges[number], end) for number in oriented.columns]) for end in ("low", "high")
    )
    products = np.stack([oriented.weight * lows, oriented.weight * highs])
    first, last = products.min(axis=0).sum(axis=1), products.max(axis=0).sum(axis=1)
    lowest = highest = Fraction(0)
    for index, curves in enumerate(oriented.curves):
        slack = oriented.blur[index] + 1
        low = oriented.gain[index] * int(first[index]) + oriented.offset[index] - slack
        high = oriented.gain[index] * int(last[index]) + oriented.offset[index] + slack
        for curve in curves:
            low, high = curve(low, high)
        lowest, highest = min(lowest, low), max(highest, high)
    return lowest, highest


def _truncated(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    """QONNX's Trunc, in its first version (5 inputs) and its second (6)."""
    if not first or node.domain not in DOMAINS:
        raise ValueError("takes its parameters from the network, or is not QONNX's; export constants")
    scale, zero, bits, *more = (_single(graph, node, index) for index in range(1, len(node.input)))
    rounding, values = str(attributes(node).get("rounding_mode", "FLOOR")).upper(), attributes(node)
    if rounding not in ROUNDINGS or scale <= 0 or len(more) not in (1, 2):
        raise ValueError(f"rounds by {rounding}, or has no scale and bits; supported: {', '.join(ROUNDINGS)}")
    count = len(tensor)
    steps = tensor.scaled([1 / scale] * count, [zero] * count).through(Rounded("ROUND"))
    if len(more) == 1:
        divisor, unit, back = Fraction(2) ** int(bits - more[0]), scale, zero
    else:
        divisor = Fraction(2) ** round(math.log2(more[0] / scale))
        unit, back = more[0], zero / divisor
    cut = steps.scaled([1 / divisor] * count, [Fraction(0)] * count)
    low, high = (int(ROUNDINGS[rounding](item)) for item in _range(graph, cut))
    if len(more) == 2:
        signed, narrow = bool(values.get("signed", 1)), bool(values.get("narrow", 0))
        top = 1 << (int(more[1]) - signed)
        low, high = -(top - narrow) if signed else 0, top - 1 - (narrow and not signed)
    levels = cut.through(Levels(low, high, rounding))
    return levels.scaled([unit] * count, [-back * unit] * count)


def _ordered(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    """Softmax at the very end: it changes no order, and so no action."""
    axis = int(attributes(node).get("axis", -1))
    if node.output[0] != graph.output or axis % len(tensor.shape) != len(tensor.shape) - 1:
        raise ValueError("is supported at the end only, over all logits; export the logits")
    return tensor


def _curved(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    kind, values = node.op_type, attributes(node)
    curve: Curve
    if kind in ("Tanh", "Sigmoid"):
        curve = Smooth(kind)
    elif kind == "Relu":
        curve = Clip(Fraction(0), None)
    elif kind == "Clip":
        curve = Clip(_limit(graph, node, 1, "min"), _limit(graph, node, 2, "max"))
    elif kind in ("Min", "Max"):
        if len(node.input) != 2:
            raise ValueError(f"compares {len(node.input)} tensors; only one with a constant is supported")
        limit = _single(graph, node, 1 if first else 0)
        curve = Clip(None, limit) if kind == "Min" else Clip(limit, None)
    elif kind == "LeakyRelu":
        slope = Fraction(float(values.get("alpha", np.float32(0.01))))
        if slope < 0:
            raise ValueError("has a negative slope, so that it falls; only functions that never fall are supported")
        curve = Leaky(slope)
    else:
        curve = Rounded({"Floor": "FLOOR", "Ceil": "CEIL", "Round": "ROUND"}[kind])
    return tensor.through(curve)


def _limit(graph: Graph, node: onnx.NodeProto, index: int, key: str) -> Fraction | None:
    if len(node.input) > index and node.input[index]:
        return _single(graph, node, index)
    found = attributes(node).get(key)
    if found is None or (math.isinf(found) and (found > 0) == (key == "max")):
        return None
    return Fraction(float(found))


def _single(graph: Graph, node: onnx.NodeProto, index: int) -> Fraction:
    found = graph.constants.get(node, index)
    if found.size != 1 or node.input[index] in graph.constants.rough:
        raise ValueError(f"has an input {index} that is no single constant; take one limit for the whole tensor")
    return Fraction(found.flat[0])


def _dequantised(graph: Graph, node: onnx.NodeProto, tensor: Tensor, first: bool) -> Tensor:
    axis, rank = int(attributes(node).get("axis", 1)), len(tensor.shape)
    scale = along(graph.constants.get(node, 1), rank, axis, node, graph.refusal)
    if len(node.input) > 2 and node.input[2]:
        tensor, terms = tensor.spread(-along(graph.constants.get(node, 2), rank, axis, node, graph.refusal))
        tensor = tensor.scaled([Fraction(1)] * len(terms), terms)
    tensor, factors = tensor.spread(scale)
    return tensor.scaled(factors, [Fraction(0)] * len(factors))


_OPERATORS: dict[str, Callable[[Graph, onnx.NodeProto, Tensor, bool], Tensor]] = {
    "MatMul": _product, "Gemm": _product, "Add": _sum, "Sub": _sum, "Mul": _scaled, "Div": _scaled, "Neg": _scaled,
    "Softmax": _ordered, "LogSoftmax": _ordered, "BatchNormalization": _normalised, "Cast": _cast,
    "DequantizeLinear": _dequantised,
    **dict.fromkeys(
        ("Relu", "Clip", "Tanh", "Sigmoid", "LeakyRelu", "Floor", "Ceil", "Round", "Min", "Max"), _curved
    ),
}
