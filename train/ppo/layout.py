"""Where a network's numbers lie, and in what formats, as compiled functions take it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import Binary, Contract, FixedPoint, IntArray, LayerType, Real, Sign, Table

Numbers = NDArray[np.float32]
REAL, FIXED, SIGN = 0, 1, 2
"""Kinds of weights and biases."""
IDENTITY, RELU, HARD_TANH, TANH, CUT, BINARY, TABLE = range(7)
"""Kinds of activations: four in real numbers, and the integers' three."""
_CURVES = {"identity": IDENTITY, "relu": RELU, "hard-tanh": HARD_TANH, "tanh": TANH}


class Layout(NamedTuple):
    """One network of any depth."""

    sizes: IntArray
    """Features, units of each hidden layer, outputs."""
    weights: IntArray
    """Of each layer, where its weights begin in the flat array of numbers; its biases follow them."""
    biases: IntArray
    units: IntArray
    """Of the inputs and of each layer, where its values begin in the memory of one row."""
    kinds: IntArray
    """Of each layer's weights, biases and activations, shape (3, layers)."""
    formats: Numbers
    """Of the same, the least significant bit, minimum and maximum, shape (3, layers, 3)."""
    table: Numbers
    """Results of the layers with a table, one after the other."""
    table_starts: IntArray

    @property
    def length(self) -> int:
        """Weights and biases in all."""
        return int(self.biases[-1] + self.sizes[-1])

    @property
    def width(self) -> int:
        """Values of one row, the inputs and all layers."""
        return int(self.units[-1] + self.sizes[-1])

    def split(self, numbers: NDArray[Any]) -> list[NDArray[Any]]:
        """Weight, bias, weight, … of the layers: views of the flat ``numbers``."""
        found = []
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(self.sizes.tolist())):
            weight, bias = int(self.weights[layer]), int(self.biases[layer])
            found += [numbers[weight:bias].reshape(outputs, inputs), numbers[bias : bias + outputs]]
        return found


def layout_of(contract: Contract, sizes: Sequence[int]) -> Layout:
    """The layout of a network of ``sizes`` in ``contract``'s formats."""
    rows = [_formats(layer) for layer in contract.layers]
    tables = [layer.activation for layer in contract.layers]
    values = [np.array(kind.values) * kind.lsb if isinstance(kind, Table) else np.empty(0) for kind in tables]
    return _layout(sizes, rows, values)


def critic_layout(features: int, hidden: Sequence[int]) -> Layout:
    """The layout of a float network with ReLUs, which cost a tenth of hyperbolic tangents, and one output."""
    row = [(REAL, 1.0, 0.0, 0.0)] * 2
    rows = [[*row, (RELU, 1.0, 0.0, 0.0)] for _ in hidden] + [[*row, (IDENTITY, 1.0, 0.0, 0.0)]]
    return _layout((features, *hidden, 1), rows, [])


_Format = tuple[int, float, float, float]


def _layout(sizes: Sequence[int], rows: list[list[_Format]], tables: list[NDArray[Any]]) -> Layout:
    weights, biases, place = [], [], 0
    for inputs, outputs in itertools.pairwise(sizes):
        weights.append(place)
        biases.append(place + inputs * outputs)
        place += (inputs + 1) * outputs
    columns = np.array(rows, dtype=np.float64).transpose(1, 0, 2)
    lengths = [0, *(len(values) for values in tables)]
    table = np.concatenate([*tables, np.zeros(1)]).astype(np.float32)
    return Layout(
        np.array(sizes), np.array(weights), np.array(biases), np.cumsum([0, *sizes[:-1]]),
        np.ascontiguousarray(columns[:, :, 0], dtype=np.int64), np.ascontiguousarray(columns[:, :, 1:], np.float32),
        table, np.cumsum(lengths)[: max(1, len(tables))],
    )


def _formats(layer: LayerType) -> list[_Format]:
    return [_number(layer.weight), _number(layer.bias), _activation(layer.activation)]


def _number(kind: FixedPoint | Binary | None) -> _Format:
    if kind is None:
        return REAL, 1.0, 0.0, 0.0
    if isinstance(kind, Binary):
        return SIGN, kind.scale, 0.0, 0.0
    return FIXED, kind.lsb, float(kind.minimum), float(kind.maximum)


def _activation(kind: Any) -> _Format:
    if kind is None:
        return IDENTITY, 1.0, 0.0, 0.0
    if isinstance(kind, Real):
        return _CURVES[kind.curve], 1.0, 0.0, 0.0
    if isinstance(kind, Sign):
        return BINARY, 1.0, -1.0, 1.0
    cut = kind.input if isinstance(kind, Table) else kind
    return (TABLE if isinstance(kind, Table) else CUT), cut.lsb, float(cut.minimum), float(cut.maximum)
