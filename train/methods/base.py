"""What a method may change of vanilla policy gradient, and the number formats that methods share."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import (
    Binary,
    Contract,
    CutType,
    FixedPoint,
    LayerType,
    Real,
    Sign,
    activation_type,
    bias_type,
    nearest_power_of_two,
)
from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.parameters import Parameters

USUAL_INTEGER_BITS = 3
"""Bits before the point where the task file leaves them to the data, until there are data."""
FEW_BITS = {"bits": 3, "weight_integer_bits": 1, "activation_bits": 3, "activation_integer_bits": 1}
"""Of weights and activations in first guesses."""
LARGEST_UNSCALED = 32
"""Up to this many hidden units the signs of the first layer stay ±1; wider ones, and deeper layers, scale them too."""


class Method(ABC):
    """One method, as the places where it differs from plain policy gradient.

    A trainer calls the rules in this order; all of them change arrays in place. An object serves one training run.
    """

    switches: ClassVar[bool] = False
    """Whether :meth:`at_midpoint` changes the policy; if so the optimiser's state starts afresh there."""
    small_output: ClassVar[bool] = False
    """Whether the output layer starts smaller by ``Training.output_gain``, so that the first policy is near uniform."""
    latent_limit: ClassVar[float] = np.inf
    """Latent weights are clipped to ± this value."""

    shares_weights: ClassVar[bool] = False
    """Whether many weights move as one after the midpoint, so that a step of the optimiser does more."""
    removes_weights: ClassVar[bool] = False
    """Whether only some weights are stored, and one bit for each place that says which."""
    starts_real: ClassVar[bool] = False
    """Whether it trains real numbers in the same way up to the midpoint, so that such methods can share that half."""

    place: ClassVar[int]
    """Where it stands in tables and legends: the paper's order, then ours."""
    in_paper: ClassVar[bool] = False
    """Whether it is one of the paper's five."""
    label: ClassVar[str]
    """Its name in figures."""
    colour: ClassVar[str]
    """On white; from Okabe and Ito's palette, which colour-blind readers can tell apart."""
    dark_colour: ClassVar[str]
    """On black."""
    marker: ClassVar[str]
    """Matplotlib's letter for its points."""
    weight_bits: ClassVar[int | None] = None
    """Stored bits of a weight; None: as many as the policy says."""
    multiplies: ClassVar[bool] = True
    """Whether a weight has to be multiplied with; otherwise it adds, subtracts or leaves out."""
    signs: ClassVar[bool] = False
    """Whether hidden activations are signs."""
    searchable: ClassVar[bool] = False
    """Whether the trainer ``search`` can move its weights: each is a fixed-point number of its own."""
    settings: ClassVar[tuple[str, ...]] = ()
    """Of the fields of :class:`hls4rl.policy.PolicySpec`, those that mean something to it only, or that it needs."""
    first_guesses: ClassVar[tuple[Mapping[str, float], ...]] = ()
    """Small networks that `make explore` begins with, as parameters of its search."""

    groups: tuple[NDArray[np.int64], ...] | None = None
    """Group of each weight, shaped as the layer: members move as one. None for none."""
    kept: tuple[NDArray[np.bool_], ...] | None = None
    """Which weights survive, shaped as the layer; the others are zero. None for all."""

    def __init__(self, spec: PolicySpec) -> None:
        self.spec = spec

    @abstractmethod
    def training_contract(self, task: Task) -> Contract:
        """Number formats while training; None stands for real numbers."""

    def deployed_contract(self, task: Task) -> Contract:
        """Number formats of the policy that leaves training: all explicit."""
        return self.training_contract(task)

    def initialise(self, parameters: Parameters, output_gain: float) -> None:
        """Adjust freshly drawn parameters."""
        if self.small_output:
            for array in (parameters.weights[-1], parameters.biases[-1]):
                array *= output_gain

    def at_midpoint(self, parameters: Parameters, rng: np.random.Generator) -> None:  # noqa: B027
        """Switch after half of the episodes (paper algorithms 2 and 3)."""

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the method decided at the midpoint, by name, for a checkpoint."""
        return {}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:  # noqa: B027
        """Go back to what :meth:`arrays` answered."""

    def after_backward(self, gradients: Parameters) -> None:  # noqa: B027
        """Change the gradients before the optimiser sees them."""

    @property
    def latent_limits(self) -> tuple[float, ...]:
        """``latent_limit`` of each layer."""
        return (self.latent_limit,) * (len(self.spec.hidden) + 1)

    def after_step(self, parameters: Parameters) -> None:
        """Bring the latent parameters back to where the method allows them."""
        for weight, limit in zip(parameters.weights, self.latent_limits, strict=True):
            if np.isfinite(limit):
                np.clip(weight, -limit, limit, out=weight)


def real_contract(task: Task, spec: PolicySpec) -> Contract:
    """Real numbers everywhere but in the observation, which the sensor's converter quantises in any case."""
    hidden = LayerType(None, None, Real(task.network.activation))
    output = LayerType(None, None, Real(task.action.squash) if task.actions.is_continuous else None)
    return Contract(task.observation.type, (hidden,) * len(spec.hidden) + (output,), task.actions.output)


