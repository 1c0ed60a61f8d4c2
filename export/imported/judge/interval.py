"""Intervals: every number comes with bounds that its exact value cannot leave.

In float64, with every bound rounded outwards, that is the error bound of a float evaluation; in fractions the bounds
meet, but where a root or an exponential lies between. The judge's arithmetic: it shares no code with the reader.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

Array = NDArray[Any]

INTEGER_KINDS = {
    TensorProto.INT8: (-(2**7), 2**7 - 1), TensorProto.UINT8: (0, 2**8 - 1), TensorProto.INT16: (-(2**15), 2**15 - 1),
    TensorProto.UINT16: (0, 2**16 - 1), TensorProto.INT32: (-(2**31), 2**31 - 1), TensorProto.INT4: (-8, 7),
    TensorProto.UINT4: (0, 15), TensorProto.INT64: (-(2**63), 2**63 - 1),
}
"""ONNX's integer types and their ranges."""


class UnknownError(Exception):
    """The graph holds something that is not executed here; the text names the node."""


@dataclass(frozen=True, eq=False)
class Interval:
    """Bounds of a tensor's elements; float64, or fractions. The last axis counts observations unless it's constant."""

    low: Array
    high: Array
    constant: bool = False
    kind: int = TensorProto.FLOAT

    @property
    def is_exact(self) -> bool:
        """Whether the bounds are fractions."""
        return self.low.dtype == object


@dataclass
class Execution:
    """One run of a graph: what each tensor is, and how near to a boundary its roundings came."""

    values: dict[str, Interval] = field(default_factory=dict)
    gaps: list[Array] = field(default_factory=list)
    """For each rounding, the distance of each observation to the nearest boundary, in steps."""


@dataclass(frozen=True, eq=False)
class Call:
    """One node with its operands."""

    node: onnx.NodeProto
    values: Sequence[Interval | None]
    attributes: dict[str, Any]
    constant: bool
    run: Execution

    def operand(self, index: int) -> Interval:
        """Operand ``index``, laid out so that it broadcasts with the others."""
        value = self.values[index]
        if value is None:
            raise ValueError(f"has no input {index}")
        if value.constant and not self.constant:
            return Interval(value.low[..., None], value.high[..., None], True, value.kind)
        return value

    def has(self, index: int) -> bool:
        """Whether there is an operand ``index``."""
        return index < len(self.values) and self.values[index] is not None

    def plain(self, index: int) -> Interval:
        """Operand ``index``, a constant."""
        value = self.values[index]
        if value is None or not value.constant:
            raise ValueError(f"has an input {index} that is no constant")
        return value

    def whole(self, index: int, key: str) -> list[int] | None:
        """Axes or the like: operand ``index``, or an attribute; None if there is neither."""
        if self.has(index):
            return [int(item) for item in self.plain(index).low.ravel()]
        found = self.attributes.get(key)
        return None if found is None else [int(item) for item in np.atleast_1d(found)]

    def made(self, low: Array, high: Array, kind: int = TensorProto.FLOAT) -> Interval:
        """A result."""
        return Interval(np.asarray(low), np.asarray(high), self.constant, kind)

    def rounded(self, low: Array, high: Array) -> Interval:
        """A result of one correctly rounded operation: its bounds a step further out, if they are floats."""
        low, high = np.asarray(low), np.asarray(high)
        if low.dtype == object:
            return self.made(low, high)
        return self.made(np.nextafter(low, -np.inf), np.nextafter(high, np.inf))


def constant(array: Any, kind: int) -> Interval:
    """A tensor of the file, in fractions; bounds that are no numbers where it holds none."""
    array = np.asarray(array)
    if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        return Interval(np.array(array, dtype=np.float64) * np.nan, np.array(array) * np.nan, True, kind)
    values = fractions(array)
    return Interval(values, values, True, kind)


def fractions(array: Array) -> Array:
    """Finite numbers as fractions."""
    result: Array = np.empty(array.shape, dtype=object)
    result.flat[:] = [Fraction(item) for item in array.ravel().tolist()]
    return result


def floats(value: Interval) -> Interval:
    """The same in float64, rounded outwards."""
    if not value.is_exact:
        return value

    def outward(values: Array, direction: float) -> Array:
        near = values.astype(np.float64)
        wrong = np.array([Fraction(a) != b for a, b in zip(near.ravel().tolist(), values.ravel(), strict=True)], bool)
        return np.where(wrong.reshape(near.shape), np.nextafter(near, direction), near)

    return Interval(outward(value.low, -np.inf), outward(value.high, np.inf), value.constant, value.kind)


