"""Post-training quantisation: integers for a float policy, from what it sees in its own episodes.

What comes before the network is divided between the host and the first layer: the host subtracts the normaliser's mean
(or the middle of what was seen) and multiplies by a power of two, and the factor that is left, less than two, goes into
the first layer's weights in real numbers, before any rounding. What comes after it likewise: the bounds of an action go
into the last layer, so that the host's affine rule (:mod:`hls4rl.actions`) gives the environment's units.

Each format has the position of its point that makes the mean squared error over the visited observations least.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from hls4rl.actions import BoxActions
from hls4rl.contract import (
    TABLE_BITS,
    ActivationType,
    Argmax,
    Contract,
    FixedPoint,
    FloatArray,
    LayerType,
    Table,
    bias_type,
)
from hls4rl.policy import Policy, PolicySpec
from hls4rl.ranges import ranges_of
from hls4rl.task import Task
from hls4rl.train.pretrained.float_policy import TANH, Fitted, FloatPolicy
from hls4rl.train.pretrained.functions import FUNCTIONS, Function
from hls4rl.train.vpg.rollout import activate

_BIAS_BITS = 24
"""Most of a bias: what a float32 holds, as which graphs store it."""
_STEPS_DOWN = 3
"""Positions of the point that are tried below the one that takes the largest value."""
_FEWEST, _MOST = -24, 16


@dataclass(frozen=True, eq=False)
class Affine:
    """A float policy behind a host that subtracts and scales, and in front of one that scales: what is quantised."""

    weights: list[FloatArray]
    biases: list[FloatArray]
    last: Function
    """What becomes of the last sums: nothing, or a function whose results are the host's -1 … 1."""


def seen_through(task: Task, policy: FloatPolicy, observations: FloatArray) -> Task:
    """``task`` with the offsets and scales that suit ``policy`` and what it sees, shape (steps, features)."""
    kind = task.observation
    normaliser = policy.normaliser
    offset = ranges_of(task, observations).offset if normaliser is None else normaliser.mean
    reach = np.abs(observations - offset)
    if normaliser is not None:
        reach = np.minimum(reach, normaliser.limit * normaliser.deviation)
    scale = tuple(2.0 ** -_exponent(column, kind.type) for column in reach.T)
    return dataclasses.replace(task, observation=dataclasses.replace(kind, scale=scale, offset=tuple(offset.tolist())))


def quantise(fitted: Fitted, spec: PolicySpec, observations: FloatArray) -> tuple[Policy, list[dict[str, float]]]:
    """The integer policy of ``fitted``, whose task has numbers for offsets and scales.

    Args:
        spec: its method's bits count; its hidden layers are the float policy's.
        observations: what the float policy sees, shape (steps, features).

    Returns:
        The policy, and the shares of each layer's weights and activations that saturate.
    """
    task, policy = fitted.task, fitted.policy
    affine = _affine(fitted, observations, spec.bits)
    values, lsb = task.training_view(observations), task.observation.type.lsb
    layers, biases, shares = [], [], []
    for index, (weight, bias) in enumerate(zip(affine.weights, affine.biases, strict=True)):
        last = index == len(affine.weights) - 1
        kind = _fitting(weight.reshape(-1), lambda bits: FixedPoint(spec.bits, bits))
        sums = values @ (kind.integers(weight) * kind.lsb).T + bias
        activation = (
            _last_type(task, affine.last, sums) if last
            else hidden_type(policy.activations[index], spec.activation_bits or spec.bits, sums)
        )
        bias = bias + half_step(activation)  # what is cut by floor is rounded to the nearest so
        offset = _bias_type(lsb * kind.lsb, bias)
        layers.append(LayerType(kind, offset, activation))
        biases.append(bias.astype(np.float32))
        sums = values @ (kind.integers(weight) * kind.lsb).T + offset.integers(bias) * offset.lsb
        shares.append({"weights": _beyond(kind, weight), "activations": _beyond(activation, sums)})
        values = activate(sums, activation)
        lsb = lsb if activation is None else activation.lsb
    contract = Contract(task.observation.type, tuple(layers), task.actions.output)
    weights = tuple(np.ascontiguousarray(weight, dtype=np.float32) for weight in affine.weights)
    return Policy(spec, contract, weights, tuple(biases)), shares


def hidden_type(name: str, bits: int, sums: FloatArray) -> FixedPoint | Table:
    """The integers of the activation ``name`` in :data:`FUNCTIONS`, ``bits`` wide, for such ``sums``."""
    if name in ("relu", "identity"):
        signed = name == "identity"
        values = sums if signed else np.maximum(sums, 0.0)
        return _fitting(values.reshape(-1), lambda whole: FixedPoint(bits, whole, signed), floor=False)
    if name == "hard-tanh":
        return FixedPoint(bits, 1)
    return table_of(FUNCTIONS[name], bits, sums)


def table_of(function: Function, bits: int, sums: FloatArray, output: FixedPoint | None = None) -> Table:
    """A table of ``function`` with results of ``bits`` bits, or of the type ``output``, for such ``sums``."""
    width, found = min(bits + 2, TABLE_BITS), []
    flat: FloatArray = sums.reshape(-1)
    largest = math.ceil(math.log2(max(float(np.abs(flat).max(initial=0.0)), 2.0 ** _FEWEST))) + 1
    for whole in range(largest, largest - 8, -1):
        kind = FixedPoint(width, whole)
        points: FloatArray = np.arange(kind.minimum, kind.maximum + 1, dtype=np.float64) * kind.lsb
        results = function(points)
        type_ = output or _covering(results, bits)
        table = Table(kind, type_, tuple(type_.integers(results).tolist()))
        place = np.clip(np.rint(flat / kind.lsb), kind.minimum, kind.maximum).astype(np.int64) - kind.minimum
        error = float(np.mean((np.array(table.values)[place] * table.lsb - function(flat)) ** 2))
        found.append((error, table))
    return min(found, key=lambda item: item[0])[1]


