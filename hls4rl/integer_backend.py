"""The policy in 64-bit integers alone: quick on small batches, and needs no torch."""

from __future__ import annotations

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.network import IntegerNetwork


class IntegerBackend:
    """What the hardware computes, as NumPy on integers; equal to the Brevitas module on every input."""

    name = "integer"

    def __init__(self, network: IntegerNetwork) -> None:
        self._network = network

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        return Answer.of_logits(self._network.infer(observations), self._network.output)
