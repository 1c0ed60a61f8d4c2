"""The policy's passes over observations that are almost all zero: only the pixels that are not cost anything.

What :mod:`hls4rl.train.vpg.kernel` computes, for frames of which a few dozen of thousands of features are set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray, IntArray
from hls4rl.train.compiled import compiled
from hls4rl.train.parameters import Parameters
from hls4rl.train.vpg.kernel import SIGN, Format, Formats, Passes, activate, dot, logit_slopes, quantise


class Frame(NamedTuple):
    """One observation."""

    places: NDArray[np.int16]
    """Numbers of the features that are not zero, ascending."""
    values: NDArray[np.int8]
    """What they are, in units of the observation type."""

    @classmethod
    def of(cls, values: IntArray, places: IntArray) -> Frame:
        """Of the features numbered ``places``, whose values these are, those that are not zero; both shape (N,)."""
        kept = values != 0
        return cls(places[kept].astype(np.int16), values[kept].astype(np.int8))


class Frames(NamedTuple):
    """Many observations, one after the other."""

    places: NDArray[np.int16]
    values: NDArray[np.int8]
    starts: IntArray
    """Where each begins, and where the last one ends; shape (frames + 1,)."""

    @classmethod
    def of(cls, frames: Sequence[Frame]) -> Frames:
        """``frames`` in their order."""
        ends = np.cumsum([len(frame.places) for frame in frames], dtype=np.int64)
        places = np.concatenate([np.zeros(0, dtype=np.int16), *(frame.places for frame in frames)])
        values = np.concatenate([np.zeros(0, dtype=np.int8), *(frame.values for frame in frames)])
        return cls(places, values, np.concatenate([[0], ends]))

    def split(self) -> list[Frame]:
        """The observations, one by one."""
        places, values = np.split(self.places, self.starts[1:-1]), np.split(self.values, self.starts[1:-1])
        return [Frame(*pair) for pair in zip(places, values, strict=True)]


def columns_first(parameters: Parameters) -> Parameters:
    """The same values with each feature's hidden weights side by side in memory, as the passes need them."""
    hidden, *others = (array.copy() for array in parameters)
    return Parameters.of([np.asfortranarray(hidden), *others])


def flat(array: FloatArray) -> FloatArray:
    """All entries in the order of memory; shares it."""
    return array.ravel(order="K")


def quantise_all(latent: Parameters, formats: Formats, network: Parameters) -> None:
    """What the forward pass sees of ``latent``, written to ``network``; both :func:`columns_first`."""
    for value, kind, out in zip(latent, _kinds(formats), network, strict=True):
        quantise(flat(value), kind, flat(out))


def forward(formats: Formats, network: Parameters, frames: Frames) -> Passes:
    """The policy of each of ``frames`` under the quantised ``network``; no frame's depends on those beside it."""
    hidden_weight, hidden_bias, output_weight, output_bias = network
    passes = Passes.of(len(frames.starts) - 1, len(hidden_bias), len(output_bias))
    _hidden_sums(hidden_weight.T, hidden_bias, frames, formats.observation.lsb, passes.units)
    activate(formats.activation, passes.units.reshape(1, -1), passes.gate.reshape(1, -1), 0)
    logits = passes.logarithm
    _products(passes.units, output_weight, logits)
    logits += output_bias
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    passes.policy[:] = np.exp(logits)
    return passes


def gradients(
    formats: Formats, network: Parameters, frames: Frames, actions: IntArray, advantage: FloatArray, passes: Passes,
    entropy: float, gradient: Parameters,
) -> None:
    """Gradient of ``hls4rl.train.vpg.objective.cost`` over N frames, by back-propagation.

    Args:
        formats: number formats of the forward pass; gradients go straight through every rounding but the activation's.
        network: quantised parameters.
        frames: the observations.
        actions: shape (N,).
        advantage: shape (N,).
        passes: what :func:`forward` made of them; ``gate`` is overwritten.
        entropy: weight of the entropy bonus.
        gradient: receives the result.
    """
    slopes, back = logit_slopes(actions, advantage, passes, entropy), passes.gate
    hidden_weight, hidden_bias, output_weight, output_bias = gradient
    output_weight[:] = slopes.T @ passes.units
    output_bias[:] = slopes.sum(axis=0)
    back *= slopes @ network.weights[1]
    hidden_bias[:] = back.sum(axis=0)
    hidden_weight[:] = 0.0
    _scatter(back, frames, formats.observation.lsb, hidden_weight.T)
    # A sign is scaled after it is taken, so its straight-through gradient carries the scale.
    for kind, array in zip((formats.hidden_weight, formats.output_weight), gradient.weights, strict=True):
        if kind.kind == SIGN:
            array *= kind.lsb


def _kinds(formats: Formats) -> tuple[Format, Format, Format, Format]:
    return formats.hidden_weight, formats.hidden_bias, formats.output_weight, formats.output_bias


@compiled
def _hidden_sums(columns: FloatArray, bias: FloatArray, frames: Frames, lsb: float, sums: FloatArray) -> None:
    """``sums``, shape (N, hidden), of ``columns``, shape (features, hidden)."""
    for frame in range(len(sums)):
        total = sums[frame]
        total[:] = bias
        for index in range(frames.starts[frame], frames.starts[frame + 1]):
            column, value = columns[frames.places[index]], frames.values[index] * lsb
            for unit in range(len(total)):
                total[unit] += value * column[unit]


@compiled
def _products(units: FloatArray, weight: FloatArray, products: FloatArray) -> None:
    """``units``, shape (N, hidden), times ``weight``, shape (actions, hidden); BLAS adds in an order that N decides."""
    for row in range(len(units)):
        for action in range(len(weight)):
            products[row, action] = dot(weight, action, units, row)


@compiled
def _scatter(back: FloatArray, frames: Frames, lsb: float, columns: FloatArray) -> None:
    """Add each frame's derivatives, shape (N, hidden), to the ``columns`` of its features, shape (features, hidden)."""
    for frame in range(len(back)):
        for index in range(frames.starts[frame], frames.starts[frame + 1]):
            column, value = columns[frames.places[index]], frames.values[index] * lsb
            for unit in range(back.shape[1]):
                column[unit] += value * back[frame, unit]
