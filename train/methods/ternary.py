"""TN+VPG: ternary weights, signs for activations. Beyond the paper: BinaryNet whose weights may also be zero.

A weight is -1, 0 or +1 (times a power of two in the output layer): its latent, rounded and clipped. Backwards the
rounding is the identity. A weight of zero is a wire that isn't there, so that units can leave out what they don't need.
"""

from __future__ import annotations

from hls4rl.contract import Contract, nearest_power_of_two
from hls4rl.task import Task
from hls4rl.train.methods.base import Method, ternary_contract
from hls4rl.train.parameters import Parameters


class Ternary(Method):
    """Three values for weights, two for activations."""

    place, label = 5, "Ternary"
    colour, dark_colour, marker = "#e69f00", "#f0e442", "P"
    weight_bits, multiplies, signs = 2, False, True
    searchable = True
    first_guesses = ({"hidden": 2}, {"hidden": 1})

    @property
    def latent_limits(self) -> tuple[float, ...]:
        """One unit of the weights; after the first layer scaled as BinaryNet's, so that the softmax can explore."""
        return (1.0, *(nearest_power_of_two(width ** -0.5) for width in self.spec.hidden))

    def training_contract(self, task: Task) -> Contract:
        """Weights of two bits, activations of one."""
        return ternary_contract(task, self.latent_limits)

    def initialise(self, parameters: Parameters, output_gain: float) -> None:
        """Spread the latents evenly over all they may be: at first half of the weights are zero."""
        for weight, limit in zip(parameters.weights, self.latent_limits, strict=True):
            weight *= limit * weight.shape[1] ** 0.5


METHOD = Ternary