def half_step(activation: ActivationType) -> float:
    """What makes a cut by floor one to the nearest, when it is added to a bias."""
    if isinstance(activation, Table):
        return activation.input.lsb / 2
    return activation.lsb / 2 if isinstance(activation, FixedPoint) else 0.0


def _affine(fitted: Fitted, observations: FloatArray, bits: int) -> Affine:
    task, policy = fitted.task, fitted.policy
    weights, biases = [weight.copy() for weight in policy.weights], [bias.copy() for bias in policy.biases]
    scale, offset = task.converter.scale, task.converter.offset
    mean, deviation = (np.zeros_like(offset), np.ones_like(scale)) if policy.normaliser is None else (
        policy.normaliser.mean, policy.normaliser.deviation)
    biases[0] = biases[0] + weights[0] @ ((offset - mean) / deviation)
    weights[0] = weights[0] / (deviation * scale)
    actions = task.actions
    if isinstance(actions.output, Argmax):
        _spread(actions.output, weights, biases, bits)
        return Affine(weights, biases, FUNCTIONS["identity"])
    assert isinstance(actions, BoxActions)
    kind = actions.activation
    top = kind.maximum * kind.lsb  # what the host takes for 1
    if policy.output == TANH:
        return Affine(weights, biases, lambda sums: top * np.tanh(np.clip(sums, -policy.mean_limit, policy.mean_limit)))
    low, high = actions.low.reshape(-1), actions.high.reshape(-1)
    factor = top / ((high - low) / 2)
    weights[-1] = weights[-1] * factor[:, None]
    biases[-1] = (biases[-1] - (low + high) / 2) * factor
    return Affine(weights, biases, FUNCTIONS["identity"])


def _spread(output: Argmax, weights: list[FloatArray], biases: list[FloatArray], bits: int) -> None:
    """What doesn't change the largest logit of a group: less what its rows share, and as large as the type holds."""
    weight, bias, start = weights[-1], biases[-1], 0
    for size in output.sizes(len(bias)):
        rows = slice(start, start + size)
        if size > 1:
            weight[rows] -= (weight[rows].max(axis=0) + weight[rows].min(axis=0)) / 2
            bias[rows] -= bias[rows].mean()
        largest = float(np.abs(weight[rows]).max(initial=0.0))
        if largest > 0:
            factor = FixedPoint(bits, 1).maximum * FixedPoint(bits, 1).lsb / largest
            weight[rows] *= factor
            bias[rows] *= factor
        start += size


def _last_type(task: Task, function: Function, sums: FloatArray) -> FixedPoint | Table | None:
    kind = task.actions.activation
    if kind is None:
        return None
    output = kind.output if isinstance(kind, Table) else kind
    if function is FUNCTIONS["identity"]:
        return output
    return table_of(function, output.bits, sums, output)


def _exponent(values: FloatArray, kind: FixedPoint) -> int:
    """e so that ``values``, not negative, times 2^-e suit ``kind``, whose limit is 1."""
    return _fitting(values, lambda whole: FixedPoint(kind.bits, whole)).integer_bits - kind.integer_bits


def _fitting(values: FloatArray, of: Callable[[int], FixedPoint], floor: bool = False) -> FixedPoint:
    """Of the types ``of`` (bits before the point) the one with the least mean squared error on ``values``."""
    largest = float(np.abs(values).max(initial=0.0))
    signed = of(1).signed
    start = (math.ceil(math.log2(largest)) if largest > 0 else 0) + signed
    tried = [of(min(_MOST, max(_FEWEST, start - step))) for step in range(_STEPS_DOWN)]
    return min(tried, key=lambda kind: _error(kind, values))


def _error(kind: FixedPoint, values: FloatArray) -> float:
    return float(np.mean((kind.integers(values) * kind.lsb - values) ** 2))


def _covering(results: FloatArray, bits: int) -> FixedPoint:
    """The signed or unsigned type whose range holds ``results``, but for a last step."""
    signed = bool(results.min() < 0)
    largest = float(np.abs(results).max(initial=0.0))
    whole = (math.ceil(math.log2(largest) - 1e-9) if largest > 0 else 0) + signed
    return FixedPoint(bits, min(_MOST, max(_FEWEST, whole)), signed)


def _bias_type(product_lsb: float, bias: FloatArray) -> FixedPoint:
    largest = float(np.abs(bias).max(initial=0.0))
    whole = max(1 + round(math.log2(product_lsb)), math.ceil(math.log2(largest)) + 1 if largest > 0 else -64)
    kind_bits = whole - round(math.log2(product_lsb))
    return bias_type(product_lsb, whole) if kind_bits <= _BIAS_BITS else FixedPoint(_BIAS_BITS, whole)


def _beyond(kind: Any, values: FloatArray) -> float:
    cut = kind.input if isinstance(kind, Table) else kind
    if not isinstance(cut, FixedPoint):
        return 0.0
    whole = np.floor(values / cut.lsb)
    low = -np.inf if not cut.signed else cut.minimum  # a ReLU's zero is no saturation
    return round(float(((whole < low) | (whole > cut.maximum)).mean()), 5)

