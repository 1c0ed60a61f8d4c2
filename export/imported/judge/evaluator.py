"""The file as it stands, in ONNX's reference evaluator with QONNX's own quantisers, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.quant import quant
from qonnx.custom_op.general.trunc import trunc_v1, trunc_v2

from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError

DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")

def _quant(self: Any, x: Any, scale: Any, zero: Any, bits: Any, signed: Any = None, narrow: Any = None,
           rounding_mode: Any = None) -> tuple[Any]:
    signed = 1 if signed is None else signed
    return (np.asarray(quant(x, scale, zero, np.float64(bits.item()), signed, narrow or 0, rounding_mode or "ROUND")),)


def _trunc(self: Any, x: Any, scale: Any, zero: Any, bits: Any, *more: Any, rounding_mode: Any = None,
           signed: Any = None, narrow: Any = None) -> tuple[Any]:
    rounding_mode = rounding_mode or "FLOOR"
    if len(more) == 1:
        return (np.asarray(trunc_v1(x, scale, zero, bits, more[0], rounding_mode)),)
    signed = 1 if signed is None else signed
    return (np.asarray(trunc_v2(x, scale, zero, bits, narrow or 0, signed, more[0], more[1], rounding_mode)),)


def _bipolar(self: Any, x: Any, scale: Any) -> tuple[Any]:
    return (np.asarray(binary_quant(x, scale)),)


def _normalise(self: Any, x: Any, scale: Any, bias: Any, mean: Any, variance: Any, epsilon: Any = None,
               **options: Any) -> tuple[Any]:
    # Inference only: ONNX's own evaluator mixes the batch's mean and variance into the running ones.
    shape = [1, -1] + [1] * (x.ndim - 2)
    scale, bias, mean, variance = (item.reshape(shape) for item in (scale, bias, mean, variance))
    return ((x - mean) / np.sqrt(variance + (float(np.float32(1e-5)) if epsilon is None else epsilon)) * scale + bias,)


def _cast(self: Any, x: Any, to: Any = None, **options: Any) -> tuple[Any]:
    # What the graph takes for float32 stays float64: the rounding is the executor's, not the model's.
    if to in (TensorProto.FLOAT, TensorProto.DOUBLE):
        return (x.astype(np.float64),)
    return (x.astype(onnx.helper.tensor_dtype_to_np_dtype(to)),)


def _quantize(self: Any, x: Any, scale: Any, zero: Any = None, axis: Any = None, output_dtype: Any = None,
              **options: Any) -> tuple[Any]:
    # ONNX's own evaluator goes through int32, which large values leave; here they saturate, as is defined.
    kind = zero.dtype if zero is not None else onnx.helper.tensor_dtype_to_np_dtype(output_dtype or TensorProto.UINT8)
    shift = 0 if zero is None else _laid(zero, x.ndim, axis).astype(np.float64)
    low, high = _limits(kind)
    return (np.clip(np.rint(x / _laid(scale, x.ndim, axis)) + shift, low, high).astype(kind),)


def _limits(kind: Any) -> tuple[int, int]:
    text = str(np.dtype(kind))
    bits = int(text.removeprefix("u").removeprefix("int"))
    return (0, (1 << bits) - 1) if text.startswith("u") else (-(1 << bits - 1), (1 << bits - 1) - 1)


def _dequantize(self: Any, x: Any, scale: Any, zero: Any = None, axis: Any = None, **options: Any) -> tuple[Any]:
    steps = x.astype(np.float64) - (0 if zero is None else _laid(zero, x.ndim, axis).astype(np.float64))
    return (steps * _laid(scale, x.ndim, axis),)


def _laid(value: Any, rank: int, axis: int | None) -> Any:
    """A scale or zero point along its axis."""
    place = (1 if axis is None else axis) % max(rank, 1)
    return value if value.size == 1 else value.reshape([-1 if index == place else 1 for index in range(rank)])


def _operators() -> list[Any]:
    plain = {"BatchNormalization": _normalise, "Cast": _cast, "QuantizeLinear": _quantize,
             "DequantizeLinear": _dequantize}
    ours = {"Quant": _quant, "IntQuant": _quant, "BipolarQuant": _bipolar, "Trunc": _trunc}
    found = [type(name, (OpRun,), {"op_domain": "", "_run": how}) for name, how in plain.items()]
    return found + [
        type(name, (OpRun,), {"op_domain": domain, "_run": how}) for domain in DOMAINS for name, how in ours.items()
    ]


def evaluator(
    model: onnx.ModelProto, name: str, single_rows: int
) -> Callable[[FloatArray], tuple[FloatArray, IntArray]]:
    """The graph as a function of real observations, shape (rows, features): results, and of which rows they are.

    Of all rows, or of some that are spread over them where the graph takes only one at a time.
    """
    model = _in_float64(model)
    constants = {item.name for item in model.graph.initializer}
    entry = next(item for item in model.graph.input if item.name not in constants)
    sizes = [item.dim_value for item in entry.type.tensor_type.shape.dim]
    try:
        reference = ReferenceEvaluator(model, new_ops=_operators())
    except Exception as error:  # the evaluator's errors share no base class
        raise _refused(name, error) from error

    def shaped(observations: FloatArray) -> FloatArray:
        inner = [size for size in sizes[1:] if size > 0]
        if len(sizes) > 1 and int(np.prod(inner)) == observations.shape[1] and len(inner) == len(sizes) - 1:
            return observations.reshape(len(observations), *inner)
        return observations[0] if len(sizes) == 1 else observations

    def single(observations: FloatArray) -> FloatArray:
        return np.stack([
            np.asarray(reference.run(None, {entry.name: shaped(observations[row:row + 1])})[0]).ravel()
            for row in range(len(observations))
        ]).astype(np.float64)

    def run(observations: FloatArray) -> tuple[FloatArray, IntArray]:
        few, rows = single(observations[:3]), np.arange(len(observations))
        if len(sizes) != 1:
            try:
                together = np.asarray(reference.run(None, {entry.name: shaped(observations)})[0])
                if together.shape == (len(observations), few.shape[1]) and np.allclose(together[:3], few, rtol=1e-9):
                    return together.astype(np.float64), rows
            except Exception:
                pass
        rows = rows[::max(1, len(rows) // single_rows)]
        return single(observations[rows]), rows

    def guarded(observations: FloatArray) -> tuple[FloatArray, IntArray]:
        try:
            with np.errstate(all="ignore"):
                return run(observations)
        except Exception as error:
            raise _refused(name, error) from error

    return guarded


def _in_float64(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for item in copy.graph.initializer:
        _widen(item)
    for node in copy.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            elif attribute.name in ("value_float", "value_floats") and node.op_type == "Constant":
                value = onnx.helper.get_attribute_value(attribute)
                attribute.CopyFrom(onnx.helper.make_attribute(
                    "value", numpy_helper.from_array(np.array(value, dtype=np.float32).astype(np.float64))
                ))
    known = {item.domain for item in copy.opset_import}
    copy.opset_import.extend(onnx.helper.make_opsetid(domain, 1) for domain in DOMAINS if domain not in known)
    return copy


def _widen(tensor: onnx.TensorProto) -> None:
    if tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16):
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))


def _refused(name: str, error: Exception) -> ProjectError:
    return ProjectError(f"{name}: ONNX's evaluator cannot run it ({' '.join(str(error).split())[:160]})")
