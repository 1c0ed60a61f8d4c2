"""The search space: one real number behind each weight and bias, and the integers that these round to."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import Contract, FixedPoint, FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.task import Task
from hls4rl.train.parameters import Parameters

_BIAS_UNIT = 1 / 3
"""A step of one in a bias moves a sum as a step of one in a weight does whose input is one deviation from its mean;
a converter that takes three deviations brings that to a third of its range."""


class Latents:
    """Flat arrays of latent numbers, in units of their layer's weights; weight then bias, layer by layer."""

    def __init__(self, task: Task, contract: Contract, sizes: tuple[int, ...]) -> None:
        """Lay out a network of ``sizes``.

        Raises:
            ProjectError: a layer has no fixed-point weights or no biases.
        """
        self.contract, self.sizes = contract, sizes
        self._bias_units, limits, self._kinds = [], [], []
        for layer, (inputs, outputs) in zip(contract.layers, itertools.pairwise(sizes), strict=True):
            if not isinstance(layer.weight, FixedPoint) or layer.bias is None:
                raise ProjectError(
                    f"task '{task.name}': the search moves fixed-point weights, and a layer has none; take METHOD=fp"
                )
            self._kinds.append((layer.weight, layer.bias))
            self._bias_units.append(_BIAS_UNIT * layer.weight.lsb)
            bias_limit = layer.bias.maximum * layer.bias.lsb / self._bias_units[-1]
            limits += [np.full(inputs * outputs, layer.weight.maximum + 0.49), np.full(outputs, bias_limit)]
        self.limits: FloatArray = np.concatenate(limits)
        """Largest magnitude of each latent."""

    @property
    def length(self) -> int:
        """Latent numbers in all."""
        return len(self.limits)

    def integers(self, latents: FloatArray) -> IntArray:
        """What ``latents``, shape (length,), round to, half to even, inside their types; flat, int64."""
        found = np.empty(self.length, dtype=np.int64)
        for (weights, biases), (weight, bias), unit in zip(
            self.slices(), self._kinds, self._bias_units, strict=True
        ):
            found[weights] = np.clip(np.rint(latents[weights]), -weight.maximum, weight.maximum)
            found[biases] = bias.integers(latents[biases] * unit)
        return found

    def parameters(self, integers: IntArray) -> Parameters:
        """The same integers as real parameters that round to themselves."""
        arrays: list[FloatArray] = []
        for (weights, biases), (weight, bias), (inputs, outputs) in zip(
            self.slices(), self._kinds, itertools.pairwise(self.sizes), strict=True
        ):
            values = integers.astype(np.float64)
            arrays += [values[weights].reshape(outputs, inputs) * weight.lsb, values[biases] * bias.lsb]
        return Parameters.of(arrays)

    def real(self, latents: FloatArray) -> Parameters:
        """``latents`` in real units, layer by layer, as methods take them."""
        arrays: list[FloatArray] = []
        for (weights, biases), (weight, _), unit, (inputs, outputs) in zip(
            self.slices(), self._kinds, self._bias_units, itertools.pairwise(self.sizes), strict=True
        ):
            arrays += [latents[weights].reshape(outputs, inputs) * weight.lsb, latents[biases] * unit]
        return Parameters.of(arrays)

    def flat(self, parameters: Parameters) -> FloatArray:
        """The inverse of :meth:`real`."""
        found = np.empty(self.length)
        for (weights, biases), (kind, _), unit, weight, bias in zip(
            self.slices(), self._kinds, self._bias_units, parameters.weights, parameters.biases, strict=True
        ):
            found[weights], found[biases] = weight.reshape(-1) / kind.lsb, bias / unit
        return found

    def slices(self) -> list[tuple[slice, slice]]:
        """Of each layer, where its weights and where its biases lie."""
        found, place = [], 0
        for inputs, outputs in itertools.pairwise(self.sizes):
            end = place + inputs * outputs
            found.append((slice(place, end), slice(end, end + outputs)))
            place = end + outputs
        return found


def digits(integers: IntArray) -> int:
    """Non-zero digits of ``integers`` in canonical signed-digit form: about one adder each, in logic.

    The form has as few of them as any with digits -1, 0 and 1: n has those bits of 3|n| that differ from |n|'s.
    """
    magnitude = np.abs(integers).astype(np.uint64)
    changed: NDArray[np.uint64] = (magnitude * np.uint64(3)) ^ magnitude
    return int(np.bitwise_count(changed).sum())
