"""A quantised network in exact arithmetic: integers, and fractions for whatever scales its author chose.

This is what the reader found in a graph, before any rounding of an executor: what folding turns into integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Protocol

import numpy as np

from hls4rl.contract import FixedPoint, IntArray

SIGN = "SIGN"
_NONE, _HALF, _ONE = Fraction(0), Fraction(1, 2), Fraction(1)
ROUNDINGS: dict[str, Callable[[Fraction], int]] = {
    "ROUND": round, "FLOOR": math.floor, "CEIL": math.ceil, "DOWN": math.trunc,
    "UP": lambda value: math.ceil(value) if value > 0 else math.floor(value),
    "HALF_UP": lambda value: math.floor(value + _HALF) if value > 0 else math.ceil(value - _HALF),
    "HALF_DOWN": lambda value: math.ceil(value - _HALF) if value > 0 else math.floor(value + _HALF),
}
"""QONNX's rounding modes: to the nearest, ties to the even one; down, up; towards zero, away from zero; to the
nearest, ties away from or towards zero."""

IRRATIONAL = Fraction(1, 1 << 200)
"""Relative error that :func:`root` has at most."""

Bounds = tuple[Fraction, Fraction]


class AmbiguousError(ValueError):
    """A sum lies so near a boundary between two levels that 200 bits cannot tell which one it is."""


class Curve(Protocol):
    """A non-decreasing function between the sums of a layer and its quantiser."""

    def __call__(self, low: Fraction, high: Fraction, /) -> Bounds:
        """What encloses the function's values for arguments from ``low`` to ``high``."""
        ...


@dataclass(frozen=True)
class Affine:
    """``gain * value + offset``; ``gain`` is positive, or 0."""

    gain: Fraction
    offset: Fraction

    def __call__(self, low: Fraction, high: Fraction, /) -> Bounds:
        """See :class:`Curve`."""
        return self.gain * low + self.offset, self.gain * high + self.offset


@dataclass(frozen=True)
class Clip:
    """Values cut to ``low`` … ``high``, the latter last; Relu is the one from 0 to None."""

    low: Fraction | None
    high: Fraction | None

    def __call__(self, low: Fraction, high: Fraction, /) -> Bounds:
        """See :class:`Curve`."""
        return self._cut(low), self._cut(high)

    def _cut(self, value: Fraction) -> Fraction:
        value = value if self.low is None else max(value, self.low)
        return value if self.high is None else min(value, self.high)


@dataclass(frozen=True)
class Leaky:
    """Values below 0 times ``slope``, which is not negative."""

    slope: Fraction

    def __call__(self, low: Fraction, high: Fraction, /) -> Bounds:
        """See :class:`Curve`."""
        return low if low > 0 else low * self.slope, high if high > 0 else high * self.slope


@dataclass(frozen=True)
class Rounded:
    """The nearest integer, or another, by one of :data:`ROUNDINGS`."""

    rounding: str

    def __call__(self, low: Fraction, high: Fraction, /) -> Bounds:
        """See :class:`Curve`."""
        return Fraction(ROUNDINGS[self.rounding](low)), Fraction(ROUNDINGS[self.rounding](high))


@dataclass(frozen=True)
class Smooth:
    """Tanh or Sigmoid (``name``), enclosed to 80 decimal digits."""

    name: str

    def __call__(self, low: Fraction, high: Fraction, /) -> Bounds:
        """See :class:`Curve`."""
        return self._bounds(low)[0], self._bounds(high)[1]

    def _bounds(self, value: Fraction) -> Bounds:
        # Both are fractions of s = exp(-x): 1 / (1 + s), and with s = exp(-2x) (1 - s) / (1 + s); x is not negative.
        if value < 0:
            low, high = self._bounds(-value)
            return (1 - high, 1 - low) if self.name == "Sigmoid" else (-high, -low)
        least, most = _exponential(value if self.name == "Sigmoid" else 2 * value)
        if self.name == "Sigmoid":
            return 1 / (1 + most), 1 / (1 + least)
        return (1 - most) / (1 + most), (1 - least) / (1 + least)


