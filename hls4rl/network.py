"""The integer network: what RTL is traced from, what is proven, and whose operations are counted.

Only integers and the powers of two that they stand for are held, so that whoever builds on it cannot round a second
time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hls4rl.contract import (
    ONE_CHOICE,
    Argmax,
    FixedPoint,
    IntArray,
    MultiplyShift,
    Output,
    ResultType,
    Sign,
    Table,
    Values,
)

_EXACT_IN_FLOAT64 = 2.0**53


@dataclass(frozen=True, eq=False)
class Layer:
    """One fully connected layer and the activation after it."""

    weight: IntArray
    """Shape (outputs, inputs), in units of ``weight_lsb``."""
    weight_lsb: float
    """Value of one unit of ``weight``: a power of two."""
    bias: IntArray
    """Shape (outputs,), in units of ``bias_lsb``."""
    bias_lsb: float
    """Value of one unit of ``bias``: a power of two."""
    activation: ResultType | None
    """Type that the sums are cut to: floor and saturation for :class:`FixedPoint` (an unsigned one is the
    quantised ReLU, a signed one hard tanh), ±1 for :class:`Sign`, a look-up for :class:`Table`, multiplied and shifted
    for :class:`MultiplyShift`, None for sums left as
    they are."""
    rounding: str = "FLOOR"
    """How a :class:`FixedPoint`, or the input of a :class:`Table`, cuts: FLOOR, or ROUND (half to even; models from
    elsewhere have it)."""

    def sum_lsb(self, input_lsb: float) -> float:
        """Value of one unit of the layer's exact sums, for inputs in units of ``input_lsb``."""
        return min(input_lsb * self.weight_lsb, self.bias_lsb)

    def result_lsb(self, input_lsb: float) -> float:
        """Value of one unit of the layer's results, for inputs in units of ``input_lsb``."""
        return self.sum_lsb(input_lsb) if self.activation is None else self.activation.lsb

    def largest_sum(self, inputs: ResultType) -> float:
        """Magnitude, in real units, that no sum exceeds, nor any partial sum of one in whatever order it is added."""
        largest = max(-inputs.minimum, inputs.maximum)
        products = np.abs(self.weight.astype(np.float64)).sum(axis=1) * largest * inputs.lsb * self.weight_lsb
        return float((products + np.abs(self.bias.astype(np.float64)) * self.bias_lsb).max())

    def sums(self, inputs: IntArray, input_lsb: float) -> IntArray:
        """Exact sums of products and bias, before the activation.

        Args:
            inputs: int64, shape (batch, inputs), in units of ``input_lsb``.
            input_lsb: value of one unit of ``inputs``.

        Returns:
            int64, shape (batch, outputs), in units of :meth:`sum_lsb`.
        """
        unit = self.sum_lsb(input_lsb)
        products = _products(inputs, self.weight)
        return products * ratio(input_lsb * self.weight_lsb, unit) + self.bias * ratio(self.bias_lsb, unit)


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """A chain of layers on integers, and how the action is read off the last one's results."""

    input: FixedPoint
    layers: tuple[Layer, ...]
    output: Output = ONE_CHOICE

    def __post_init__(self) -> None:
        self.output.sizes(self.outputs)
        if isinstance(self.output, Values) and self.layers[-1].activation is None:
            raise ValueError("the last layer of a continuous policy has an activation, which says the actions' type")

    @property
    def features(self) -> int:
        """Number of inputs."""
        return int(self.layers[0].weight.shape[1])

    @property
    def outputs(self) -> int:
        """Number of the last layer's results: logits, or dimensions of a continuous action."""
        return int(self.layers[-1].weight.shape[0])

    @property
    def logit_lsb(self) -> float:
        """Value of one unit of an integer output: a power of two."""
        lsb = self.input.lsb
        for layer in self.layers:
            lsb = layer.result_lsb(lsb)
        return lsb

    @property
    def choices(self) -> tuple[int, ...]:
        """How many each integer of the action chooses from; empty where the action is continuous."""
        if not isinstance(self.output, Argmax):
            return ()
        return tuple(max(size, 2) for size in self.output.sizes(self.outputs))

    @property
    def action_types(self) -> tuple[FixedPoint, ...]:
        """The type of each integer of the action, in units of 1; the hardware's port has the first one lowest."""
        if isinstance(self.output, Argmax):
            return tuple(
                FixedPoint(bits, bits, signed=False)
                for bits in (max(1, (size - 1).bit_length()) for size in self.output.sizes(self.outputs))
            )
        kind = self.layers[-1].activation
        assert kind is not None
        kind = kind.output if isinstance(kind, Table | MultiplyShift) else kind
        one = FixedPoint(2, 2) if isinstance(kind, Sign) else FixedPoint(kind.bits, kind.bits, kind.signed)
        return (one,) * self.outputs

    def infer(self, observations: IntArray) -> IntArray:
        """The last layer's results for integer observations: logits, or continuous actions.

        Args:
            observations: int64, shape (batch, features), in units of ``input.lsb``.

        Returns:
            int64, shape (batch, outputs), in units of ``logit_lsb``.
        """
        values, lsb = observations, self.input.lsb
        for layer in self.layers:
            sums, lsb = layer.sums(values, lsb), layer.sum_lsb(lsb)
            values = activate(sums, lsb, layer.activation, layer.rounding)
            lsb = lsb if layer.activation is None else layer.activation.lsb
        return values

    def act(self, observations: IntArray) -> IntArray:
        """Actions, int64, shape (batch, action dimensions), for integer ``observations``, shape (batch, features)."""
        return self.output.decide(self.infer(observations))


