"""Forward and backward passes of one network over a batch, in single precision.

What is rounded on the way forward is straight-through on the way back (Bengio et al., 2013): the slope of a cut is 1
inside its range and 0 outside, that of a sign is 1 inside ±1. The last layer's cut lets those gradients through which
lead back inside, so that an action at the end of its range is not stuck there.
"""

from __future__ import annotations

import numpy as np

from hls4rl.train.compiled import compiled, compiled_any_order
from hls4rl.train.ppo.layout import (
    BINARY,
    CUT,
    FIXED,
    HARD_TANH,
    IDENTITY,
    RELU,
    SIGN,
    TABLE,
    TANH,
    Layout,
    Numbers,
)


@compiled
def quantise(layout: Layout, numbers: Numbers, rounded: Numbers) -> None:
    """Write to ``rounded`` what the latent ``numbers`` are in their formats, half to even; shape (length,) both."""
    for layer in range(len(layout.weights)):
        middle = layout.biases[layer]
        end = middle + layout.sizes[layer + 1]
        for row, start, stop in ((0, layout.weights[layer], middle), (1, middle, end)):
            kind = layout.kinds[row, layer]
            lsb, low, high = layout.formats[row, layer]
            for place in range(start, stop):
                rounded[place] = numbers[place]
            if kind == FIXED:
                steps = np.float32(1.0) / lsb  # a power of two: exact
                for place in range(start, stop):
                    rounded[place] = min(max(np.rint(numbers[place] * steps), low), high) * lsb
            elif kind == SIGN:
                for place in range(start, stop):
                    rounded[place] = lsb if numbers[place] >= 0 else -lsb


@compiled
def bring_back(layout: Layout, numbers: Numbers) -> None:
    """Cut latent ``numbers`` to what their formats reach: beyond, they would only have a longer way back."""
    for layer in range(len(layout.weights)):
        middle = layout.biases[layer]
        end = middle + layout.sizes[layer + 1]
        for row, start, stop in ((0, layout.weights[layer], middle), (1, middle, end)):
            if layout.kinds[row, layer] == FIXED:
                lsb, low, high = layout.formats[row, layer]
                for place in range(start, stop):
                    numbers[place] = min(max(numbers[place], low * lsb), high * lsb)


@compiled_any_order
def forward(layout: Layout, numbers: Numbers, memory: Numbers, slopes: Numbers, rows: int) -> None:
    """Values of all layers, and slopes of their activations.

    Args:
        numbers: weights and biases as :func:`quantise` gives them.
        memory: flat, ``rows`` rows of the inputs in front; the layers' values follow, layer by layer.
        slopes: the same, of the activations' slopes.
        rows: of the batch.
    """
    for layer in range(len(layout.weights)):
        inputs, outputs = layout.sizes[layer], layout.sizes[layer + 1]
        begin, middle = layout.weights[layer], layout.biases[layer]
        source, target = layout.units[layer] * rows, layout.units[layer + 1] * rows
        weight = numbers[begin:middle].reshape((outputs, inputs))
        values = memory[target : target + rows * outputs].reshape((rows, outputs))
        np.dot(memory[source : source + rows * inputs].reshape((rows, inputs)), weight.T, values)
        slope = slopes[target : target + rows * outputs].reshape((rows, outputs))
        _activate(layout, layer, numbers[middle : middle + outputs], values, slope)


