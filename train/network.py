"""The policy as a Brevitas module: the single definition that training, export and evaluation share."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hls4rl.backend import Answer
from hls4rl.contract import ActivationType, Binary, Contract, FixedPoint, IntArray, Sign, WeightType
from hls4rl.policy import Policy

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from brevitas.core.function_wrapper import TensorClampSte
    from brevitas.core.zero_point import ZeroZeroPoint
    from brevitas.inject import ExtendedInjector
    from brevitas.inject.enum import (
        BitWidthImplType,
        FloatToIntImplType,
        QuantType,
        RestrictValueType,
        ScalingImplType,
        ScalingPerOutputType,
    )
    from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
    from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
    from brevitas.quant.solver import ActQuantSolver, BiasQuantSolver, WeightQuantSolver


class _PowerOfTwo(ExtendedInjector):  # type: ignore[misc]
    """Integers of a fixed width with a constant power-of-two scale: Brevitas has no such quantiser ready."""

    quant_type = QuantType.INT
    bit_width_impl_type = BitWidthImplType.CONST
    zero_point_impl = ZeroZeroPoint
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.POWER_OF_TWO
    scaling_per_output_type = ScalingPerOutputType.TENSOR
    narrow_range = False
    signed = True


class PolicyNetwork(nn.Module):
    """observation → hidden layer → activation → logits, with the quantisers that ``contract`` asks for.

    A ``None`` in the contract leaves that tensor real-valued.
    """

    def __init__(self, contract: Contract, features: int, hidden: int, actions: int) -> None:
        super().__init__()
        self.contract = contract
        self.observation = QuantIdentity(
            act_quant=_activation_quantiser(contract.observation, FloatToIntImplType.ROUND), return_quant_tensor=True
        )
        self.hidden = _linear(features, hidden, contract.hidden_weight, contract.hidden_bias)
        self.activation = _activation(contract.activation)
        self.output = _linear(hidden, actions, contract.output_weight, contract.output_bias)

    def forward(self, observations: Tensor) -> Tensor:
        """Logits, shape (batch, actions), of real-valued ``observations``, shape (batch, features)."""
        logits = self.output(self.activation(self.hidden(self.observation(observations))))
        value: Tensor = logits.value if hasattr(logits, "value") else logits
        return value


class TorchBackend:
    """The reference: the Brevitas module in float64, whose 53-bit mantissa holds every sum exactly."""

    name = "torch"

    def __init__(self, policy: Policy) -> None:
        torch.set_num_threads(1)  # networks this small only lose by threads
        self._network = copy.deepcopy(load_network(policy)).double().eval()
        for layer in (self._network.hidden, self._network.output):
            _freeze(layer)
        self._observation_lsb = policy.contract.observation.lsb
        self._logit_lsb = policy.contract.logit_lsb

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        with torch.inference_mode():
            logits = self._network(torch.from_numpy(observations * self._observation_lsb)).numpy() / self._logit_lsb
        return Answer.of_logits(np.rint(logits).astype(np.int64))


def load_network(policy: Policy) -> PolicyNetwork:
    """The Brevitas module that holds ``policy``'s parameters."""
    network = PolicyNetwork(policy.contract, policy.features, policy.spec.hidden, policy.actions)
    with torch.no_grad():
        for layer, weight, bias in (
            (network.hidden, policy.hidden_weight, policy.hidden_bias),
            (network.output, policy.output_weight, policy.output_bias),
        ):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return network


def _freeze(layer: QuantLinear) -> None:
    """Quantise weights and biases once: Brevitas would for each batch, of a wide layer most of the time."""
    with torch.no_grad():
        weight, bias = layer.quant_weight(), layer.bias_quant(layer.bias)
    layer.quant_weight = lambda *_: weight
    layer.bias_quant = _Constant(bias)


class _Constant(nn.Module):
    """A module that gives the same whatever it is given: a quantiser whose work is done."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def forward(self, *_: Any) -> Any:
        """The value."""
        return self._value


def _linear(inputs: int, outputs: int, weight: WeightType, bias: FixedPoint | None) -> QuantLinear:
    quantisers = {"weight_quant": _weight_quantiser(weight), "bias_quant": _bias_quantiser(bias)}
    return QuantLinear(inputs, outputs, bias=True, **quantisers)


def _activation(kind: ActivationType) -> Any:
    if kind is None:
        return nn.ReLU()
    if isinstance(kind, Sign):
        quantiser = _injector(SignedBinaryActPerTensorConst, scaling_const=1.0)
        return QuantIdentity(act_quant=quantiser, return_quant_tensor=True)
    return QuantReLU(act_quant=_activation_quantiser(kind, FloatToIntImplType.FLOOR), return_quant_tensor=True)


def _weight_quantiser(kind: WeightType) -> type[Any] | None:
    if kind is None:
        return None
    if isinstance(kind, Binary):
        # Brevitas' own clamp would change the latent weights in place, to ±scale; ours are clipped by the method.
        return _injector(SignedBinaryWeightPerTensorConst, scaling_const=kind.scale, tensor_clamp_impl=TensorClampSte)
    return _injector(_PowerOfTwo, WeightQuantSolver, **_constant_scale(kind))


def _bias_quantiser(kind: FixedPoint | None) -> type[Any] | None:
    if kind is None:
        return None
    own_scale = {"requires_input_scale": False, "requires_input_bit_width": False}
    return _injector(_PowerOfTwo, BiasQuantSolver, **own_scale, **_constant_scale(kind))


def _constant_scale(kind: FixedPoint) -> dict[str, Any]:
    return {
        "bit_width": kind.bits,
        "scaling_const": 2.0 ** (kind.integer_bits - 1),
        "float_to_int_impl_type": FloatToIntImplType.ROUND,
    }


def _activation_quantiser(kind: FixedPoint, rounding: FloatToIntImplType) -> type[Any]:
    top = 2.0 ** (kind.integer_bits - kind.signed)
    return _injector(
        _PowerOfTwo, ActQuantSolver, bit_width=kind.bits, signed=kind.signed,
        min_val=-top if kind.signed else 0.0, max_val=top, float_to_int_impl_type=rounding,
    )


def _injector(*bases: type[Any], **settings: Any) -> type[Any]:
    # Brevitas configures a quantiser by subclassing its injector.
    return type("Quantiser", bases, settings)
