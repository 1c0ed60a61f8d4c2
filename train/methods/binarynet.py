"""BN+VPG: BinaryNet (paper section III-A).

As BinaryConnect, and the hidden activations are signs of their sums too: the forward pass is integer arithmetic
alone. Backwards the activation's sign passes the gradient where |sum| ≤ 1 (straight-through, hard tanh).
"""

from __future__ import annotations

from hls4rl.contract import Contract, Sign
from hls4rl.task import Task
from hls4rl.train.methods.base import Method, binary_contract


class BinaryNet(Method):
    """Signs for weights and for activations."""

    latent_limit = 1.0

    def training_contract(self, task: Task) -> Contract:
        """Weights and activations of one bit."""
        return binary_contract(task, self.spec, Sign())
