"""A float policy out of an ONNX graph: one chain of matrices, biases and activations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.train.pretrained.float_policy import CLIP, LARGEST_LAYER, LOGITS, TANH, FloatPolicy
from hls4rl.train.pretrained.functions import function_name

_REMEDY = "give a fully connected network's export, or a quantised one (QONNX, QDQ) with ONNX="
_SILENT = ("Identity", "Flatten", "Dropout")
_ACTIVATIONS = ("Relu", "Tanh", "Sigmoid", "Elu", "Selu", "LeakyRelu", "Softplus", "Softsign", "Mish", "Clip")
_DEFAULTS = {"Elu": {"alpha": 1.0}, "Selu": {}, "LeakyRelu": {"alpha": 0.01}}
_DECISIONS = ("Softmax", "LogSoftmax", "ArgMax")
"""What may stand at the end and changes no order of the logits."""


def read_onnx_chain(path: Path, squash: str | None) -> FloatPolicy:
    """The policy in the float graph ``path``; a Tanh at its end is the squash.

    Args:
        squash: ``clip`` or ``tanh``: what becomes of continuous outputs; None: they are logits.

    Raises:
        ProjectError: the graph is of another form; the message names the node.
    """
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and onnx raise whatever they like
        raise ProjectError(f"{path}: not a whole ONNX model ({' '.join(str(error).split())[:160]})") from error
    return _Chain(model.graph, str(path)).policy(squash)


class _Chain:
    def __init__(self, graph: Any, where: str) -> None:
        self._graph, self._where = graph, where
        self._constants = {item.name: self._array(item) for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self._constants[node.output[0]] = self._array(node.attribute[0].t)
        self._weights: list[FloatArray] = []
        self._biases: list[FloatArray] = []
        self._activations: list[str] = []
        self._decided = False

    @property
    def _features(self) -> int:
        """Of an observation, which the input's shape says last."""
        shape = next(item for item in self._graph.input if item.name not in self._constants).type.tensor_type.shape
        size = shape.dim[-1].dim_value if shape.dim else 0
        if not 1 <= size <= LARGEST_LAYER:
            raise self._error("input", "does not say how many features it has")
        return int(size)

    def policy(self, squash: str | None) -> FloatPolicy:
        inputs = [item.name for item in self._graph.input if item.name not in self._constants]
        if len(inputs) != 1 or len(self._graph.output) != 1:
            raise self._error("graph", f"has {len(inputs)} inputs and {len(self._graph.output)} outputs, not one each")
        current = inputs[0]
        for node in self._graph.node:
            if node.op_type == "Constant":
                continue
            others = [name for name in node.input if name and name != current]
            known = all(name in self._constants for name in others)
            if current not in node.input or len(node.output) != 1 or not known:
                raise self._error(self._named(node), "does not belong to one chain from the input to the output")
            self._take(node, [self._constants[name] for name in others], node.input[0] == current)
            current = node.output[0]
        if current != self._graph.output[0].name or not self._weights:
            raise self._error("graph", "is no chain of layers from its input to its output")
        bounds = self._unscaled() if squash in (None, TANH) else None
        output = squash or LOGITS
        if self._activations[-1] == "tanh" and squash in (None, TANH):
            self._activations[-1], output = "identity", TANH
        if output not in (LOGITS, CLIP, TANH):
            raise ProjectError(f"SQUASH={squash} is not known; give {CLIP} or {TANH}")
        self._merge()
        return FloatPolicy("ONNX", tuple(self._weights), tuple(self._biases), tuple(self._activations), output,
                           bounds=bounds)

    def _unscaled(self) -> tuple[FloatArray, FloatArray] | None:
        """The bounds that a factor and an addend behind the last tanh give, which are taken away; None without."""
        last = self._weights[-1]
        if self._activations[-2:] != ["tanh", "identity"] or np.count_nonzero(last - np.diag(np.diag(last))):
            return None
        scale, middle = np.diag(self._weights.pop()), self._biases.pop()
        self._activations.pop()
        if (scale <= 0).any():
            raise self._error("graph", "multiplies the actions by a number that is not positive")
        return middle - scale, middle + scale

    def _merge(self) -> None:
        """Layers with nothing between become one."""
        for index in reversed(range(len(self._weights) - 1)):
            if self._activations[index] == "identity":
                after = self._weights[index + 1]
                self._biases[index + 1] = self._biases[index + 1] + after @ self._biases[index]
                self._weights[index + 1] = after @ self._weights[index]
                del self._weights[index], self._biases[index], self._activations[index]

    def _take(self, node: Any, constants: list[FloatArray], first: bool) -> None:
        kind, settings = node.op_type, {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        if self._decided or (kind in _DECISIONS and not self._weights):
            raise self._error(self._named(node), "stands where no policy has it")
        if kind == "Gemm" and first and not settings.get("transA"):
            weight = constants[0] if settings.get("transB") else constants[0].T
            weight = weight * settings.get("alpha", 1.0)
            self._layer(node, weight, settings.get("beta", 1.0) * constants[1] if len(constants) > 1 else None)
        elif kind == "MatMul" and first and constants[0].ndim == 2:
            self._layer(node, constants[0].T, None)
        elif kind in ("Add", "Sub", "Mul", "Div") and len(constants) == 1 and (first or kind in ("Add", "Mul")):
            self._affine(node, kind, constants[0])
        elif kind in _ACTIVATIONS and self._weights and self._activations[-1] == "identity":
            self._activate(node, settings, constants)
        elif kind in _DECISIONS:
            self._decided = kind == "ArgMax"
        elif kind not in _SILENT:
            raise self._error(self._named(node), "is not known in a float policy")

    def _layer(self, node: Any, weight: FloatArray, bias: FloatArray | None) -> None:
        if weight.ndim != 2 or (bias is not None and bias.size not in (1, len(weight))):
            raise self._error(self._named(node), "is no fully connected layer")
        if self._weights and len(self._weights[-1]) != weight.shape[1]:
            raise self._error(self._named(node), "does not fit the layer before it")
        self._weights.append(np.array(weight))
        self._biases.append(np.zeros(len(weight)) + (0.0 if bias is None else bias.reshape(-1)))
        self._activations.append("identity")

    def _affine(self, node: Any, kind: str, constant: FloatArray) -> None:
        """Into the layer before it, or into a diagonal one of its own."""
        if not self._weights or self._activations[-1] != "identity":
            self._layer(node, np.eye(len(self._weights[-1]) if self._weights else self._features), None)
        weight, bias = self._weights[-1], self._biases[-1]
        if constant.size not in (1, len(weight)) or (kind == "Div" and not constant.all()):
            raise self._error(self._named(node), "divides by 0, or has not one value for each output of its layer")
        factor = constant.reshape(-1)
        if kind in ("Add", "Sub"):
            self._biases[-1] = bias + (factor if kind == "Add" else -factor)
            return
        factor = factor if kind == "Mul" else 1.0 / factor
        self._weights[-1] = weight * np.broadcast_to(factor, (len(weight),))[:, None]
        self._biases[-1] = bias * factor

    def _activate(self, node: Any, settings: dict[str, Any], constants: list[FloatArray]) -> None:
        kind = node.op_type
        if kind == "Clip":
            ends = [float(item.reshape(-1)[0]) for item in constants]
            ends = ends or [float(settings.get(key, np.inf)) for key in ("min", "max")]
            names = {(-1.0, 1.0): "hard-tanh", (0.0, 6.0): "relu6"}
            if len(ends) != 2 or tuple(ends) not in names:
                raise self._error(self._named(node), f"clips to {ends}; -1 … 1 and 0 … 6 are known")
            self._activations[-1] = names[(ends[0], ends[1])]
            return
        usual = _DEFAULTS.get(kind, {})
        if any(not np.isclose(value, usual.get(name, value)) for name, value in settings.items()):
            raise self._error(self._named(node), f"has {settings}; only the usual {usual} are known")
        self._activations[-1] = function_name(kind, self._where)

    def _array(self, tensor: Any) -> FloatArray:
        return np.asarray(numpy_helper.to_array(tensor), dtype=np.float64)

    def _named(self, node: Any) -> str:
        return f"node '{node.name or node.output[0]}' ({node.op_type})"

    def _error(self, place: str, reason: str) -> ProjectError:
        return ProjectError(f"{self._where}: {place} {reason}; {_REMEDY}")
