"""BN+VPG: BinaryNet (paper section III-A).

As BinaryConnect, and the hidden activations are signs of their sums too: the forward pass is integer arithmetic
alone. Backwards the activation's sign passes the gradient where |sum| ≤ 1 (straight-through, hard tanh).
"""

from __future__ import annotations

from hls4rl.contract import Contract, Sign
from hls4rl.task import Task
from hls4rl.train.methods.base import Method, binary_contract, without_rounding


class BinaryNet(Method):
    """Signs for weights and for activations."""

    place, in_paper, label = 2, True, "BN"
    colour, dark_colour, marker = "#d55e00", "#ff8333", "D"
    weight_bits, multiplies, signs = 1, False, True
    first_guesses = ({"hidden": 2}, {"hidden": 4}, {"hidden": 16})

    latent_limit = 1.0

    def training_contract(self, task: Task) -> Contract:
        """Weights and activations of one bit; biases as they are deployed, unless the task asks for real numbers."""
        return without_rounding(task, self.spec, self.deployed_contract(task))

    def deployed_contract(self, task: Task) -> Contract:
        """Weights and activations of one bit, biases in fixed point."""
        return binary_contract(task, self.spec, Sign())


METHOD = BinaryNet
