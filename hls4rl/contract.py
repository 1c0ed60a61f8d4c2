"""The number contract: which integers stand for which real numbers, at every border of the network.

All scales are powers of two and every type is explicit, so that Brevitas, ONNX Runtime, hls4ml, RTL and
netlist compute the same integers. Hidden activations are re-quantised by truncation with saturation,
which costs no logic; accumulators never overflow.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.errors import ProjectError

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
INPUT_BITS = 16
"""Most bits of one observed feature."""
BIAS_BITS = 32
"""Most bits of a bias."""


@dataclass(frozen=True)
class FixedPoint:
    """A fixed-point type, as ``ap_fixed<bits, integer_bits>`` (or ``ap_ufixed`` if not ``signed``).

    ``integer_bits`` counts the bits before the binary point, the sign included; it may be negative or
    larger than ``bits``.
    """

    bits: int
    integer_bits: int
    signed: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 32 or not -512 <= self.integer_bits <= 512:
            raise ValueError(f"a fixed-point type has 1 to 32 bits near the point, not {self.bits}")
        operator.index(self.bits), operator.index(self.integer_bits)  # whole numbers, or a TypeError

    @property
    def lsb(self) -> float:
        """Value of the least significant bit: a power of two."""
        return 2.0 ** (self.integer_bits - self.bits)

    @property
    def minimum(self) -> int:
        """Smallest integer of the type, in units of ``lsb``."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest integer of the type, in units of ``lsb``."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    def integers(self, values: NDArray[np.floating[Any]]) -> IntArray:
        """Round ``values`` half to even and saturate; same shape, int64, in units of ``lsb``."""
        rounded = np.rint(np.asarray(values, dtype=np.float64) / self.lsb)
        return np.clip(rounded, self.minimum, self.maximum).astype(np.int64)


def read_type(text: str) -> FixedPoint:
    """``ap_fixed<16,6>`` or ``ap_ufixed<8,0>``: the bits, and those before the point.

    Raises:
        ProjectError: ``text`` is neither.
    """
    found = re.fullmatch(r"\s*(?:ap_)?(u?)fixed<\s*(\d{1,2})\s*,\s*(-?\d{1,3})\s*>\s*", text)
    bits = int(found[2]) if found else 0
    if found is None or not 2 - bool(found[1]) <= bits <= INPUT_BITS:
        raise ProjectError(f"'{text[:40]}' is no type of an input; write ap_fixed<16,6> or ap_ufixed<8,0>, with "
                           f"{INPUT_BITS} bits at most")
    return FixedPoint(bits, int(found[3]), signed=not found[1])


@dataclass(frozen=True)
class Binary:
    """Weights of ±``scale`` (paper eq. 3, sign(0) = +1); ``scale`` is a power of two."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not is_power_of_two(self.scale):
            raise ValueError(f"a binary weight's scale is a power of two, not {self.scale}")

    @property
    def lsb(self) -> float:
        """Value of one: the scale."""
        return self.scale

    def integers(self, values: NDArray[np.floating[Any]]) -> IntArray:
        """+1 where ``values`` ≥ 0, else -1; same shape, int64, in units of ``lsb``."""
        return np.where(np.asarray(values) >= 0, 1, -1).astype(np.int64)


@dataclass(frozen=True)
class Sign:
    """Hidden activations of ±1: sign of the sum, sign(0) = +1 (BinaryNet, paper section III-A)."""

    @property
    def lsb(self) -> float:
        """Value of one."""
        return 1.0

    @property
    def minimum(self) -> int:
        """The smaller of the two values."""
        return -1

    @property
    def maximum(self) -> int:
        """The larger of the two values."""
        return 1


@dataclass(frozen=True)
class Table:
    """Any function of few bits as an exact integer table: sums are cut to ``input`` and looked up."""

    input: FixedPoint
    output: FixedPoint
    values: tuple[int, ...]
    """One for each integer of ``input``, from its minimum to its maximum, in units of ``output.lsb``."""

    def __post_init__(self) -> None:
        if len(self.values) != 1 << self.input.bits or self.input.bits > TABLE_BITS:
            raise ValueError(
                f"a table has one value for each of the 2^{self.input.bits} integers of its input, at most "
                f"2^{TABLE_BITS}, not {len(self.values)}"
            )
        if not self.output.minimum <= min(self.values) <= max(self.values) <= self.output.maximum:
            raise ValueError(f"a table's values lie within its output type, not in {min(self.values)} … "
                             f"{max(self.values)}")

    @property
    def lsb(self) -> float:
        """Value of one unit of the results."""
        return self.output.lsb

    @property
    def minimum(self) -> int:
        """Smallest integer that the results' type holds."""
        return self.output.minimum

    @property
    def maximum(self) -> int:
        """Largest integer that the results' type holds."""
        return self.output.maximum

    @classmethod
    def of(
        cls, function: Callable[[FloatArray], NDArray[Any]], input_type: FixedPoint, output_type: FixedPoint
    ) -> Table:
        """The table of a real ``function``: its values at the input type's numbers, rounded half to even, saturated."""
        points: FloatArray = np.arange(input_type.minimum, input_type.maximum + 1, dtype=np.float64) * input_type.lsb
        return cls(input_type, output_type, tuple(output_type.integers(function(points)).tolist()))


