"""The policy's passes over observations that are almost all zero: only the pixels that are not cost anything.

What :mod:`hls4rl.train.vpg.kernel` computes, for frames of which a few dozen of thousands of features are set.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

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

    @classmethod
    def join(cls, parts: Sequence[Frames]) -> Frames:
        """Those of all ``parts``, one part after the other."""
        lengths = [np.zeros(1, dtype=np.int64), *(np.diff(item.starts) for item in parts)]
        places, values = (np.concatenate([item[index] for item in parts]) for index in (0, 1))
        return cls(places, values, np.cumsum(np.concatenate(lengths), dtype=np.int64))

    def split(self) -> list[Frame]:
        """The observations, one by one."""
        bounds = self.starts.tolist()
        return [Frame(self.places[i:j], self.values[i:j]) for i, j in itertools.pairwise(bounds)]

    def dense(self, features: int) -> IntArray:
        """The same as arrays of all features, shape (frames, features)."""
        found = np.zeros((len(self.starts) - 1, features), dtype=np.int64)
        found[np.repeat(np.arange(len(found)), np.diff(self.starts)), self.places] = self.values
        return found

    def take(self, rows: IntArray) -> Frames:
        """Those that are numbered ``rows``, in that order."""
        lengths = np.diff(self.starts)[rows]
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        picked = np.arange(starts[-1]) + np.repeat(self.starts[rows] - starts[:-1], lengths)
        return Frames(self.places[picked], self.values[picked], starts)


def columns_first(parameters: Parameters, kind: type[np.floating[Any]] = np.float32) -> Parameters:
    """The same values with each feature's hidden weights side by side in memory, as the passes need them.

    In single precision: an update goes through a million of them a few times, and memory is what it waits for. Sums are
    taken in double precision, so that those of fixed-point numbers and signs stay exact.
    """
    hidden, *others = (array.astype(kind) for array in parameters)
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


@compiled
def adam(
    latent: FloatArray, gradient: FloatArray, first: FloatArray, second: FloatArray, rate: float, update: int
) -> None:
    """Step number ``update`` (from 1) of Adam on one array of single precision, shape (n,); see
    :func:`hls4rl.train.vpg.kernel.adam`."""
    stride = np.float32(rate / (1.0 - 0.9**update))
    correction = np.float32(1.0 / np.sqrt(1.0 - 0.999**update))
    tenth, thousandth, least = np.float32(0.1), np.float32(0.001), np.float32(1e-8)
    for index in range(len(latent)):
        slope = gradient[index]
        first[index] += (slope - first[index]) * tenth
        second[index] += (slope * slope - second[index]) * thousandth
        latent[index] -= stride * first[index] / (np.sqrt(second[index]) * correction + least)


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
