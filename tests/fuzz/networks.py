"""Hypothesis strategies: any network that the settings allow, and models of other people's making."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from imported_models import QonnxGraph

from hls4rl.contract import Argmax, CutType, FixedPoint, IntArray, Sign, Table, Values
from hls4rl.export.check import corner_observations
from hls4rl.network import IntegerNetwork, Layer

FLAVOURS = ("random", "extreme", "zero", "pruned", "twins", "binary")
"""How a layer's weights are drawn; twins are equal rows, whose logits tie."""


@st.composite
def integer_networks(draw: st.DrawFn, widest: int = 16) -> IntegerNetwork:
    """No to four hidden layers of 1 to 6 units, inputs of 2 to ``widest`` bits, weights of 1 to ``widest``, and
    actions of every kind."""
    kind = FixedPoint(draw(st.integers(2, widest)), draw(st.integers(-15, 16)))
    output = draw(_OUTPUTS)
    outputs = sum(output.groups) if isinstance(output, Argmax) else draw(st.integers(1, 4))
    if output == Argmax(()):
        outputs = draw(st.integers(2, 5))
    sizes = [*draw(st.lists(st.integers(1, 6), min_size=1, max_size=5)), outputs]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layers: list[Layer] = []
    lsb = kind.lsb
    for inputs, units in itertools.pairwise(sizes):
        bare = len(layers) == len(sizes) - 2 and isinstance(output, Argmax)
        layer = draw(_layers(rng, inputs, units, lsb, widest, bare))
        layers.append(layer)
        lsb = layer.result_lsb(lsb)
    return IntegerNetwork(kind, tuple(layers), output)


_OUTPUTS = st.one_of(
    st.just(Argmax()), st.just(Values()), st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple).map(Argmax)
)


@st.composite
def _layers(
    draw: st.DrawFn, rng: np.random.Generator, inputs: int, outputs: int, lsb: float, widest: int, bare: bool
) -> Layer:
    bits, flavour = draw(st.integers(1, widest)), draw(st.sampled_from(FLAVOURS))
    weight = drawn_weights(rng, (outputs, inputs), bits, flavour)
    unit = 2.0 ** draw(st.integers(-8, 2))
    bias_lsb = lsb * unit * 2.0 ** draw(st.integers(-4, 4))
    bias = rng.integers(-(1 << bits), 1 << bits, endpoint=True, size=outputs) * draw(st.integers(0, 1))
    if flavour == "twins":
        bias[:] = bias[0]
    layer = Layer(weight, unit, bias.astype(np.int64), bias_lsb, None)
    return layer if bare else draw(_activated(layer, layer.sum_lsb(lsb), rng))


@st.composite
def _activated(draw: st.DrawFn, layer: Layer, sum_lsb: float, rng: np.random.Generator) -> Layer:
    # Types near the sums' unit and range: some saturate, some drop bits, some are finer than the sums.
    signed = draw(st.booleans())
    bits = draw(st.integers(1 + signed, 8))
    exponent = round(np.log2(sum_lsb)) + draw(st.integers(-2, 12))
    cut = FixedPoint(bits, bits + exponent, signed)
    kind: CutType = draw(st.sampled_from([cut, cut, Sign(), _table(cut, rng)]))
    return Layer(layer.weight, layer.weight_lsb, layer.bias, layer.bias_lsb, kind, draw(_ROUNDING))


def _table(cut: FixedPoint, rng: np.random.Generator) -> Table:
    """Any values at all, or a rising curve."""
    bits, count = int(rng.integers(2, 8)), 1 << cut.bits
    output = FixedPoint(bits, bits + int(rng.integers(-6, 2)))
    values = rng.integers(output.minimum, output.maximum, size=count, endpoint=True)
    return Table(cut, output, tuple((np.sort(values) if rng.integers(2) else values).tolist()))


_ROUNDING = st.sampled_from(["FLOOR", "ROUND"])


