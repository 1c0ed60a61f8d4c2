"""A graph while it is read: its constants, its tensors, and the layers that have ended so far."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx

from hls4rl.errors import ProjectError
from hls4rl.export.imported.constants import Constants
from hls4rl.export.imported.exact import Curve, ExactLayer, Levels, Tail
from hls4rl.export.imported.quantisers import Exact, Quantiser, read_quantiser
from hls4rl.export.imported.tensors import Tensor


class Graph:
    """What the operators of a graph work on."""

    def __init__(self, name: str, output: str) -> None:
        self.name, self.output = name, output
        self.constants = Constants(self.refusal)
        self.raw: dict[str, Tensor] = {}
        """The observation before its quantiser."""
        self.tensors: dict[str, Tensor] = {}
        """Those that depend on the quantised observation."""
        self.layers: list[ExactLayer] = []
        self.ranges: list[Levels] = []
        """Of each integer: first the observation's, then those that each layer ends in."""
        self._ended: dict[str, Tensor] = {}

    def integers(self, name: str) -> Tensor:
        """The tensor ``name`` as single integers, each with what it is worth: a layer ends here.

        Raises:
            ValueError: it is none.
        """
        if name not in self._ended:
            tensor = self.tensors[name]
            self._ended[name] = self._end(tensor) if tensor.is_curved else tensor
        return self._ended[name]

    def _end(self, tensor: Tensor) -> Tensor:
        tails = [Tail.of(curves) for curves in tensor.curves]
        if any(tail is None for tail in tails):
            raise ValueError("takes sums that no Quant has cut; quantise the layer before it")
        ends = [tail for tail in tails if tail is not None]
        numbers = np.zeros(len(tensor), dtype=np.int64)
        for levels in dict.fromkeys(tail.levels for tail in ends):  # one layer for each kind of levels
            places = np.array([index for index, tail in enumerate(ends) if tail.levels == levels])
            piece = tensor.taken(places)
            numbers[places] = np.arange(len(places)) + len(self.ranges)
            self.add(piece, tuple(ends[index].before for index in places), levels)
        made = Tensor.integers(tensor.shape, tensor.node, 0).taken(np.arange(len(tensor)).reshape(tensor.shape))
        made = replace(made, picks=tuple(numbers.tolist()))
        return made.scaled([tail.gain for tail in ends], [tail.offset for tail in ends])

    def add(self, tensor: Tensor, curves: tuple[tuple[Curve, ...], ...], levels: Levels | None) -> None:
        """End a layer: its sums, what lies over them, and the quantiser, if there is one."""
        layer = tensor.oriented()
        self.layers.append(ExactLayer(
            layer.node, layer.weight, layer.columns, layer.gain, layer.offset, curves, levels, layer.blur, layer.rough
        ))
        self.ranges += [levels] * len(layer) if levels is not None else []

    def quantiser(self, node: onnx.NodeProto, rank: int) -> Quantiser:
        """What a quantiser does to a tensor of ``rank`` axes."""
        if any(name in self.constants.rough for name in node.input):
            raise self.refusal(node, "has an irrational scale; fold the constants first")
        return read_quantiser(node, self.constants.get, rank, self.constants.types, self.refusal)

    def quantised(self, node: onnx.NodeProto, tensor: Tensor) -> Tensor:
        """What a quantiser makes of ``tensor``."""
        found = self.quantiser(node, len(tensor.shape))
        tensor, scales = tensor.spread(found.scale)
        tensor, zeros = tensor.spread(found.zero)
        cut = tensor.scaled([1 / scale for scale in scales], zeros).through(found.levels)
        return self.valued(cut, found.gain, found.base)

    def valued(self, tensor: Tensor, gain: Exact, base: Exact) -> Tensor:
        """``gain * tensor + base``."""
        tensor, factors = tensor.spread(gain)
        tensor, terms = tensor.spread(base)
        return tensor.scaled(factors, terms)

    def refusal(self, node: onnx.NodeProto, why: str) -> ProjectError:
        """The error that names ``node``."""
        name = node.name or (node.output[0] if node.output else "?")
        return ProjectError(f"{self.name}: node '{name}' ({node.op_type}) {why}")
