"""Reads quantised graphs of others (Brevitas, QKeras, …) as exact networks, or refuses them by name."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from hls4rl.contract import INPUT_BITS, FixedPoint
from hls4rl.errors import ProjectError
from hls4rl.export.imported.exact import SIGN, ExactNetwork, Levels, Observation
from hls4rl.export.imported.graph import Graph
from hls4rl.export.imported.operators import made, moved
from hls4rl.export.imported.quantisers import QUANTISERS, attributes
from hls4rl.export.imported.tensors import Tensor
from hls4rl.export.model_file import load_model


def read_imported(path: Path, input_type: FixedPoint | None = None) -> ExactNetwork:
    """Read the graph in ``path``: a quantiser on the observation, then fully connected layers.

    A layer is MatMul or Gemm with weights on a grid, then any of Add, Sub, Mul, Div by constants and
    BatchNormalization, then functions that don't fall, then a quantiser. The last layer may go without it. Branches
    may meet in Add, Sub and Concat.

    Args:
        input_type: of the observation, for graphs that don't quantise it themselves.

    Raises:
        ProjectError: the graph has anything else; the message names the node and what to do.
    """
    model = load_model(path)
    try:
        return _Reader(model.graph, path.name, input_type).network()
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError, ArithmeticError) as error:
        raise ProjectError(
            f"{path.name}: not a well-formed ONNX graph ({' '.join(str(error).split())[:120]}); export the model again"
        ) from error


class _Reader:
    def __init__(self, graph: onnx.GraphProto, name: str, input_type: FixedPoint | None) -> None:
        self._name, self._source, self._type = name, graph, input_type
        self._features = 0
        self._graph = Graph(name, graph.output[0].name if graph.output else "")
        self._observation: Observation | None = None

    def network(self) -> ExactNetwork:
        """The whole graph."""
        for item in self._source.initializer:
            self._graph.constants.add(item.name, item)
        if self._source.sparse_initializer:
            raise ProjectError(f"{self._name}: has sparse initialisers; export the weights as plain ones")
        entry = self._entry()
        self._begin(entry)
        if len(self._source.output) != 1:
            names = ", ".join(f"'{item.name}'" for item in self._source.output)
            raise ProjectError(f"{self._name}: {len(self._source.output)} outputs ({names}); export the policy's alone")
        for node in self._source.node:
            self._read(node)
        return self._finished(self._source.output[0].name)

    def _begin(self, entry: onnx.ValueInfoProto) -> None:
        observation = Tensor.integers(self._shape(entry), entry.name, 0)
        self._features = len(observation)
        if self._type is None:
            self._graph.raw[entry.name] = observation
            return
        scale = Fraction(self._type.lsb)
        self._observation = Observation(scale, self._type, self._features, declared=True)
        self._graph.ranges += [Levels(self._type.minimum, self._type.maximum, "ROUND")] * self._features
        self._graph.tensors[entry.name] = observation.scaled(
            [scale] * self._features, [Fraction(0)] * self._features
        )

    def _entry(self) -> onnx.ValueInfoProto:
        inputs = [item for item in self._source.input if not self._graph.constants.has(item.name)]
        if len(inputs) != 1:
            names = ", ".join(f"'{item.name}'" for item in inputs)
            raise ProjectError(f"{self._name}: {len(inputs)} inputs ({names}); export the observation as the only one")
        return inputs[0]

    def _shape(self, entry: onnx.ValueInfoProto) -> tuple[int, ...]:
        sizes = [item.dim_value for item in entry.type.tensor_type.shape.dim]
        if entry.type.tensor_type.elem_type not in (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16):
            raise ProjectError(f"{self._name}: input '{entry.name}' is no tensor of floats; export the model with one")
        if len(sizes) > 1:
            sizes[0] = 1  # the batch
        sizes = sizes or [1, 0]
        if sizes[-1] < 1:
            sizes[-1] = self._width()
        if min(sizes) < 1:
            raise ProjectError(f"{self._name}: input '{entry.name}' has no fixed shape; export the model with one")
        return tuple(sizes)

    def _width(self) -> int:
        """Inputs of the first matrix product, for files that don't say how many features there are."""
        shapes = {item.name: list(item.dims) for item in self._source.initializer}
        makers = {output: node for node in self._source.node for output in node.output}
        for node in self._source.node:
            if node.op_type in ("MatMul", "Gemm"):
                name = node.input[1]
                while name in makers and makers[name].op_type in QUANTISERS:
                    name = makers[name].input[0]
                dims = shapes.get(name, [])
                return dims[1 if attributes(node).get("transB", 0) else 0] if len(dims) == 2 else 0
        return 0

    def _read(self, node: onnx.NodeProto) -> None:
        if not any(name in self._graph.tensors or name in self._graph.raw for name in node.input):
            if all(self._graph.constants.has(name) or not name for name in node.input):
                self._compute(node)
                return
            raise self._graph.refusal(node, "comes before what it needs; export the model again")
        if node.op_type == "Shape":
            source = self._graph.tensors.get(node.input[0]) or self._graph.raw[node.input[0]]
            sizes = np.array([Fraction(size) for size in source.shape], dtype=object)
            self._graph.constants.put(node.output[0], sizes, TensorProto.INT64)
            return
        if node.input[0] in self._graph.raw:
            self._observe(node, self._graph.raw[node.input[0]])
            return
        self._graph.tensors[node.output[0]] = made(self._graph, node)

    def _compute(self, node: onnx.NodeProto) -> None:
        # What cannot be computed is refused only if somebody needs it.
        try:
            self._graph.constants.compute(node)
        except ProjectError as error:
            for name in node.output:
                self._graph.constants.broken[name] = f"cannot be computed: {error}"

    def _observe(self, node: onnx.NodeProto, raw: Tensor) -> None:
        """What stands before the observation's quantiser, and the quantiser."""
        elsewhere = moved(self._graph, node, raw)
        if elsewhere is not None:
            self._graph.raw[node.output[0]] = elsewhere
        elif node.op_type == "Cast" and attributes(node).get("to") in (TensorProto.FLOAT, TensorProto.DOUBLE):
            self._graph.raw[node.output[0]] = raw
        elif node.op_type in QUANTISERS:
            self._host(node, raw)
        elif node.op_type in ("MatMul", "Gemm"):
            raise self._graph.refusal(
                node, "takes the raw observation, whose type is unknown; name it with INPUT='ap_fixed<16,6>', or "
                "begin the model with a quantiser (Brevitas: QuantIdentity, QKeras: QActivation)"
            )
        else:
            raise self._graph.refusal(
                node, "changes the observation before it is quantised, which the host would have to do; put it into "
                "the environment, or name the observation's type with INPUT='ap_fixed<16,6>'"
            )

    def _host(self, node: onnx.NodeProto, raw: Tensor) -> None:
        if self._observation is not None:
            raise self._graph.refusal(node, "quantises the observation a second time; use one quantiser for all of it")
        found = self._graph.quantiser(node, len(raw.shape))
        levels = found.levels
        if levels.rounding == SIGN:
            raise self._graph.refusal(node, "makes signs of the observation; give it a Quant of 2 bits or more")
        if levels.rounding != "ROUND":
            raise self._graph.refusal(
                node, f"rounds the observation by {levels.rounding}, but the host rounds half to even (ROUND); "
                "train with that"
            )
        if levels.type.bits > INPUT_BITS:
            raise self._graph.refusal(node, f"has {levels.type.bits} bits; give the observation {INPUT_BITS} at most")
        if (levels.type.minimum, levels.type.maximum) != (levels.low, levels.high) or any(found.zero.flat):
            raise self._graph.refusal(node, "has a narrow range or a zero point; export it without")
        if found.scale.size != 1:
            raise self._graph.refusal(node, "has an input 1 that is no single constant; take one scale a tensor here")
        if sorted(raw.picks) != list(range(self._features)):
            raise self._graph.refusal(node, "takes some features only; leave the others out of the observation")
        self._observation = Observation(found.scale.flat[0], levels.type, self._features)
        values = Tensor.integers(raw.shape, node.name or node.output[0], 0)
        self._graph.ranges += [levels] * self._features
        integers = replace(values, picks=raw.picks)
        self._graph.tensors[node.output[0]] = self._graph.valued(integers, found.gain, found.base)
    def _finished(self, output: str) -> ExactNetwork:
        tensor = self._graph.tensors.get(output)
        if tensor is None or self._observation is None:
            what = "is the observation itself" if output in self._graph.raw else "does not depend on the observation"
            raise ProjectError(f"{self._name}: output '{output}' {what}; nothing to build")
        try:
            tensor = self._graph.integers(output)
        except ValueError as error:
            raise ProjectError(
                f"{self._name}: the layer of node '{tensor.node}' ends in a function without a Quant after it; "
                "quantise it, or export the logits"
            ) from error
        alike = len(set(tensor.gain)) == len(set(tensor.offset)) == 1 and tensor.gain[0] > 0
        alike = alike and (len(tensor) > 1 or not tensor.offset[0])  # a single result is compared with 0
        last = tuple(range(len(self._graph.ranges) - len(tensor), len(self._graph.ranges)))
        if tensor.is_summed or tensor.picks != last or not alike or last[0] < self._features:
            self._graph.add(tensor, tensor.curves, None)
            tensor = Tensor.integers((len(tensor),), tensor.node, 0)
        if not self._graph.layers:
            raise ProjectError(f"{self._name}: no MatMul or Gemm after the input; nothing to build")
        return ExactNetwork(self._observation, tuple(self._graph.layers), tensor.gain, tensor.offset)