@dataclass(frozen=True)
class Real:
    """A real-valued activation (training only), by its name."""

    curve: str = "relu"
    """One of :data:`CURVES`."""

    def __post_init__(self) -> None:
        if self.curve not in CURVES:
            raise ValueError(f"unknown activation '{self.curve}'; choose one of {', '.join(CURVES)}")


CURVES = ("relu", "hard-tanh", "tanh", "identity")
"""Activations by name: max(x, 0), x cut to [-1, 1], the hyperbolic tangent, and x itself."""
TABLE_BITS = 12
"""Widest input of a :class:`Table`."""

@dataclass(frozen=True)
class MultiplyShift:
    """Scales that are no powers of two, as integers: ``(multiplier * sum + addend) >> shift``, cut to ``low … high``.

    An imported network's own rounding at every sum that its layer can reach: whoever makes one has checked that.
    """

    multiplier: tuple[int, ...]
    """One for each output; not negative."""
    addend: tuple[int, ...]
    """One for each output."""
    shift: int
    output: FixedPoint
    """Type of the results."""
    low: int
    high: int
    """Limits of the results, inside ``output``, in units of its lsb."""

    def __post_init__(self) -> None:
        if len(self.multiplier) != len(self.addend) or min(self.multiplier, default=0) < 0 or self.shift < 0:
            raise ValueError("one multiplier and one addend for each output, none negative, and a shift to the right")
        if not self.output.minimum <= self.low <= self.high <= self.output.maximum:
            raise ValueError(f"limits lie inside the output's type, unlike {self.low} … {self.high}")

    @property
    def lsb(self) -> float:
        """Value of one unit of the results."""
        return self.output.lsb

    @property
    def minimum(self) -> int:
        """Smallest result, in units of ``lsb``."""
        return self.low

    @property
    def maximum(self) -> int:
        """Largest result, in units of ``lsb``."""
        return self.high


WeightType = FixedPoint | Binary | None
CutType = FixedPoint | Sign | Table
"""What sums may be cut to; each has ``lsb``, ``minimum`` and ``maximum`` of its results."""
ResultType = CutType | MultiplyShift
"""The same in an integer network, where scales that are no powers of two may have been read."""
ActivationType = CutType | Real | None
"""An unsigned :class:`FixedPoint` is the quantised ReLU, a signed one hard tanh; None leaves the sums as they are."""


@dataclass(frozen=True)
class Argmax:
    """Discrete actions: the largest logit of each group, ties to the lowest index.

    A group of one logit is a yes or no: 1 where the logit is larger than 0.
    """

    groups: tuple[int, ...] = ()
    """Logits of each group, in their order; empty: all of them are one group."""

    def sizes(self, outputs: int) -> tuple[int, ...]:
        """Logits of each group, of a network with so many ``outputs``.

        Raises:
            ValueError: the groups do not add up to ``outputs``.
        """
        sizes = self.groups or (outputs,)
        if sum(sizes) != outputs or min(sizes) < 1:
            raise ValueError(f"groups of {sizes} logits for a network with {outputs}")
        return sizes

    def decide(self, outputs: NDArray[Any]) -> IntArray:
        """Actions, int64, shape (batch, groups), of logits, shape (batch, outputs)."""
        groups = np.split(outputs, np.cumsum(self.sizes(outputs.shape[1]))[:-1], axis=1)
        return np.stack([
            np.argmax(group, axis=1) if group.shape[1] > 1 else (group[:, 0] > 0) for group in groups
        ], axis=1).astype(np.int64)


ONE_CHOICE = Argmax()
"""All logits are one group: a Discrete action."""


@dataclass(frozen=True)
class Values:
    """Continuous actions: the last layer's integers, one for each dimension, as its activation has cut them."""

    def sizes(self, outputs: int) -> tuple[int, ...]:
        """One output for each dimension."""
        return (1,) * outputs

    def decide(self, outputs: IntArray) -> IntArray:
        """The outputs themselves, shape (batch, dimensions)."""
        return outputs


CONTINUOUS = Values()
"""A Box action."""
Output = Argmax | Values
"""What becomes of the last layer's results: how a policy's answer is read off them."""


@dataclass(frozen=True)
class LayerType:
    """The types of one fully connected layer. ``None`` for a weight or bias stands for real numbers (training only)."""

    weight: WeightType
    bias: FixedPoint | None
    activation: ActivationType = None

    @property
    def is_integer(self) -> bool:
        """Whether every type is explicit."""
        return self.weight is not None and self.bias is not None and not isinstance(self.activation, Real)