def add(a: Interval, b: Interval, call: Call) -> Interval:
    """``a + b``."""
    return call.rounded(a.low + b.low, a.high + b.high)


def sub(a: Interval, b: Interval, call: Call) -> Interval:
    """``a - b``."""
    return call.rounded(a.low - b.high, a.high - b.low)


def mul(a: Interval, b: Interval, call: Call) -> Interval:
    """``a * b``."""
    products = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
    low, high = products[0], products[0]
    for item in products[1:]:
        low, high = np.minimum(low, item), np.maximum(high, item)
    return call.rounded(low, high)


def inverse(value: Interval, call: Call) -> Interval:
    """``1 / value``."""
    if ((value.low <= 0) & (value.high >= 0)).any():
        raise ZeroDivisionError("divides by 0")
    return call.rounded(1 / value.high, 1 / value.low)


def div(a: Interval, b: Interval, call: Call) -> Interval:
    """``a / b``; of integers, towards zero."""
    if a.kind in INTEGER_KINDS and call.constant:
        return call.made(each(int)(a.low / b.low), each(int)(a.high / b.high), a.kind)
    if ((b.low <= 0) & (b.high >= 0)).any():
        raise ZeroDivisionError("divides by 0")
    quotients = [a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high]
    low, high = quotients[0], quotients[0]
    for item in quotients[1:]:
        low, high = np.minimum(low, item), np.maximum(high, item)
    return call.rounded(low, high)


def root(value: Interval, call: Call) -> Interval:
    """The square root."""
    if (value.low < 0).any():
        raise ValueError("takes the root of a negative number")
    if not value.is_exact:
        return call.rounded(np.sqrt(value.low), np.sqrt(value.high))
    return call.made(each(lambda item: _roots(item)[0])(value.low), each(lambda item: _roots(item)[1])(value.high))


def _roots(value: Fraction) -> tuple[Fraction, Fraction]:
    scale = 1 << (2 * (256 + value.denominator.bit_length()))
    whole = math.isqrt(value.numerator * scale // value.denominator)
    below = Fraction(whole, math.isqrt(scale))
    return (below, below) if below * below == value else (below, Fraction(whole + 1, math.isqrt(scale)))


def each(how: Callable[[Any], Any]) -> Callable[[Array], Array]:
    """``how`` on each element, as a fraction."""
    def apply(values: Array) -> Array:
        result: Array = np.empty(values.shape, dtype=object)
        result.flat[:] = [Fraction(how(item)) for item in values.ravel()]
        return result
    return apply


def product(x: Interval, weight: Interval, call: Call) -> Interval:
    """``x @ weight`` for constant weights; ``x`` has the observations last."""
    if call.constant:
        return call.made(x.low @ weight.low, x.high @ weight.high)
    low, high = np.moveaxis(x.low, -1, 0), np.moveaxis(x.high, -1, 0)
    if low.shape[-1] != weight.low.shape[0] or weight.low.ndim != 2:
        raise ValueError(f"multiplies shapes {low.shape[1:]} and {weight.low.shape}")
    if x.is_exact and (low == high).all() and (weight.low == weight.high).all():
        point = np.moveaxis(_times(low, weight.low), 0, -1)
        return call.made(point, point)
    zero = weight.low[:1, :1] * 0
    up, down = np.maximum(weight.low, zero), np.minimum(weight.low, zero)
    least, most = _times(low, up) + _times(high, down), _times(high, up) + _times(low, down)
    if not x.is_exact:
        size = np.maximum(np.abs(low), np.abs(high)) @ np.maximum(np.abs(weight.low), np.abs(weight.high))
        blur = np.maximum(np.abs(low), np.abs(high)) @ (weight.high - weight.low)
        slack = 4.0 * (low.shape[-1] + 2) * np.finfo(np.float64).eps * size + blur
        least, most = np.nextafter(least - slack, -np.inf), np.nextafter(most + slack, np.inf)
    return call.made(np.moveaxis(least, 0, -1), np.moveaxis(most, 0, -1))


def _times(left: Array, right: Array) -> Array:
    return np.dot(left, right) if left.dtype == object else left @ right


def number(value: float, like: Interval) -> Interval:
    """A constant in the arithmetic of ``like``."""
    array: Array = np.array(Fraction(value) if like.is_exact else value, dtype=like.low.dtype)
    return Interval(array, array, True)


