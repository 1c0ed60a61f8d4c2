"""The policy as a Brevitas module: the single definition that training, export and evaluation share."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hls4rl.backend import Answer
from hls4rl.contract import ActivationType, Binary, Contract, FixedPoint, IntArray, Real, Sign, Table, WeightType
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
    """observation → layers and their activations → outputs, with the quantisers that ``contract`` asks for.

    A ``None`` or :class:`hls4rl.contract.Real` in the contract leaves that tensor real-valued.
    """

    def __init__(self, contract: Contract, sizes: Sequence[int]) -> None:
        """Layers between ``sizes``: features, units of each hidden layer, outputs."""
        super().__init__()
        self.contract = contract
        self.observation = QuantIdentity(
            act_quant=_activation_quantiser(contract.observation, FloatToIntImplType.ROUND), return_quant_tensor=True
        )
        self.layers: list[Any] = nn.ModuleList(  # type: ignore[assignment]
            _linear(inputs, outputs, types.weight, types.bias)
            for (inputs, outputs), types in zip(itertools.pairwise(sizes), contract.layers, strict=True)
        )
        self.activations: list[Any] = nn.ModuleList(  # type: ignore[assignment]
            _activation(types.activation) for types in contract.layers
        )

    def forward(self, observations: Tensor) -> Tensor:
        """Outputs, shape (batch, outputs), of real-valued ``observations``, shape (batch, features)."""
        values = self.observation(observations)
        for layer, activation in zip(self.layers, self.activations, strict=True):
            values = activation(layer(values))
        return _value(values)


class TorchBackend:
    """The reference: the Brevitas module in float64, whose 53-bit mantissa holds every sum exactly."""

    name = "torch"

    def __init__(self, policy: Policy) -> None:
        torch.set_num_threads(1)  # networks this small only lose by threads
        self._network = copy.deepcopy(load_network(policy)).double().eval()
        for layer in self._network.layers:
            _freeze(layer)
        self._contract = policy.contract

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        with torch.inference_mode():
            values = self._network(torch.from_numpy(observations * self._contract.observation.lsb)).numpy()
        outputs = np.rint(values / self._contract.logit_lsb).astype(np.int64)
        return Answer.of_logits(outputs, self._contract.output)


def load_network(policy: Policy) -> PolicyNetwork:
    """The Brevitas module that holds ``policy``'s parameters."""
    sizes = [policy.features, *(len(bias) for bias in policy.biases)]
    network = PolicyNetwork(policy.contract, sizes)
    with torch.no_grad():
        for layer, weight, bias in zip(network.layers, policy.weights, policy.biases, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
    return network


class _Table(nn.Module):
    """A look-up of integers, and backwards the slope of the table around the place that was looked up."""

    def __init__(self, kind: Table) -> None:
        super().__init__()
        self.cut = QuantIdentity(act_quant=_activation_quantiser(kind.input, FloatToIntImplType.FLOOR))
        self.results = QuantIdentity(
            act_quant=_activation_quantiser(kind.output, FloatToIntImplType.ROUND), return_quant_tensor=True
        )
        self._lsb, self._minimum = kind.input.lsb, float(kind.input.minimum)
        self.register_buffer("values", torch.tensor(kind.values, dtype=torch.float64) * kind.lsb)
        self.values: Tensor
        self.float()

    def forward(self, sums: Tensor) -> Any:
        cut: Tensor = _value(self.cut(_value(sums)))
        place = (cut / self._lsb - self._minimum).to(torch.int64)
        found = self.values[place]
        if not self.training:
            return self.results(found)
        after, before = (self.values[(place + step).clamp(0, len(self.values) - 1)] for step in (1, -1))
        slope = (after - before) / (2 * self._lsb)
        return found.detach() + slope.detach() * (cut - cut.detach())


class _HardTanh(nn.Module):
    """Cuts to [-1, 1]."""

    def forward(self, sums: Tensor) -> Tensor:
        return torch.clamp(_value(sums), -1.0, 1.0)


def _value(tensor: Any) -> Tensor:
    # Brevitas answers with a tensor of its own kind where it quantises.
    value: Tensor = tensor.value if hasattr(tensor, "value") else tensor
    return value


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
        return nn.Identity()
    if isinstance(kind, Real):
        real = {"relu": nn.ReLU, "hard-tanh": _HardTanh, "tanh": nn.Tanh, "identity": nn.Identity}
        return real[kind.curve]()
    if isinstance(kind, Table):
        return _Table(kind)
    if isinstance(kind, Sign):
        quantiser = _injector(SignedBinaryActPerTensorConst, scaling_const=1.0)
        return QuantIdentity(act_quant=quantiser, return_quant_tensor=True)
    module = QuantIdentity if kind.signed else QuantReLU
    return module(act_quant=_activation_quantiser(kind, FloatToIntImplType.FLOOR), return_quant_tensor=True)


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
