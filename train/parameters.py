"""A policy's weights and biases in float64: what methods, trainers and the kernel work on."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hls4rl.contract import Contract, FloatArray
from hls4rl.policy import Policy, PolicySpec


@dataclass(frozen=True, eq=False)
class Parameters:
    """Latent parameters, their gradients, or their quantised values, layer by layer; changed in place."""

    weights: tuple[FloatArray, ...]
    """Of each layer, shape (outputs, inputs): what the methods act on."""
    biases: tuple[FloatArray, ...]
    """Of each layer, shape (outputs,)."""

    @classmethod
    def uniform(cls, sizes: Sequence[int], rng: np.random.Generator) -> Parameters:
        """Each layer uniform in ±1/√fan-in, PyTorch's own start of a linear layer.

        Args:
            sizes: features, units of each hidden layer, outputs.
        """
        arrays = []
        for inputs, outputs in itertools.pairwise(sizes):
            reach = inputs ** -0.5
            arrays += [rng.uniform(-reach, reach, (outputs, inputs)), rng.uniform(-reach, reach, outputs)]
        return cls.of(arrays)

    @classmethod
    def of(cls, arrays: Iterable[FloatArray]) -> Parameters:
        """The inverse of iterating: weight and bias of one layer after the other."""
        arrays = tuple(arrays)
        return cls(arrays[::2], arrays[1::2])

    @classmethod
    def of_policy(cls, policy: Policy) -> Parameters:
        """The values that ``policy`` was made of; the inverse of :meth:`policy`."""
        pairs = zip(policy.weights, policy.biases, strict=True)
        return cls.of(array.astype(np.float64) for pair in pairs for array in pair)

    def __iter__(self) -> Iterator[FloatArray]:
        return itertools.chain.from_iterable(zip(self.weights, self.biases, strict=True))

    def copy(self) -> Parameters:
        """The same values in arrays of their own."""
        return Parameters.of(array.copy() for array in self)

    def zeros(self) -> Parameters:
        """Arrays of the same shapes, all zero."""
        return Parameters.of(np.zeros_like(array) for array in self)

    def policy(self, spec: PolicySpec, contract: Contract) -> Policy:
        """These latent values as a policy under ``contract``."""
        weights, biases = (
            tuple(np.ascontiguousarray(array, dtype=np.float32) for array in group)
            for group in (self.weights, self.biases)
        )
        return Policy(spec, contract, weights, biases)
