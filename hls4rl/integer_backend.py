"""The policy in 64-bit integers alone: quick on small batches, and needs no torch."""

from __future__ import annotations

import math

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import Binary, FixedPoint, IntArray, Sign
from hls4rl.policy import Policy


class IntegerBackend:
    """What the hardware computes, as NumPy on integers; equal to the Brevitas module on every input."""

    name = "integer"

    def __init__(self, policy: Policy) -> None:
        contract = policy.contract
        first, second, activation = contract.hidden_weight, contract.output_weight, contract.activation
        assert isinstance(first, Binary | FixedPoint)
        assert isinstance(second, Binary | FixedPoint)
        assert contract.hidden_bias is not None
        assert contract.output_bias is not None
        assert isinstance(activation, FixedPoint | Sign)
        self.top = activation.maximum if isinstance(activation, FixedPoint) else 0
        """Largest activation; 0 where activations are ±1."""
        # 2^shift of the sum's units make one unit of the activation.
        self.shift = round(math.log2(activation.lsb / (contract.observation.lsb * first.lsb)))
        self.hidden_weight = first.integers(policy.hidden_weight).T.copy()
        # A float64 holds every sum of a policy's integers exactly, and wide layers are multiplied many times as fast.
        self._hidden_weight = self.hidden_weight.astype(np.float64)
        self.hidden_bias = contract.hidden_bias.integers(policy.hidden_bias)
        self.output_weight = second.integers(policy.output_weight).T.copy()
        self.output_bias = contract.output_bias.integers(policy.output_bias)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        sums = (observations.astype(np.float64) @ self._hidden_weight).astype(np.int64)
        units = self._activate(sums + self.hidden_bias)
        return Answer.of_logits(units @ self.output_weight + self.output_bias)

    def _activate(self, sums: IntArray) -> IntArray:
        if self.top == 0:
            return np.where(sums >= 0, 1, -1)
        shifted: IntArray = sums >> self.shift if self.shift >= 0 else sums << -self.shift
        clipped: IntArray = np.clip(shifted, 0, self.top)
        return clipped
