"""What the operators that only move elements, or make constants, do to intervals."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from onnx import TensorProto, numpy_helper

from hls4rl.export.imported.judge.interval import Array, Call, Interval, constant, inverse, mul, number, root


def _moved(how: Callable[[Call, Array, int], Array]) -> Callable[[Call], Interval]:
    def apply(call: Call) -> Interval:
        value = call.values[0]
        if value is None:
            raise ValueError("has no input")
        rank = value.low.ndim - (0 if value.constant else 1)
        low, high = (np.asarray(how(call, item, rank)) for item in (value.low, value.high))
        return Interval(low, high, value.constant, value.kind)
    return apply


def _tail(call: Call, array: Array) -> tuple[int, ...]:
    return () if call.constant else (array.shape[-1],)


def _reshape(call: Call, array: Array, rank: int) -> Array:
    sizes = call.whole(1, "shape") or []
    if not call.attributes.get("allowzero", 0):
        sizes = [array.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    if -1 in sizes:
        known = int(np.prod([size for size in sizes if size != -1]))
        sizes[sizes.index(-1)] = int(np.prod(array.shape[:rank])) // max(known, 1)
    return array.reshape(*sizes, *_tail(call, array))


def _flatten(call: Call, array: Array, rank: int) -> Array:
    axis = int(call.attributes.get("axis", 1))
    axis = axis + rank if axis < 0 else axis
    return array.reshape(
        int(np.prod(array.shape[:axis])), int(np.prod(array.shape[axis:rank])), *_tail(call, array)
    )


def _squeeze(call: Call, array: Array, rank: int) -> Array:
    axes = call.whole(1, "axes")
    if axes is None:
        axes = [axis for axis in range(rank) if array.shape[axis] == 1]
    return np.squeeze(array, tuple(axis % rank for axis in axes))


def _unsqueeze(call: Call, array: Array, rank: int) -> Array:
    axes = call.whole(1, "axes") or []
    for axis in sorted(axis % (rank + len(axes)) for axis in axes):
        array = np.expand_dims(array, axis)
    return array


def _transpose(call: Call, array: Array, rank: int) -> Array:
    order = [int(axis) for axis in call.attributes.get("perm", range(rank)[::-1])]
    return np.transpose(array, order if call.constant else [*order, rank])


def _gather(call: Call, array: Array, rank: int) -> Array:
    axis = int(call.attributes.get("axis", 0)) % rank
    return np.take(array, np.array(call.plain(1).low, dtype=np.int64), axis=axis)


def _slice(call: Call, array: Array, rank: int) -> Array:
    starts, ends = call.whole(1, "starts") or [], call.whole(2, "ends") or []
    axes, steps = call.whole(3, "axes") or list(range(len(starts))), call.whole(4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = array.shape[axis % rank]
        if step > 0:
            places = range(size)[max(-size, start):min(size, end) if end >= -size else -size:step]
        else:
            places = range(size)[min(size - 1, start):end if end >= -size else None:step]
        array = np.take(array, np.array(list(places), dtype=np.int64), axis=axis % rank)
    return array


def _concat(call: Call) -> Interval:
    operands = [call.operand(index) for index in range(len(call.values))]
    axis = int(call.attributes["axis"])
    axis = axis if axis >= 0 or call.constant else axis - 1
    rows = max(operand.low.shape[-1] for operand in operands)
    if not call.constant:
        operands = [
            Interval(_repeated(operand.low, rows), _repeated(operand.high, rows)) for operand in operands
        ]
    return call.made(np.concatenate([p.low for p in operands], axis), np.concatenate([p.high for p in operands], axis))


def _repeated(array: Array, rows: int) -> Array:
    return np.broadcast_to(array, (*array.shape[:-1], rows))


def _given(call: Call) -> Interval:
    for key, value in call.attributes.items():
        if key == "value":
            return constant(numpy_helper.to_array(value), value.data_type)
        if key in ("value_float", "value_floats"):
            return constant(np.array(value, dtype=np.float32), TensorProto.FLOAT)
        if key in ("value_int", "value_ints"):
            return constant(np.array(value, dtype=np.int64), TensorProto.INT64)
    raise ValueError("holds no numbers")


def _shape(call: Call) -> Interval:
    value = call.values[0]
    if value is None:
        raise ValueError("has no input")
    sizes = value.low.shape if value.constant else value.low.shape[:-1]
    return constant(np.array(sizes, dtype=np.int64), TensorProto.INT64)


def _power(call: Call) -> Interval:
    value, exponent = call.operand(0), call.plain(1)
    power = Fraction(exponent.low.flat[0])
    if not call.constant or exponent.low.size != 1 or (2 * power).denominator != 1:
        raise ValueError("takes a power that is neither whole nor a half")
    base = root(value, call) if power.denominator == 2 else value
    times = abs(power.numerator)
    result = number(1.0, base)
    for _ in range(times):
        result = mul(result, base, call)
    return inverse(result, call) if power < 0 else result


MOVES: dict[str, Callable[[Call], Interval]] = {
    "Identity": _moved(lambda call, array, rank: array), "Dropout": _moved(lambda call, array, rank: array),
    "Reshape": _moved(_reshape), "Flatten": _moved(_flatten), "Squeeze": _moved(_squeeze),
    "Unsqueeze": _moved(_unsqueeze), "Transpose": _moved(_transpose), "Gather": _moved(_gather),
    "Slice": _moved(_slice), "Concat": _concat, "Constant": _given, "Shape": _shape, "Pow": _power,
}
"""How each of them acts on intervals."""