def plain(network: IntegerNetwork) -> IntegerNetwork:
    """The same function without :class:`MultiplyShift`: its multiplication is a diagonal layer behind the sums.

    What the backends are built from that have no multiplier behind a sum: QONNX, hls4ml, the pipelined core.
    """
    layers: list[Layer] = []
    inputs: ResultType = network.input
    for layer in network.layers:
        kind = layer.activation
        layers += _diagonal(layer, kind, inputs) if isinstance(kind, MultiplyShift) else [layer]
        inputs = kind if kind is not None else inputs
    return replace(network, layers=tuple(layers))


_CONSTANT_BITS = 24
"""What a float32 holds of a constant, and with it QONNX and the tools that read it."""


def _diagonal(layer: Layer, kind: MultiplyShift, inputs: ResultType) -> list[Layer]:
    """Sums that nothing cuts, then the multiplication; limits that no type has are two cuts more."""
    unit, output, count = layer.sum_lsb(inputs.lsb), kind.output, len(kind.multiplier)
    step, above = output.lsb * 2.0**-kind.shift, output.maximum - kind.high
    multiplier = np.array(kind.multiplier, dtype=np.int64)
    # What the multiplier divides of the addend is added to the sum, so that the rest has no more bits than it.
    whole, rest = np.divmod(np.array(kind.addend, dtype=np.int64) + (above << kind.shift), np.maximum(multiplier, 1))
    weight, bias = layer.weight, layer.bias * ratio(layer.bias_lsb, unit) + whole
    factors, addend = np.diag(multiplier), rest
    if max(multiplier.max(), rest.max()) >= 1 << _CONSTANT_BITS:
        # The higher bits are weights of a second copy of the sums, and of a sum that is always 1.
        low = multiplier % (1 << _CONSTANT_BITS)
        addend = rest % (1 << _CONSTANT_BITS)
        factors = np.concatenate([np.diag(low), np.diag(multiplier - low), (rest - addend)[:, None]], axis=1)
        weight = np.concatenate([weight, weight, np.zeros((1, weight.shape[1]), dtype=np.int64)])
        bias = np.concatenate([bias, bias, [1]])
    sums = Layer(weight, layer.weight_lsb, bias, unit, None)
    bits = 1 + max(1, math.ceil(sums.largest_sum(inputs) / unit)).bit_length()
    sums = replace(sums, activation=FixedPoint(bits, bits + round(math.log2(unit))))
    result = [sums, Layer(factors, step / unit, addend, step, output)]
    if (kind.low, kind.high) == (output.minimum, output.maximum):
        return result
    # The type cuts at its maximum, which stands for ``high``; an unsigned one then cuts at its 0, which stands for
    # ``low``; and back.
    one, width = np.eye(count, dtype=np.int64), max(1, (kind.high - kind.low).bit_length())
    positive = FixedPoint(width, width + output.integer_bits - output.bits, signed=False)
    for shift, cut in ((-above - kind.low, positive), (kind.low, output)):
        result.append(Layer(one, 1.0, np.full(count, shift, dtype=np.int64), output.lsb, cut))
    return result


def activate(sums: IntArray, lsb: float, kind: ResultType | None, rounding: str = "FLOOR") -> IntArray:
    """Cut ``sums`` (int64, any shape, in units of ``lsb``) to ``kind``; the result is in units of its lsb."""
    if kind is None:
        return sums
    if isinstance(kind, Sign):
        return np.where(sums >= 0, 1, -1).astype(np.int64)
    if isinstance(kind, Table):
        return np.array(kind.values, dtype=np.int64)[activate(sums, lsb, kind.input, rounding) - kind.input.minimum]
    if isinstance(kind, MultiplyShift):
        scaled = sums * np.array(kind.multiplier, dtype=np.int64) + np.array(kind.addend, dtype=np.int64)
        limited: IntArray = np.clip(scaled >> kind.shift, kind.low, kind.high)
        return limited
    if kind.lsb >= lsb:
        cut = round_half_even(sums, ratio(kind.lsb, lsb)) if rounding == "ROUND" else sums // ratio(kind.lsb, lsb)
    else:
        # Saturate first, coarsely: the multiplication below must not leave 64 bits.
        bound = (1 << kind.bits) // ratio(lsb, kind.lsb) + 1
        cut = np.clip(sums, -bound, bound) * ratio(lsb, kind.lsb)
    return np.clip(cut, kind.minimum, kind.maximum)


def round_half_even(sums: IntArray, divisor: int) -> IntArray:
    """``sums / divisor`` rounded to the nearest integer, ties to the even one; exact for every int64."""
    below, rest = np.divmod(sums, divisor)
    up: IntArray = ((2 * rest > divisor) | ((2 * rest == divisor) & (below % 2 == 1))).astype(np.int64)
    return below + up


def ratio(larger: float, smaller: float) -> int:
    """The quotient of two powers of two.

    Raises:
        ValueError: ``larger`` is no multiple of ``smaller``.
    """
    quotient = larger / smaller
    if quotient != int(quotient):
        raise ValueError(f"{larger:g} is no multiple of {smaller:g}")
    return int(quotient)


def _products(inputs: IntArray, weight: IntArray) -> IntArray:
    # A float64 holds sums up to 2^53 exactly, and its product of wide matrices is many times as fast.
    largest = float(np.abs(inputs).max(initial=0)) * float(np.abs(weight).sum(axis=1).max(initial=0))
    if largest < _EXACT_IN_FLOAT64:
        return (inputs.astype(np.float64) @ weight.T.astype(np.float64)).astype(np.int64)
    return inputs @ weight.T
