"""The four arrays of a policy with one hidden layer, in float64: what methods, trainers and the kernel work on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hls4rl.contract import Contract, FloatArray
from hls4rl.policy import Policy, PolicySpec


@dataclass(frozen=True, eq=False)
class Parameters:
    """Latent parameters, their gradients, or their quantised values; the arrays are changed in place."""

    hidden_weight: FloatArray
    """Shape (hidden, features)."""
    hidden_bias: FloatArray
    """Shape (hidden,)."""
    output_weight: FloatArray
    """Shape (actions, hidden)."""
    output_bias: FloatArray
    """Shape (actions,)."""

    @classmethod
    def uniform(cls, features: int, hidden: int, actions: int, rng: np.random.Generator) -> Parameters:
        """Each layer uniform in ±1/√fan-in, PyTorch's own start of a linear layer."""
        first, second = features ** -0.5, hidden ** -0.5
        return cls(
            rng.uniform(-first, first, (hidden, features)), rng.uniform(-first, first, hidden),
            rng.uniform(-second, second, (actions, hidden)), rng.uniform(-second, second, actions),
        )

    @property
    def weights(self) -> tuple[FloatArray, FloatArray]:
        """The two weight matrices, without the biases: what the methods act on, layer by layer."""
        return self.hidden_weight, self.output_weight

    def __iter__(self) -> Iterator[FloatArray]:
        return iter((self.hidden_weight, self.hidden_bias, self.output_weight, self.output_bias))

    def copy(self) -> Parameters:
        """The same values in arrays of their own."""
        return Parameters(*(array.copy() for array in self))

    def zeros(self) -> Parameters:
        """Arrays of the same shapes, all zero."""
        return Parameters(*(np.zeros_like(array) for array in self))

    def policy(self, spec: PolicySpec, contract: Contract) -> Policy:
        """These latent values as a policy under ``contract``."""
        arrays = (np.ascontiguousarray(array, dtype=np.float32) for array in self)
        return Policy(spec, contract, *arrays)