@dataclass(frozen=True)
class Contract:
    """The types of a network, from the observation to the action."""

    observation: FixedPoint
    layers: tuple[LayerType, ...]
    """In order; all but the last have an activation."""
    output: Output = ONE_CHOICE

    def __post_init__(self) -> None:
        if not self.layers or any(layer.activation is None for layer in self.layers[:-1]):
            raise ValueError("a contract has at least one layer, and all but the last have an activation")
        if isinstance(self.output, Values) and self.layers[-1].activation is None:
            raise ValueError("the last layer of a continuous policy has an activation, which says the actions' type")

    @property
    def is_integer(self) -> bool:
        """Whether every type is explicit, so that hardware can be built."""
        return all(layer.is_integer for layer in self.layers)

    @property
    def logit_lsb(self) -> float:
        """Value of one unit of the network's integer outputs.

        Raises:
            ValueError: the contract has real-valued layers.
        """
        lsb = self.observation.lsb
        for layer in self.layers:
            if layer.weight is None or layer.bias is None or isinstance(layer.activation, Real):
                raise ValueError("a real-valued contract has no logit unit")
            lsb = min(lsb * layer.weight.lsb, layer.bias.lsb) if layer.activation is None else layer.activation.lsb
        return lsb

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that :meth:`from_json` reads back."""
        return {
            "observation": _described(self.observation),
            "layers": [{name: _described(value) for name, value in vars(layer).items()} for layer in self.layers],
            "output": describe(self.output),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Contract:
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: ``data`` is not such a dictionary.
        """
        layers = tuple(
            LayerType(*(_read(layer[name], kinds) for name, kinds in _LAYER_KINDS.items())) for layer in data["layers"]
        )
        observation = _read(data["observation"], (FixedPoint,))
        if observation is None:
            raise ValueError("the observation has no type")
        return cls(observation, layers, read_output(data["output"]))


_LAYER_KINDS: dict[str, tuple[type[Any], ...]] = {
    "weight": (FixedPoint, Binary), "bias": (FixedPoint,), "activation": (FixedPoint, Sign, Table, Real),
}


def describe(output: Output) -> dict[str, Any]:
    """A plain dictionary that :func:`read_output` reads back."""
    described = _described(output)
    assert described is not None
    return described


def read_output(data: Any) -> Output:
    """Read what :func:`describe` wrote.

    Raises:
        KeyError, TypeError, ValueError: ``data`` is not such a dictionary.
    """
    output: Output | None = _read(data, (Argmax, Values))
    if output is None:
        raise ValueError("the output has no description")
    return output


def _described(value: Any) -> dict[str, Any] | None:
    return None if value is None else {"type": type(value).__name__, **{
        name: _described(item) if dataclasses.is_dataclass(item) else item for name, item in vars(value).items()
    }}


def _read(data: Any, kinds: tuple[type[Any], ...]) -> Any:
    if data is None:
        return None
    kind = {item.__name__: item for item in kinds}[data["type"]]
    return kind(**{
        name: _read(item, (FixedPoint,)) if isinstance(item, dict) else _whole(item) if isinstance(item, list) else item
        for name, item in data.items() if name != "type"
    })


def _whole(items: list[Any]) -> tuple[int, ...]:
    return tuple(operator.index(item) for item in items)


def activation_type(curve: str, bits: int, integer_bits: int) -> FixedPoint | Table:
    """The integers of an activation: ``bits`` wide.

    Args:
        curve: one of :data:`CURVES`.
        bits: width of the results.
        integer_bits: of ``relu`` and ``identity``, bits before the binary point, the sign not counted.
    """
    if curve == "relu":
        return FixedPoint(bits, integer_bits, signed=False)
    if curve == "hard-tanh":
        return FixedPoint(bits, 1)
    if curve == "identity":
        return FixedPoint(bits, integer_bits + 1)
    # tanh(±4) is ±0.9993; as many fractional bits before it as after it.
    return Table.of(np.tanh, FixedPoint(min(bits + 2, TABLE_BITS), 3), FixedPoint(bits, 1))


def bias_type(product_lsb: float, integer_bits: int) -> FixedPoint:
    """The type of a bias whose unit is that of the products it is added to: a free alignment.

    Products finer than :data:`BIAS_BITS` reach get a bias with a coarser unit: a latent has no more digits than that.
    There are two bits at least, for biases that are all zero too: QONNX takes a single one for a sign.
    """
    exponent = round(math.log2(product_lsb))
    integer_bits = max(integer_bits, 2 + exponent)
    return FixedPoint(min(BIAS_BITS, integer_bits - exponent), integer_bits)


def is_power_of_two(value: float) -> bool:
    """Whether ``value`` is 2ᵏ for a whole k (negative k included)."""
    return value > 0 and math.isfinite(value) and math.frexp(value)[0] == 0.5


def nearest_power_of_two(value: float) -> float:
    """2^round(log2(value))."""
    return float(2.0 ** round(math.log2(value)))