@compiled_any_order
def _activate(layout: Layout, layer: int, bias: Numbers, values: Numbers, slopes: Numbers) -> None:
    """One loop a kind: so each is compiled to vector instructions."""
    kind = layout.kinds[2, layer]
    none, one = np.float32(0.0), np.float32(1.0)
    rows, units = values.shape
    for row in range(rows):
        value, slope = values[row], slopes[row]
        for unit in range(units):
            value[unit] += bias[unit]
        if kind == IDENTITY:
            slope[:] = one
        elif kind == RELU:
            for unit in range(units):
                slope[unit] = one if value[unit] > none else none
                value[unit] = max(value[unit], none)
        elif kind == HARD_TANH:
            for unit in range(units):
                slope[unit] = one if abs(value[unit]) <= one else none
                value[unit] = min(max(value[unit], -one), one)
        elif kind == TANH:
            for unit in range(units):
                value[unit] = np.tanh(value[unit])
                slope[unit] = one - value[unit] * value[unit]
        elif kind == BINARY:
            for unit in range(units):
                slope[unit] = one if abs(value[unit]) <= one else none
                value[unit] = one if value[unit] >= none else -one
        else:
            _cut(layout, layer, value, slope)
            if kind == TABLE:
                _look_up(layout, layer, value, slope)


@compiled_any_order
def _cut(layout: Layout, layer: int, value: Numbers, slope: Numbers) -> None:
    lsb, low, high = layout.formats[2, layer]
    none, one = np.float32(0.0), np.float32(1.0)
    steps = one / lsb  # a power of two: exact
    for unit in range(len(value)):
        whole = np.floor(value[unit] * steps)
        inside = min(max(whole, low), high)
        slope[unit] = one if inside == whole else none
        value[unit] = inside * lsb


@compiled_any_order
def _look_up(layout: Layout, layer: int, value: Numbers, slope: Numbers) -> None:
    for unit in range(len(value)):
        value[unit], slope[unit] = _looked_up(layout, layer, value[unit], slope[unit])


@compiled_any_order
def _looked_up(layout: Layout, layer: int, cut: np.float32, inside: np.float32) -> tuple[np.float32, np.float32]:
    lsb, low, high = layout.formats[2, layer]
    start, last = layout.table_starts[layer], int(high - low)
    place = int(cut / lsb - low)
    ahead = layout.table[start + min(place + 1, last)]
    behind = layout.table[start + max(place - 1, 0)]
    return layout.table[start + place], inside * (ahead - behind) / (np.float32(2.0) * lsb)


@compiled_any_order
def backward(
    layout: Layout, numbers: Numbers, memory: Numbers, slopes: Numbers, deltas: Numbers, gradient: Numbers, rows: int
) -> None:
    """Add up the gradient of every weight and bias.

    Args:
        numbers: as for :func:`forward`, which came before and filled ``memory`` and ``slopes``.
        deltas: as ``memory``; the gradients of the outputs stand at its end.
        gradient: written, shape (length,).
    """
    _let_back_inside(layout, memory, slopes, deltas, rows)
    for layer in range(len(layout.weights) - 1, -1, -1):
        inputs, outputs = layout.sizes[layer], layout.sizes[layer + 1]
        begin, middle = layout.weights[layer], layout.biases[layer]
        source, target = layout.units[layer] * rows, layout.units[layer + 1] * rows
        delta = deltas[target : target + rows * outputs]
        slope = slopes[target : target + rows * outputs]
        for place in range(rows * outputs):
            delta[place] *= slope[place]
        rowwise = delta.reshape((rows, outputs))
        values = memory[source : source + rows * inputs].reshape((rows, inputs))
        np.dot(rowwise.T, values, gradient[begin:middle].reshape((outputs, inputs)))
        bias = gradient[middle : middle + outputs]
        bias[:] = 0
        for row in range(rows):
            for unit in range(outputs):
                bias[unit] += rowwise[row, unit]
        if layer > 0:
            weight = numbers[begin:middle].reshape((outputs, inputs))
            np.dot(rowwise, weight, deltas[source : source + rows * inputs].reshape((rows, inputs)))


@compiled
def _let_back_inside(layout: Layout, memory: Numbers, slopes: Numbers, deltas: Numbers, rows: int) -> None:
    last = len(layout.weights) - 1
    if layout.kinds[2, last] != CUT and layout.kinds[2, last] != HARD_TANH:
        return
    start = layout.units[last + 1] * rows
    for place in range(start, start + rows * layout.sizes[last + 1]):
        if slopes[place] == 0 and memory[place] * deltas[place] > 0:
            slopes[place] = 1
