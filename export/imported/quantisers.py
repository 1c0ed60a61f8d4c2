"""What a quantiser node says: its scale, zero point, range and rounding, exactly, whatever dialect it is written in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from hls4rl.errors import ProjectError
from hls4rl.export.imported.exact import ROUNDINGS, SIGN, Levels

QUANTISERS = ("Quant", "IntQuant", "BipolarQuant", "QuantizeLinear")
DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
"""Where QONNX's quantisers have lived; a Quant of another domain may be anything."""

Exact = NDArray[Any]
"""An array of :class:`fractions.Fraction`."""
Refuse = Callable[[onnx.NodeProto, str], ProjectError]

_BITS = 32
_INTEGERS = {
    TensorProto.UINT8: (0, 255), TensorProto.INT8: (-128, 127), TensorProto.UINT16: (0, 65535),
    TensorProto.INT16: (-32768, 32767), TensorProto.UINT4: (0, 15), TensorProto.INT4: (-8, 7),
}


@dataclass(frozen=True, eq=False)
class Quantiser:
    """``level = levels(value / scale + zero)``; what comes out is ``gain * level + base``."""

    scale: Exact
    """Positive; this and the others broadcast with the tensor."""
    zero: Exact
    levels: Levels
    gain: Exact
    base: Exact


def read_quantiser(
    node: onnx.NodeProto, constant: Callable[[onnx.NodeProto, int], Exact], rank: int, types: dict[str, int],
    refuse: Refuse,
) -> Quantiser:
    """What ``node``, one of :data:`QUANTISERS`, does to a tensor of ``rank`` axes.

    Args:
        constant: gives a node's constant input.
        types: element types of the graph's constants.

    Raises:
        ProjectError: it does something that has no exact meaning, or none that is supported; made by ``refuse``.
    """
    if node.op_type == "QuantizeLinear":
        return _quantize_linear(node, constant, rank, types, refuse)
    if node.domain not in DOMAINS:
        raise refuse(node, f"is of the domain '{node.domain}', where its meaning isn't known; QONNX's is {DOMAINS[0]}")
    scale = _positive(node, constant(node, 1), refuse)
    if node.op_type == "BipolarQuant":
        return Quantiser(scale, _number(0), Levels(-1, 1, SIGN), scale, _number(0))
    zero = constant(node, 2)
    return Quantiser(scale, zero, _levels(node, constant(node, 3), refuse), scale, -zero * scale)


def _levels(node: onnx.NodeProto, bits: Exact, refuse: Refuse) -> Levels:
    values = attributes(node)
    signed, narrow = bool(values.get("signed", 1)), bool(values.get("narrow", 0))
    rounding = str(values.get("rounding_mode", "ROUND")).upper().replace("HALF_EVEN", "ROUND")
    if len(set(bits.flat)) != 1 or bits.flat[0].denominator != 1 or not 1 <= bits.flat[0] <= _BITS:
        given = ", ".join(f"{float(item):g}" for item in set(bits.flat))
        raise refuse(node, f"has {given} bits; 1 to {_BITS} are supported")
    if rounding not in ROUNDINGS:
        raise refuse(node, f"rounds by {rounding}; supported: {', '.join(ROUNDINGS)}")
    count = int(bits.flat[0])
    if signed and count == 1:
        return Levels(-1, 1, SIGN)
    top = 1 << (count - signed)
    low, high = -(top - narrow) if signed else 0, top - 1 - (narrow and not signed)
    if high <= low:
        raise refuse(node, f"has the one level {low} only; give it more bits")
    return Levels(low, high, rounding)


def _quantize_linear(
    node: onnx.NodeProto, constant: Callable[[onnx.NodeProto, int], Exact], rank: int, types: dict[str, int],
    refuse: Refuse,
) -> Quantiser:
    values = attributes(node)
    if node.domain not in ("", "ai.onnx") or values.get("block_size", 0):
        raise refuse(node, "is not ONNX's own, or quantises in blocks; take one scale a tensor or a channel")
    given = len(node.input) > 2 and node.input[2]
    kind = types.get(node.input[2], TensorProto.UINT8) if given else values.get("output_dtype") or TensorProto.UINT8
    if kind not in _INTEGERS:
        raise refuse(node, f"gives {onnx.TensorProto.DataType.Name(kind)}; integers of 4, 8 or 16 bits are supported")
    scale = along(_positive(node, constant(node, 1), refuse), rank, int(values.get("axis", 1)), node, refuse)
    zero = constant(node, 2) if given else _number(0)
    if len(set(zero.flat)) != 1:
        raise refuse(node, "has zero points that differ between its channels; take one a tensor")
    # The zero point is added to what is rounded already: the levels are those that lie around it.
    shift, (low, high) = int(zero.flat[0]), _INTEGERS[kind]
    return Quantiser(scale, _number(0), Levels(low - shift, high - shift, "ROUND"), _number(1), _number(shift))


def along(values: Exact, rank: int, axis: int, node: onnx.NodeProto, refuse: Refuse) -> Exact:
    """A scalar, or a vector laid along ``axis``, of a tensor of ``rank`` axes."""
    if values.size == 1:
        return values.reshape(())
    if values.ndim != 1 or not -rank <= axis < rank:
        raise refuse(node, "has scales or zero points of more than one axis; take one a tensor or a channel")
    return values.reshape([-1 if index == axis % rank else 1 for index in range(rank)])


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of ``node`` by name, texts as such."""
    values = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    return {key: value.decode() if isinstance(value, bytes) else value for key, value in values.items()}


def _positive(node: onnx.NodeProto, scale: Exact, refuse: Refuse) -> Exact:
    wrong = [item for item in scale.flat if item <= 0]
    if wrong or not scale.size:
        raise refuse(node, f"has scale {float(wrong[0]) if wrong else 0:g}; it must be positive")
    return scale


def _number(value: int) -> Exact:
    return np.array(Fraction(value), dtype=object)
