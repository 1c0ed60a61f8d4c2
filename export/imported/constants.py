"""The constants of a graph, in fractions: whatever its exporter left to be computed is computed without rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from hls4rl.export.imported.exact import root
from hls4rl.export.imported.quantisers import QUANTISERS, Exact, Refuse, along, attributes, read_quantiser

_FLOATS = {TensorProto.FLOAT16: np.float16, TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64}
_INTEGERS = {
    TensorProto.INT8: 8, TensorProto.INT16: 16, TensorProto.INT32: 32, TensorProto.INT64: 64,
}


@dataclass
class Constants:
    """All tensors of a graph that don't depend on its input, by name."""

    refuse: Refuse
    values: dict[str, Exact] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    """ONNX's element type of each."""
    rough: set[str] = field(default_factory=set)
    """Those with a root in them: right but for :data:`hls4rl.export.imported.exact.IRRATIONAL` of their size."""
    broken: dict[str, str] = field(default_factory=dict)
    """Those that hold no numbers, and why; who needs one is refused."""

    def add(self, name: str, tensor: onnx.TensorProto) -> None:
        """Take an initialiser."""
        array = np.asarray(numpy_helper.to_array(tensor))
        if array.dtype.kind not in "biuf":
            self.broken[name] = f"is of {array.dtype}"
        elif not np.isfinite(array).all():
            self.broken[name] = "holds values that are no numbers"
        else:
            self.put(name, exact(array), tensor.data_type)

    def put(self, name: str, values: Exact, kind: int = TensorProto.FLOAT) -> None:
        """Keep a tensor."""
        self.values[name], self.types[name] = values, kind

    def has(self, name: str) -> bool:
        """Whether ``name`` is one of them, broken or not."""
        return name in self.values or name in self.broken

    def get(self, node: onnx.NodeProto, index: int) -> Exact:
        """Input ``index`` of ``node``.

        Raises:
            ProjectError: it is missing, depends on the observation, or holds no numbers.
        """
        name = node.input[index] if index < len(node.input) else ""
        if name in self.broken:
            raise self.refuse(node, f"has an input {index} that {self.broken[name]}; export the model again")
        if name not in self.values:
            raise self.refuse(node, f"has an input {index} that is no constant; make its parameters constants")
        return self.values[name]

    def integers(self, node: onnx.NodeProto, index: int, key: str) -> list[int] | None:
        """Axes or the like: an input since some opset, an attribute ``key`` before; None if there is neither."""
        if index < len(node.input) and node.input[index]:
            return [int(item) for item in self.get(node, index).flat]
        found = attributes(node).get(key)
        return None if found is None else [int(item) for item in np.atleast_1d(found)]

    def compute(self, node: onnx.NodeProto) -> None:
        """Compute a node on constants alone.

        Raises:
            ProjectError: it has no exact meaning here.
        """
        if len(node.output) != 1 and node.op_type != "Dropout":
            raise self.refuse(node, "computes several constants at once; fold the constants first")
        if node.op_type == "Constant":
            self._constant(node)
            return
        how = _COMPUTED.get(node.op_type)
        if node.op_type in QUANTISERS:
            self.put(node.output[0], self._quantised(node), self._quantised_type(node))
        elif how is None or node.domain not in ("", "ai.onnx"):
            raise self.refuse(node, "computes a constant in a way that isn't known; fold the constants first")
        else:
            kind = int(attributes(node)["to"]) if node.op_type == "Cast" else (
                TensorProto.INT64 if node.op_type == "Shape" else self.types.get(node.input[0], TensorProto.FLOAT)
            )
            self.put(node.output[0], np.asarray(how(self, node), dtype=object), kind)
        if any(name in self.rough for name in node.input):
            if node.op_type not in ("Mul", "Div", "Neg", *_MOVED):
                raise self.refuse(node, "adds to or rounds a root that is irrational; fold the constants first")
            self.rough.add(node.output[0])

    def _constant(self, node: onnx.NodeProto) -> None:
        values = attributes(node)
        for key, found in values.items():
            if key == "value":
                self.add(node.output[0], found)
            elif key in ("value_float", "value_floats", "value_int", "value_ints"):
                array = np.asarray(found, dtype=np.float32 if "float" in key else np.int64)
                self.put(node.output[0], exact(array), TensorProto.FLOAT if "float" in key else TensorProto.INT64)
            else:
                raise self.refuse(node, f"holds a {key}; only numbers are supported")
        if not values:
            raise self.refuse(node, "holds nothing; export the model again")

    def _quantised(self, node: onnx.NodeProto) -> Exact:
        values = self.get(node, 0)
        found = read_quantiser(node, self.get, values.ndim, self.types, self.refuse)
        levels = exactly(found.levels.level)(values / found.scale + found.zero)
        return np.asarray(found.gain * levels + found.base, dtype=object)

    def _quantised_type(self, node: onnx.NodeProto) -> int:
        if node.op_type != "QuantizeLinear":
            return int(TensorProto.FLOAT)
        return self.types.get(node.input[2] if len(node.input) > 2 else "", int(TensorProto.UINT8))

    def cast(self, node: onnx.NodeProto) -> Exact:
        """A Cast of constants, by ONNX's rules."""
        values, to = self.get(node, 0), int(attributes(node)["to"])
        if to in _FLOATS:
            if any(Fraction(float(item)) != item for item in values.flat):
                raise self.refuse(node, "rounds a constant that no float64 holds; fold the constants first")
            with np.errstate(over="ignore"):
                rounded = values.astype(np.float64).astype(_FLOATS[to])
            if not np.isfinite(rounded).all():
                raise self.refuse(node, "casts constants that are too large for their type; export the model again")
            return exact(rounded)
        if to == TensorProto.BOOL:
            return exactly(bool)(values)
        if to not in _INTEGERS:
            raise self.refuse(node, f"casts to {TensorProto.DataType.Name(to)}, which is not supported")
        whole = exactly(int)(values)
        if any(not -(1 << _INTEGERS[to] - 1) <= item < 1 << _INTEGERS[to] - 1 for item in whole.flat):
            raise self.refuse(node, "casts constants that are too large for their type; export the model again")
        return whole

    def quotient(self, node: onnx.NodeProto) -> Exact:
        """Div by constants."""
        divisor = self.get(node, 1)
        if not all(divisor.flat):
            raise self.refuse(node, "divides by 0; export the model again")
        result: Exact = self.get(node, 0) / divisor
        if self.types.get(node.input[0]) in _INTEGERS:
            return exactly(int)(result)
        return result

    def power(self, node: onnx.NodeProto) -> Exact:
        """Pow with whole or half exponents, or Sqrt."""
        base = self.get(node, 0)
        exponents = self.get(node, 1) if node.op_type == "Pow" else np.array(Fraction(1, 2), dtype=object)
        base, exponents = np.broadcast_arrays(base, exponents)
        results = []
        for value, exponent in zip(base.flat, exponents.flat, strict=True):
            if (2 * exponent).denominator != 1 or abs(exponent) > 8 or value < 0 or (not value and exponent <= 0):
                raise self.refuse(node, f"takes {float(value):g} to the power of {float(exponent):g}; only roots and "
                                        "whole powers of positive numbers are supported")
            if exponent.denominator == 2:
                value, is_exact = root(value) if value else (value, True)
                exponent *= 2
                if not is_exact:
                    self.rough.add(node.output[0])
            results.append(value ** int(exponent))
        return np.array(results, dtype=object).reshape(base.shape)


