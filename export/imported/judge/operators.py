"""What each ONNX and QONNX operator does to intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
from onnx import TensorProto

from hls4rl.export.imported.judge.interval import (
    INTEGER_KINDS,
    Array,
    Call,
    Interval,
    add,
    div,
    each,
    fractions,
    mul,
    number,
    product,
    root,
    sub,
)
from hls4rl.export.imported.judge.moves import MOVES


def _matmul(call: Call) -> Interval:
    left, right = call.values[0], call.values[1]
    if left is None or right is None or not right.constant:
        raise ValueError("has the weights on its left")
    return product(left, right, call)


def _gemm(call: Call) -> Interval:
    x, weight = call.values[0], call.plain(1)
    if x is None or call.attributes.get("transA", 0):
        raise ValueError("transposes its input")
    if call.attributes.get("transB", 0):
        weight = Interval(weight.low.T, weight.high.T, True)
    result = product(x, weight, call)
    scale = [number(float(call.attributes.get(key, 1.0)), result) for key in ("alpha", "beta")]
    result = mul(result, scale[0], call)
    return add(result, mul(call.operand(2), scale[1], call), call) if call.has(2) else result


def _normalise(call: Call) -> Interval:
    if call.attributes.get("training_mode", 0):
        raise ValueError("is in training mode")
    x = call.values[0]
    if x is None or x.constant:
        raise ValueError("normalises a constant")
    shape = [1, -1] + [1] * (x.low.ndim - 2)

    def along(index: int) -> Interval:
        value = call.plain(index)
        return Interval(value.low.reshape(shape), value.high.reshape(shape), True)

    gamma, beta, mean, variance = (along(index) for index in range(1, 5))
    epsilon = number(float(call.attributes.get("epsilon", np.float32(1e-5))), x)
    spread = root(add(variance, epsilon, call), call)
    return add(mul(div(sub(x, mean, call), spread, call), gamma, call), beta, call)


# Functions that never fall, and roundings

def _monotone(how: Callable[[Array], Array]) -> Callable[[Call], Interval]:
    def apply(call: Call) -> Interval:
        value = call.operand(0)
        return call.made(how(value.low), how(value.high))
    return apply


def _clip(call: Call) -> Interval:
    value, bounds = call.operand(0), []
    for index, key in ((1, "min"), (2, "max")):
        found = call.attributes.get(key)
        bounds.append(call.operand(index) if call.has(index) else
                      None if found is None or math.isinf(found) else number(float(found), value))
    low, high = value.low, value.high
    if bounds[0] is not None:
        low, high = np.maximum(low, bounds[0].low), np.maximum(high, bounds[0].high)
    if bounds[1] is not None:
        low, high = np.minimum(low, bounds[1].low), np.minimum(high, bounds[1].high)
    return call.made(low, high)


def _extreme(how: Callable[[Array, Array], Array]) -> Callable[[Call], Interval]:
    def apply(call: Call) -> Interval:
        result = call.operand(0)
        for index in range(1, len(call.values)):
            other = call.operand(index)
            result = call.made(how(result.low, other.low), how(result.high, other.high))
        return result
    return apply


def _leaky(call: Call) -> Interval:
    value, slope = call.operand(0), number(float(call.attributes.get("alpha", np.float32(0.01))), call.operand(0))
    if slope.low < 0:
        raise ValueError("falls")
    scaled = mul(value, slope, call)
    return call.made(np.where(value.low > 0, value.low, scaled.low), np.where(value.high > 0, value.high, scaled.high))


def _smooth(call: Call) -> Interval:
    value, is_tanh = call.operand(0), call.node.op_type == "Tanh"
    if value.is_exact:
        how = _tanh if is_tanh else _logistic
        return call.made(each(lambda item: how(item)[0])(value.low), each(lambda item: how(item)[1])(value.high))
    if is_tanh:
        low, high = np.tanh(value.low), np.tanh(value.high)
    else:
        low, high = 1 / (1 + np.exp(-value.low)), 1 / (1 + np.exp(-value.high))
    slack = 16 * np.finfo(np.float64).eps
    return call.made(low - slack * np.abs(low), high + slack * np.abs(high))


def _logistic(value: Fraction) -> tuple[Fraction, Fraction]:
    """1 / (1 + exp(-x))."""
    if value > 3000:
        return 1 - Fraction(1, 1 << 4000), Fraction(1)
    if value < -3000:
        return Fraction(0), Fraction(1, 1 << 4000)
    digits = Context(prec=120, Emax=10**9, Emin=-(10**9))
    power = Fraction(digits.exp(digits.divide(Decimal(-value.numerator), Decimal(value.denominator))))
    slack = power / 10**110 if value else Fraction(0)
    return 1 / (1 + power + slack), 1 / (1 + power - slack)


def _tanh(value: Fraction) -> tuple[Fraction, Fraction]:
    if abs(value) < Fraction(1, 1 << 40) and value:  # x - x³/3 < tanh x < x
        near = value - value**3 / 3
        return (near, value) if value > 0 else (value, near)
    low, high = _logistic(2 * value)
    return 2 * low - 1, 2 * high - 1


def _away(how: Callable[[Array], Array]) -> Callable[[Array], Array]:
    return lambda values: np.sign(values) * how(np.abs(values))


_FLOAT_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "ROUND": np.rint, "HALF_EVEN": np.rint, "FLOOR": np.floor, "CEIL": np.ceil, "DOWN": np.trunc, "UP": _away(np.ceil),
}


def _half(value: Fraction, up: bool) -> int:
    size = abs(value)
    whole = math.floor(size)
    over = size - whole
    whole += over > Fraction(1, 2) or (up and over == Fraction(1, 2))
    return whole if value >= 0 else -whole


_EXACT_ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "ROUND": round, "HALF_EVEN": round, "FLOOR": math.floor, "CEIL": math.ceil, "DOWN": math.trunc,
    "UP": lambda value: math.ceil(abs(value)) * (1 if value > 0 else -1),
    "HALF_UP": lambda value: _half(value, True), "HALF_DOWN": lambda value: _half(value, False),
}


def _float_half(values: Array, up: bool) -> Array:
    whole = np.floor(np.abs(values))
    over = np.abs(values) - whole
    result: Array = np.sign(values) * (whole + ((over >= 0.5) if up else (over > 0.5)))
    return result


def _round(value: Interval, mode: str, call: Call) -> Interval:
    if value.is_exact:
        how = each(_EXACT_ROUNDINGS[mode])
    elif mode in ("HALF_UP", "HALF_DOWN"):
        how = lambda values: _float_half(values, mode == "HALF_UP")  # noqa: E731
    else:
        how = _FLOAT_ROUNDINGS[mode]
    if not call.constant and not value.is_exact:
        middle = (value.low + value.high) / 2 + (0.5 if mode in ("FLOOR", "CEIL", "DOWN", "UP") else 0.0)
        call.run.gaps.append(np.abs(middle - np.floor(middle) - 0.5).reshape(-1, middle.shape[-1]).min(axis=0))
    return call.made(how(value.low), how(value.high))


def _sign(value: Interval, call: Call) -> Interval:
    one = value.low * 0 + 1
    if not call.constant and not value.is_exact:
        size = np.abs(value.low + value.high).reshape(-1, value.low.shape[-1])
        call.run.gaps.append((size / (1e-30 + size.max())).min(axis=0))
    return call.made(np.where(value.low >= 0, one, -one), np.where(value.high >= 0, one, -one))


def _quant(call: Call) -> Interval:
    if call.node.domain not in ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"):
        raise ValueError(f"is of the domain '{call.node.domain}'")
    scale, zero, bits = (call.operand(index) for index in (1, 2, 3))
    if (scale.low <= 0).any():
        raise ValueError("has a scale that is not positive")
    count, text = int(bits.low.flat[0]), call.attributes.get("rounding_mode", b"ROUND").decode().upper()
    signed, narrow = bool(call.attributes.get("signed", 1)), bool(call.attributes.get("narrow", 0))
    steps = add(div(call.operand(0), scale, call), zero, call)
    if signed and count == 1:
        levels = _sign(steps, call)
    else:
        low = -(2 ** (count - 1)) + narrow if signed else 0
        high = 2 ** (count - 1) - 1 if signed else 2**count - 1 - narrow
        levels = _bounded(_round(_bounded(steps, low, high, call), text, call), low, high, call)
    return mul(sub(levels, zero, call), scale, call)


def _bounded(value: Interval, low: int, high: int, call: Call) -> Interval:
    least, most = (number(float(item), value) for item in (low, high))
    return call.made(
        np.minimum(np.maximum(value.low, least.low), most.low), np.minimum(np.maximum(value.high, least.low), most.low)
    )


def _trunc(call: Call) -> Interval:
    if call.node.domain not in ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"):
        raise ValueError(f"is of the domain '{call.node.domain}'")
    scale, zero = call.operand(1), call.operand(2)
    text = call.attributes.get("rounding_mode", b"FLOOR").decode().upper()
    steps = _round(add(div(call.operand(0), scale, call), zero, call), "ROUND", call)
    if len(call.values) == 5:
        by = number(2.0 ** int(call.plain(3).low.flat[0] - call.plain(4).low.flat[0]), steps)
        return mul(sub(_round(div(steps, by, call), text, call), zero, call), scale, call)
    unit, bits = call.operand(4), int(call.plain(5).low.flat[0])
    by = number(2.0 ** round(math.log2(float(unit.low.flat[0]) / float(scale.low.flat[0]))), steps)
    signed, narrow = int(call.attributes.get("signed", 1)), int(call.attributes.get("narrow", 0))
    low = narrow - 2 ** (bits - 1) if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1 - narrow
    cut = _bounded(_round(_bounded(div(steps, by, call), low, high, call), text, call), low, high, call)
    return mul(sub(cut, div(zero, by, call), call), unit, call)


def _bipolar(call: Call) -> Interval:
    if call.node.domain not in ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"):
        raise ValueError(f"is of the domain '{call.node.domain}'")
    return mul(_sign(call.operand(0), call), call.operand(1), call)


def _laid(call: Call, index: int, rank: int) -> Interval:
    value, axis = call.plain(index), int(call.attributes.get("axis", 1)) % rank
    shape = [] if value.low.size == 1 else [-1 if place == axis else 1 for place in range(rank)]
    low, high = value.low.reshape(shape), value.high.reshape(shape)
    return Interval(low, high, True) if call.constant else Interval(low[..., None], high[..., None], True)


def _quantize(call: Call) -> Interval:
    value = call.operand(0)
    rank = value.low.ndim - (0 if call.constant else 1)
    kind = call.plain(2).kind if call.has(2) else int(call.attributes.get("output_dtype", 0)) or TensorProto.UINT8
    steps = _round(div(value, _laid(call, 1, rank), call), "ROUND", call)
    moved = add(steps, _laid(call, 2, rank), call) if call.has(2) else steps
    whole = _bounded(call.made(_nearest(moved.low), _nearest(moved.high)), *INTEGER_KINDS[kind], call)
    return Interval(whole.low, whole.high, call.constant, kind)


def _nearest(values: Array) -> Array:
    # What was an integer before its bounds were moved outwards is one again.
    return values if values.dtype == object else np.rint(values)


def _dequantize(call: Call) -> Interval:
    value = call.operand(0)
    rank = value.low.ndim - (0 if call.constant else 1)
    if call.has(2):
        value = sub(value, _laid(call, 2, rank), call)
    return mul(value, _laid(call, 1, rank), call)


def _cast(call: Call) -> Interval:
    value, to = call.operand(0), int(call.attributes["to"])
    if to == TensorProto.BOOL:
        one = value.low * 0 + 1
        surely, maybe = (value.low > 0) | (value.high < 0), (value.low != 0) | (value.high != 0)
        return call.made(np.where(surely, one, one - one), np.where(maybe, one, one - one), to)
    if to in INTEGER_KINDS:
        low, high = INTEGER_KINDS[to]
        if (value.low <= low - 1).any() or (value.high >= high + 1).any():
            raise ValueError("casts what an integer does not hold")
        whole = _round(value, "DOWN", call)
        return Interval(whole.low, whole.high, call.constant, to)
    floats = {TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.FLOAT16: np.float16}
    if to not in floats or (to == TensorProto.FLOAT16 and not call.constant):
        raise ValueError(f"casts to type {to}")
    if call.constant:
        cast = fractions(value.low.astype(np.float64).astype(floats[to]))
        return Interval(cast, cast, True, to)
    return Interval(value.low, value.high, False, to)


def _two(how: Callable[[Interval, Interval, Call], Interval]) -> Callable[[Call], Interval]:
    return lambda call: how(call.operand(0), call.operand(1), call)


OPERATORS: dict[str, Callable[[Call], Interval]] = {
    "Add": _two(add), "Sub": _two(sub), "Mul": _two(mul), "Div": _two(div),
    "Neg": lambda call: call.made(-call.operand(0).high, -call.operand(0).low),
    "Sqrt": lambda call: root(call.operand(0), call), "MatMul": _matmul, "Gemm": _gemm,
    "BatchNormalization": _normalise,
    "Relu": _monotone(lambda values: np.maximum(values, values * 0)), "Clip": _clip, "LeakyRelu": _leaky,
    "Min": _extreme(np.minimum), "Max": _extreme(np.maximum), "Tanh": _smooth, "Sigmoid": _smooth,
    "Floor": lambda call: _round(call.operand(0), "FLOOR", call),
    "Ceil": lambda call: _round(call.operand(0), "CEIL", call),
    "Round": lambda call: _round(call.operand(0), "ROUND", call),
    "Quant": _quant, "IntQuant": _quant, "BipolarQuant": _bipolar, "Trunc": _trunc,
    "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize, "Cast": _cast,
    **MOVES,
}
"""How each operator acts on intervals."""
