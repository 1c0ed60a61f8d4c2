"""BC+VPG: BinaryConnect (paper algorithm 1, eq. 3).

Forward and backward passes see sign(θ), with sign(0) = +1; the gradient changes the real θ as if the sign were
the identity, and θ is then clipped to [-1, 1]. Biases stay real while training.
"""

from __future__ import annotations

from hls4rl.contract import Contract
from hls4rl.task import Task
from hls4rl.train.methods.base import Method, binary_contract, hidden_type, without_rounding


class BinaryConnect(Method):
    """Signs for weights, ReLU (or what the task has) for activations."""

    place, in_paper, label = 1, True, "BC"
    colour, dark_colour, marker = "#0072b2", "#56b4e9", "s"
    weight_bits, multiplies = 1, False
    settings = ("activation_bits",)
    first_guesses = ({"hidden": 2, "activation_bits": 3, "activation_integer_bits": 1},)

    latent_limit = 1.0

    def training_contract(self, task: Task) -> Contract:
        """Weights of one bit; the rest as it is deployed, unless the task asks for real numbers."""
        return without_rounding(task, self.spec, self.deployed_contract(task))

    def deployed_contract(self, task: Task) -> Contract:
        """Weights of one bit, activations and biases in fixed point."""
        return binary_contract(task, self.spec, hidden_type(task, self.spec))


METHOD = BinaryConnect