@dataclass(frozen=True)
class Levels:
    """A quantiser: the integers ``low`` … ``high``."""

    low: int
    high: int
    rounding: str
    """A key of :data:`ROUNDINGS`, or :data:`SIGN` for ±1 with sign(0) = +1."""

    def level(self, value: Fraction) -> int:
        """The integer that ``value`` becomes."""
        if self.rounding == SIGN:
            return 1 if value >= 0 else -1
        return min(max(ROUNDINGS[self.rounding](value), self.low), self.high)

    def __call__(self, low: Fraction, high: Fraction, /) -> Bounds:
        """A quantiser is a curve too."""
        return Fraction(self.level(low)), Fraction(self.level(high))

    def cut(self, clip: Clip, gain: Fraction, offset: Fraction) -> Levels | None:
        """What ``clip`` leaves of the levels, each worth ``gain * level + offset``; None if its limits are none."""
        limits = _whole_limits(clip, gain, offset)
        if limits is None or self.rounding == SIGN:
            return None
        whole = Clip(*limits)
        low, high = whole(Fraction(self.low), Fraction(self.high))
        return Levels(int(low), int(high), self.rounding)

    def behind(self, clip: Clip) -> Levels | None:
        """The levels that do what ``clip`` and these do; None for signs.

        Rounding never falls, so that what is cut and rounded is what is rounded and cut to the rounded limits.
        """
        if self.rounding == SIGN:
            return None
        low, high = clip.low, clip.high
        least = self.low if low is None else self.level(low if high is None else min(low, high))
        return Levels(least, self.high if high is None else self.level(high), self.rounding)

    @property
    def type(self) -> FixedPoint:
        """The narrowest type, in units of 1, that holds all levels."""
        if self.low >= 0:
            bits = max(1, self.high.bit_length())
            return FixedPoint(bits, bits, signed=False)
        bits = 1 + max(self.high.bit_length() if self.high > 0 else 0, (-self.low - 1).bit_length())
        return FixedPoint(max(2, bits), max(2, bits))


@dataclass(frozen=True)
class Tail:
    """Curves that end in a quantiser: what comes before it, its levels, and what each of them is worth."""

    before: tuple[Curve, ...]
    levels: Levels
    gain: Fraction
    offset: Fraction

    @classmethod
    def of(cls, curves: tuple[Curve, ...]) -> Tail | None:
        """Take ``curves`` apart; None if they don't end in a quantiser, but for scales and clips at levels."""
        last = max((index for index, curve in enumerate(curves) if isinstance(curve, Levels)), default=None)
        if last is None:
            return None
        levels, gain, offset = curves[last], Fraction(1), Fraction(0)
        assert isinstance(levels, Levels)
        for curve in curves[last + 1:]:
            if isinstance(curve, Affine):
                gain, offset = gain * curve.gain, offset * curve.gain + curve.offset
                continue
            cut = levels.cut(curve, gain, offset) if isinstance(curve, Clip) and gain else None
            if cut is None:
                return None
            levels = cut
        return cls(curves[:last], levels, gain, offset)


