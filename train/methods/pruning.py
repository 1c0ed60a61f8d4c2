"""Pruning+VPG: half of the weights become zero, for good (paper algorithm 3).

At the midpoint of the episodes each layer loses the weights whose magnitude lies below its p-th percentile; the
others go on being trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import Contract, FloatArray
from hls4rl.task import Task
from hls4rl.train.methods.base import FEW_BITS, Method, fixed_point_contract, shared_contract
from hls4rl.train.parameters import Parameters


class Pruning(Method):
    """Pruned weights are set back to zero after every step."""

    place, in_paper, label = 4, True, "Prune"
    colour, dark_colour, marker = "#cc79a7", "#e3a0c5", "v"
    settings = ("bits", "activation_bits", "percentile")
    first_guesses = ({"hidden": 4, "percentile": 50, **FEW_BITS},)
    removes_weights = True
    starts_real = searchable = True

    switches = True
    small_output = True

    def training_contract(self, task: Task) -> Contract:
        """Fixed point throughout: rounding comes last in the forward pass, gradients go straight through it."""
        return shared_contract(task, self.spec)

    def deployed_contract(self, task: Task) -> Contract:
        """Fixed point."""
        return fixed_point_contract(task, self.spec)

    def at_midpoint(self, parameters: Parameters, rng: np.random.Generator) -> None:
        """Choose the survivors; :meth:`after_step` zeroes the rest."""
        self.kept = tuple(survivors(weight, self.spec.percentile) for weight in parameters.weights)
        self.after_step(parameters)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The survivors."""
        return {f"kept{index}": kept for index, kept in enumerate(self.kept or ())}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to these survivors."""
        self.kept = tuple(arrays[f"kept{index}"] for index in range(len(arrays))) or None

    def after_step(self, parameters: Parameters) -> None:
        """Keep pruned weights at zero."""
        if self.kept is None:
            return
        for weight, kept in zip(parameters.weights, self.kept, strict=True):
            weight[~kept] = 0.0


METHOD = Pruning


def survivors(weight: FloatArray, percentile: float) -> NDArray[np.bool_]:
    """Which weights of one layer have a magnitude of at least the layer's ``percentile``-th percentile."""
    magnitude = np.abs(weight)
    kept: NDArray[np.bool_] = magnitude >= np.percentile(magnitude, percentile)
    return kept