def shared_contract(task: Task, spec: PolicySpec) -> Contract:
    """Of methods that train what they deploy, unless the task asks for real numbers."""
    return real_contract(task, spec) if task.training.real_numbers else fixed_point_contract(task, spec)


def without_rounding(task: Task, spec: PolicySpec, contract: Contract) -> Contract:
    """``contract`` with only its signs left if the task asks for real numbers."""
    if not task.training.real_numbers:
        return contract
    real = real_contract(task, spec)
    layers = tuple(
        LayerType(kept.weight, None, kept.activation if isinstance(kept.activation, Sign) else other.activation)
        for kept, other in zip(contract.layers, real.layers, strict=True)
    )
    return dataclasses.replace(contract, layers=layers)


def fixed_point_contract(task: Task, spec: PolicySpec) -> Contract:
    """Weights of ``spec.bits`` bits, and activations as the task has them."""
    weight = FixedPoint(spec.bits, _or_usual(task.network.weight_integer_bits))
    return _contract(task, (weight,) * (len(spec.hidden) + 1), hidden_type(task, spec))


def binary_contract(task: Task, spec: PolicySpec, activation: CutType) -> Contract:
    """Weights of one bit, hidden activations as given."""
    weights = [Binary(_sign_scale(task, spec, layer)) for layer in range(len(spec.hidden) + 1)]
    return _contract(task, weights, activation)


def ternary_contract(task: Task, limits: Sequence[float]) -> Contract:
    """Weights of two bits whose unit is the limit of their latents, so that one of four values never occurs."""
    return _contract(task, [FixedPoint(2, 2 + round(math.log2(limit))) for limit in limits], Sign())


def hidden_type(task: Task, spec: PolicySpec) -> CutType:
    """Activations of ``spec.activation_bits`` bits, or ``spec.bits`` if that is 0."""
    return activation_type(
        task.network.activation, spec.activation_bits or spec.bits, _or_usual(task.network.activation_integer_bits)
    )


def _or_usual(integer_bits: int | None) -> int:
    return USUAL_INTEGER_BITS if integer_bits is None else integer_bits


def _sign_scale(task: Task, spec: PolicySpec, layer: int) -> float:
    """What the signs of one layer stand for: about 1/√fan-in, so that the sums suit softmax and straight-through."""
    if task.training.unit_signs or (layer == 0 and spec.hidden and spec.hidden[0] <= LARGEST_UNSCALED):
        return 1.0
    # Plain ±1 weights make logits too large for the softmax to explore.
    fan_in = spec.hidden[layer - 1] if layer else task.fan_in
    return nearest_power_of_two(fan_in ** -0.5)


def _contract(task: Task, weights: Sequence[FixedPoint | Binary], activation: CutType) -> Contract:
    layers, lsb = [], task.observation.type.lsb
    for index, weight in enumerate(weights):
        last = index == len(weights) - 1
        kind = task.actions.activation if last else activation
        layers.append(LayerType(weight, bias_type(lsb * weight.lsb, _or_usual(task.network.bias_integer_bits)), kind))
        lsb = activation.lsb
    return Contract(task.observation.type, tuple(layers), task.actions.output)
