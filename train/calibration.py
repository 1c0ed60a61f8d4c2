"""Number formats from data: where the task file doesn't say how many bits stand before the point, ranges decide.

Weights and biases get as many as their largest needs, layer by layer. Activations get as many as the sums need that
visited observations make, the rarest left out; what then saturates is counted and goes into the run's record.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hls4rl.contract import Binary, Contract, FixedPoint, FloatArray, IntArray, LayerType, Values, bias_type
from hls4rl.policy import Policy, PolicySpec
from hls4rl.ranges import visited
from hls4rl.task import Task
from hls4rl.train.methods import method
from hls4rl.train.parameters import Parameters
from hls4rl.train.vpg.rollout import activate

CUT = 0.001
"""Share of the sums that an activation's range leaves out."""
_FEWEST, _MOST = -8, 8


def is_calibrated(task: Task, spec: PolicySpec) -> bool:
    """Whether the task file leaves a format of ``spec``'s network to the data."""
    network = task.network
    formats = [network.weight_integer_bits, network.bias_integer_bits]
    return None in ([*formats, network.activation_integer_bits] if spec.hidden else formats)


def deployed(
    task: Task, spec: PolicySpec, parameters: Parameters, seen: FloatArray | None = None
) -> tuple[Policy, list[dict[str, Any]] | None]:
    """The policy that ``parameters`` leave training as; and of each layer what its formats cut off, if they were
    chosen by data.

    Args:
        seen: see :func:`calibrated`.
    """
    if not is_calibrated(task, spec):
        return parameters.policy(spec, method(spec).deployed_contract(task)), None
    contract, saturated = calibrated(task, spec, parameters, seen)
    return parameters.policy(spec, contract), saturated


def calibrated(
    task: Task, spec: PolicySpec, parameters: Parameters, seen: FloatArray | None = None
) -> tuple[Contract, list[dict[str, Any]]]:
    """The deployed contract with the formats that ``parameters`` and visited observations ask for.

    Args:
        seen: those observations, as the environment's floats, shape (steps, features); None: random episodes and the
            policy's own are played.

    Returns:
        The contract, and for each layer the shares of its ``weights``, ``biases`` and ``activations`` that saturate.
    """
    contract = method(spec).deployed_contract(task)
    values = _visited(task, spec, parameters) if seen is None else task.training_view(seen)
    layers, shares = [], []
    lsb = contract.observation.lsb
    for index, types in enumerate(contract.layers):
        weight, bias = parameters.weights[index], parameters.biases[index]
        kind = _weight_type(task, types, weight)
        assert kind is not None
        sums = values @ (kind.integers(weight) * kind.lsb).T + bias
        bits = task.network.bias_integer_bits
        offset = bias_type(lsb * kind.lsb, max(1, _integer_bits(bias)) if bits is None else bits)
        new = LayerType(kind, offset, _activation_type(task, types, sums))
        layers.append(new)
        shares.append({"weights": _share(kind, weight), "biases": _share(offset, bias),
                       "activations": _share(new.activation, sums)})
        values = activate(sums, new.activation)
        lsb = lsb if new.activation is None else new.activation.lsb  # type: ignore[union-attr]
    return Contract(contract.observation, tuple(layers), contract.output), shares


def _visited(task: Task, spec: PolicySpec, parameters: Parameters) -> FloatArray:
    """What the network sees in random episodes and in its own, in real units; shape (steps, features)."""
    contract = method(spec).training_contract(task)

    def act(observations: FloatArray) -> IntArray:
        values = task.training_view(observations)
        for weight, bias, types in zip(parameters.weights, parameters.biases, contract.layers, strict=True):
            values = activate(values @ weight.T + bias, types.activation)
        if not isinstance(contract.output, Values):
            return contract.output.decide(values)
        kind = task.actions.activation
        assert kind is not None
        return np.rint(values * kind.maximum).astype(np.int64)

    seen = np.concatenate([visited(task), visited(task, act)])
    return task.training_view(seen)


def _weight_type(task: Task, types: LayerType, weight: FloatArray) -> FixedPoint | Binary | None:
    kind = types.weight
    ours = task.network.weight_integer_bits is None and isinstance(kind, FixedPoint) and kind.bits > 2
    return FixedPoint(kind.bits, _integer_bits(weight)) if ours and isinstance(kind, FixedPoint) else kind


def _activation_type(task: Task, types: LayerType, sums: FloatArray) -> Any:
    kind = types.activation
    given = task.network.activation_integer_bits is not None or task.network.activation not in ("relu", "identity")
    if given or not isinstance(kind, FixedPoint) or kind == task.actions.activation:
        return kind
    largest = np.quantile(np.abs(sums) if kind.signed else np.maximum(sums, 0.0), 1.0 - CUT, axis=0)
    return FixedPoint(kind.bits, _integer_bits(largest) - (not kind.signed), kind.signed)


def _integer_bits(values: FloatArray) -> int:
    """Bits before the point, sign included, so that the largest of ``values`` rounds into a type of few bits."""
    largest = float(np.abs(values).max(initial=0.0))
    return min(_MOST, max(_FEWEST, math.ceil(math.log2(largest)) + 1)) if largest > 0 else 1


def _share(kind: Any, values: FloatArray) -> float:
    if not isinstance(kind, FixedPoint):
        return 0.0
    whole = np.floor(values / kind.lsb)
    low = -np.inf if not kind.signed else kind.minimum  # a ReLU's zero is no saturation
    return round(float(((whole < low) | (whole > kind.maximum)).mean()), 5)