def exact(array: Any) -> Exact:
    """Finite numbers as fractions."""
    result: Exact = np.empty(array.shape, dtype=object)
    result.flat[:] = [Fraction(item) for item in array.ravel().tolist()]
    return result


def exactly(how: Callable[[Any], Any]) -> Callable[[Exact], Exact]:
    """``how`` on each element; integers and truths become fractions."""
    def apply(values: Exact) -> Exact:
        result: Exact = np.empty(values.shape, dtype=object)
        result.flat[:] = [Fraction(how(item)) for item in values.ravel()]
        return result
    return apply


def shaped(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    """What a node that only moves elements does to an array; None if ``node`` is of another kind.

    Raises:
        ProjectError: its axes or the like are no constants, or of no sense for the array's shape.
    """
    how = _MOVED.get(node.op_type)
    if how is None or node.domain not in ("", "ai.onnx"):
        return None
    try:
        return how(constants, node, values)
    except (ValueError, IndexError, TypeError) as error:
        raise constants.refuse(node, f"does not fit a tensor of shape {values.shape} ({error})") from error


def _reshape(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    wanted = constants.integers(node, 1, "shape") or []
    if not attributes(node).get("allowzero", 0):
        wanted = [values.shape[index] if size == 0 else size for index, size in enumerate(wanted)]
    return values.reshape(wanted)


def _flatten(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    axis = int(attributes(node).get("axis", 1))
    first = int(np.prod(values.shape[:axis if axis >= 0 else axis + values.ndim]))
    return values.reshape(first, -1) if values.size else values.reshape(first, 0)


def _squeeze(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    axes = constants.integers(node, 1, "axes")
    return np.squeeze(values, None if axes is None else tuple(axes))


def _unsqueeze(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    return np.expand_dims(values, tuple(constants.integers(node, 1, "axes") or []))


def _gather(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    places = constants.get(node, 1)
    if any(item.denominator != 1 for item in places.flat):
        raise ValueError("its indices are no integers")
    return np.take(values, places.astype(np.int64), axis=int(attributes(node).get("axis", 0)))


def _slice(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    starts, ends = (constants.integers(node, index, key) or [] for index, key in ((1, "starts"), (2, "ends")))
    axes = constants.integers(node, 3, "axes") or list(range(len(starts)))
    steps = constants.integers(node, 4, "steps") or [1] * len(starts)
    places: list[Any] = [slice(None)] * values.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # Below -size with a negative step means to the very beginning, as ONNX has it.
        places[axis] = slice(start, None if step < 0 and end < -values.shape[axis] else end, step)
    return values[tuple(places)]


def _dropout(constants: Constants, node: onnx.NodeProto, values: Any) -> Any:
    if len(node.input) > 2 and node.input[2] and any(constants.get(node, 2).flat):
        raise constants.refuse(node, "is in training mode, which is random; export the model in evaluation mode")
    return values


_MOVED: dict[str, Callable[[Constants, onnx.NodeProto, Any], Any]] = {
    "Identity": lambda constants, node, values: values,
    "Dropout": _dropout, "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze, "Unsqueeze": _unsqueeze,
    "Gather": _gather, "Slice": _slice,
    "Transpose": lambda constants, node, values: np.transpose(values, attributes(node).get("perm")),
}


def _both(how: Callable[[Any, Any], Any]) -> Callable[[Constants, onnx.NodeProto], Exact]:
    return lambda constants, node: np.asarray(how(constants.get(node, 0), constants.get(node, 1)), dtype=object)


def _concatenated(constants: Constants, node: onnx.NodeProto) -> Exact:
    return np.concatenate(
        [constants.get(node, index) for index in range(len(node.input))], axis=int(attributes(node)["axis"])
    )


def _dequantised(constants: Constants, node: onnx.NodeProto) -> Exact:
    values, axis = constants.get(node, 0), int(attributes(node).get("axis", 1))
    scale = along(constants.get(node, 1), values.ndim, axis, node, constants.refuse)
    if len(node.input) > 2 and node.input[2]:
        values = values - along(constants.get(node, 2), values.ndim, axis, node, constants.refuse)
    return np.asarray(values * scale, dtype=object)


_COMPUTED: dict[str, Callable[[Constants, onnx.NodeProto], Any]] = {
    **{name: (lambda constants, node: shaped(constants, node, constants.get(node, 0))) for name in _MOVED},
    "Cast": Constants.cast, "Div": Constants.quotient, "Pow": Constants.power, "Sqrt": Constants.power,
    "Concat": _concatenated, "DequantizeLinear": _dequantised,
    "Add": _both(lambda a, b: a + b), "Sub": _both(lambda a, b: a - b), "Mul": _both(lambda a, b: a * b),
    "Neg": lambda constants, node: -constants.get(node, 0),
    "Shape": lambda constants, node: exact(np.array(constants.get(node, 0).shape)),
}