@dataclass(frozen=True, eq=False)
class ExactLayer:
    """Sums of integers, their values in units of the levels, the curves they go through, and the quantiser."""

    node: str
    """Where it lies in the graph, for messages."""
    weight: IntArray
    """Shape (outputs, inputs)."""
    columns: tuple[int, ...]
    """Of each input: the number of its integer. The observation's come first, then each layer's in turn."""
    gain: tuple[Fraction, ...]
    """Of each output: the value of one unit of its sum; positive."""
    offset: tuple[Fraction, ...]
    """Of each output: the value of a sum of 0."""
    curves: tuple[tuple[Curve, ...], ...]
    """Of each output."""
    levels: Levels | None
    """None for the logits of a network that leaves them real."""
    blur: tuple[Fraction, ...] = ()
    """Of each output: how far its offset may be wrong, where that is irrational; empty where none is."""
    rough: bool = False
    """Whether gains are irrational: right but for :data:`IRRATIONAL` of their size."""

    @property
    def exact(self) -> bool:
        """Whether gains and offsets are rational."""
        return not self.rough and not any(self.blur)

    def level(self, output: int, total: int) -> int:
        """The integer that ``output`` becomes at a sum of ``total``.

        Raises:
            AmbiguousError: 200 bits cannot tell.
        """
        assert self.levels is not None
        scaled = self.gain[output] * total
        low = high = scaled + self.offset[output]
        if not self.exact:
            slack = (self.blur[output] if self.blur else 0) + abs(scaled) * IRRATIONAL
            low, high = low - slack, high + slack
        for curve in self.curves[output]:
            low, high = curve(low, high)
        below, above = self.levels.level(low), self.levels.level(high)
        if below != above:
            raise AmbiguousError(f"a sum of {total} lies on the boundary of two levels")
        return below

    def range(self, low: IntArray | int, high: IntArray | int) -> tuple[IntArray, IntArray]:
        """Smallest and largest sum of each output, for inputs from ``low`` to ``high`` (scalars, or one an input)."""
        products = np.stack([self.weight * low, self.weight * high])
        return products.min(axis=0).sum(axis=1), products.max(axis=0).sum(axis=1)


@dataclass(frozen=True)
class Observation:
    """How the host turns real observations into integers: ``round(value / scale)``, half to even, cut to the type."""

    scale: Fraction
    type: FixedPoint
    features: int
    declared: bool = False
    """Whether its user named the type, since the graph doesn't: the graph's own input is what the host has rounded."""


@dataclass(frozen=True, eq=False)
class ExactNetwork:
    """Such layers, each of which takes integers of those before it."""

    input: Observation
    layers: tuple[ExactLayer, ...]
    value: tuple[Fraction, ...]
    """Of each output: what one of its last level's units is worth; all 1 if the last layer has no levels."""
    base: tuple[Fraction, ...]
    """Of each output: the value of a level of 0."""


def _whole_limits(clip: Clip, gain: Fraction, offset: Fraction) -> tuple[Fraction | None, Fraction | None] | None:
    """The limits of ``clip`` in units of ``gain`` from ``offset``; None if one is no integer."""
    limits = [None if limit is None else (limit - offset) / gain for limit in (clip.low, clip.high)]
    return None if any(limit is not None and limit.denominator != 1 for limit in limits) else (limits[0], limits[1])


def root(value: Fraction) -> tuple[Fraction, bool]:
    """The square root of a positive number, and whether it is exact; else :data:`IRRATIONAL` bounds its error."""
    numerator, denominator = math.isqrt(value.numerator), math.isqrt(value.denominator)
    if numerator * numerator == value.numerator and denominator * denominator == value.denominator:
        return Fraction(numerator, denominator), True
    shift = max(0, 460 + value.denominator.bit_length() - value.numerator.bit_length()) // 2 * 2
    return Fraction(math.isqrt((value.numerator << shift) // value.denominator), 1 << (shift // 2)), False


def _exponential(value: Fraction) -> Bounds:
    """What encloses exp(-value) for a ``value`` that is not negative."""
    if not value:
        return Fraction(1), Fraction(1)
    if value > 2000:
        return Fraction(0), Fraction(1, 1 << 2800)
    # Near 0, what is taken from 1 cancels: as many more digits as the value has zeros.
    zeros = max(0, value.denominator.bit_length() - value.numerator.bit_length())
    digits = Context(prec=90 + zeros, rounding=ROUND_HALF_EVEN, Emax=10**9, Emin=-(10**9))
    power = Fraction(digits.exp(digits.divide(Decimal(-value.numerator), Decimal(value.denominator))))
    slack = power / 10 ** (82 + zeros)
    return power - slack, power + slack