def drawn_weights(rng: np.random.Generator, shape: tuple[int, int], bits: int, flavour: str) -> IntArray:
    """Integers of ``bits`` bits, sign included."""
    top = max(1, (1 << (bits - 1)) - 1)
    if flavour == "zero":
        return np.zeros(shape, dtype=np.int64)
    if flavour == "binary":
        return rng.choice([-1, 1], size=shape).astype(np.int64)
    if flavour == "extreme":
        return rng.choice([-top, top], size=shape).astype(np.int64)
    weight = rng.integers(-top, top, size=shape, endpoint=True, dtype=np.int64)
    if flavour == "pruned":
        weight[rng.random(shape) < 0.8] = 0
    if flavour == "twins":
        weight[:] = weight[0]
    return weight


def form_of(network: IntegerNetwork) -> str:
    """Hidden layers and kind of action, in words."""
    output = network.output
    kind = "continuous" if isinstance(output, Values) else "groups" if len(output.groups) > 1 else "one choice"
    return f"{len(network.layers) - 1} hidden, {kind}"


def observations(network: IntegerNetwork, rows: int = 64) -> IntArray:
    """Corners, and ``rows`` random observations; the same for the same network."""
    rng, kind = np.random.default_rng(0), network.input
    random = rng.integers(kind.minimum, kind.maximum, size=(rows, network.features), endpoint=True, dtype=np.int64)
    return np.concatenate([corner_observations(kind, network.features, rng), random])


@st.composite
def imported_graphs(draw: st.DrawFn) -> QonnxGraph:
    """A chain of one to three layers with scales, biases, functions and quantisers of all kinds."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    width = draw(st.integers(1, 4))
    graph = QonnxGraph(width).quant(draw(_SCALES), float(draw(st.integers(2, 5))))
    for _ in range(draw(st.integers(0, 2))):
        width = _dense(draw, rng, graph, width, draw(st.integers(1, 4)))
        _function(draw, rng, graph, width)
    _dense(draw, rng, graph, width, draw(st.integers(1, 4)))
    if draw(st.integers(0, 3)) == 0:
        graph.quant(draw(_SCALES), float(draw(st.integers(2, 5))))
    return graph


_SCALES = st.one_of(
    st.integers(-5, 1).map(lambda exponent: 2.0**exponent),
    st.floats(0.015625, 2.0, width=32, allow_nan=False).filter(lambda value: value > 0.01),
)


def _dense(draw: st.DrawFn, rng: np.random.Generator, graph: QonnxGraph, inputs: int, outputs: int) -> int:
    bits, scale = draw(st.integers(2, 4)), draw(_SCALES)
    weight = drawn_weights(rng, (inputs, outputs), bits, draw(st.sampled_from(FLAVOURS))) * scale
    bias: Any = draw(st.sampled_from([None, rng.normal(size=outputs).round(2)]))
    graph.dense(weight, scale, float(bits), bias, draw(st.sampled_from([None, 0.125, 0.3])))
    return outputs


def _function(draw: st.DrawFn, rng: np.random.Generator, graph: QonnxGraph, width: int) -> None:
    if draw(st.integers(0, 4)) == 0:
        graph.node("BatchNormalization", *(rng.normal(size=(3, width)).round(2)), rng.random(width) + 0.1)
    name = draw(st.sampled_from(["Relu", "Tanh", "Sigmoid", "Clip", "", "", "sign"]))
    if name == "sign":
        graph.node("BipolarQuant", draw(_SCALES))
        return
    if name:
        graph.node(name, *([-1.0, 1.0] if name == "Clip" else []))
    signed = draw(st.integers(0, 1))
    graph.quant(
        draw(_SCALES), float(draw(st.integers(1 + signed, 4))), signed, narrow=draw(st.integers(0, 1)),
        rounding=draw(st.sampled_from(["ROUND", "FLOOR", "CEIL"])),
    )
