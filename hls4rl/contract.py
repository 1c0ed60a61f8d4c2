"""The number contract: which integers stand for which real numbers, at every border of the network.

All scales are powers of two and every type is explicit, so that Brevitas, ONNX Runtime, hls4ml, RTL and
netlist compute the same integers. Hidden activations are re-quantised by truncation with saturation,
which costs no logic; accumulators never overflow.
"""

from __future__ import annotations

import math
import operator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


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
ActivationType = FixedPoint | Sign | None


@dataclass(frozen=True)
class Contract:
    """The types of a network with one hidden layer. ``None`` stands for real numbers (training only)."""

    observation: FixedPoint
    hidden_weight: WeightType
    hidden_bias: FixedPoint | None
    activation: ActivationType
    output_weight: WeightType
    output_bias: FixedPoint | None

    @property
    def is_integer(self) -> bool:
        """Whether every type is explicit, so that hardware can be built."""
        return all(value is not None for value in vars(self).values())

    @property
    def logit_lsb(self) -> float:
        """Value of one unit of an integer logit.

        Raises:
            ValueError: the contract has real-valued parts.
        """
        if self.activation is None or self.output_weight is None or self.output_bias is None:
            raise ValueError("a real-valued contract has no logit unit")
        return min(self.activation.lsb * self.output_weight.lsb, self.output_bias.lsb)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that :meth:`from_json` reads back."""
        return {name: None if value is None else {"type": type(value).__name__, **asdict(value)}
                for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Contract:
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: ``data`` is not such a dictionary.
        """
        fields: dict[str, Any] = {}
        for name, value in data.items():
            kinds = {kind.__name__: kind for kind in _KINDS[name]}
            fields[name] = None if value is None else kinds[value["type"]](
                **{key: item for key, item in value.items() if key != "type"}
            )
        if fields["observation"] is None:
            raise ValueError("the observation has no type")
        return cls(**fields)


_KINDS: dict[str, tuple[type[FixedPoint] | type[Binary] | type[Sign], ...]] = {
    "observation": (FixedPoint,), "hidden_weight": (FixedPoint, Binary), "hidden_bias": (FixedPoint,),
    "activation": (FixedPoint, Sign), "output_weight": (FixedPoint, Binary), "output_bias": (FixedPoint,),
}


def bias_type(product_lsb: float, integer_bits: int) -> FixedPoint:
    """The type of a bias whose unit is that of the products it is added to: a free alignment."""
    return FixedPoint(bits=integer_bits - round(math.log2(product_lsb)), integer_bits=integer_bits)


def is_power_of_two(value: float) -> bool:
    """Whether ``value`` is 2ᵏ for a whole k (negative k included)."""
    return value > 0 and math.isfinite(value) and math.frexp(value)[0] == 0.5


def nearest_power_of_two(value: float) -> float:
    """2^round(log2(value))."""
    return float(2.0 ** round(math.log2(value)))
