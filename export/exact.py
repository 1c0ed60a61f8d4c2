"""A quantised network in exact arithmetic: integers, and fractions for whatever scales its author chose.

This is what a graph means before any rounding of an executor: the measure that folding is held against.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from hls4rl.contract import FixedPoint, IntArray

ROUNDINGS = ("ROUND", "FLOOR", "CEIL")
SIGN = "SIGN"

_SLACK = Fraction(1, 1 << 40)
"""Relative error that a floating-point function (tanh, a square root) is taken to have at most."""


class AmbiguousError(ValueError):
    """A sum lies so near a boundary between two levels that floating point cannot tell which one it is."""


class Curve(Protocol):
    """A non-decreasing function between the sums of a layer and its quantiser."""

    def __call__(self, value: Fraction, /) -> Fraction:
        """The function's value."""
        ...


@dataclass(frozen=True)
class Levels:
    """A quantiser: ``scale`` times the integers ``low`` … ``high``."""

    scale: Fraction
    low: int
    high: int
    rounding: str
    """One of :data:`ROUNDINGS`, or :data:`SIGN` for ±1 with sign(0) = +1."""

    def level(self, value: Fraction) -> int:
        """The integer that ``value`` becomes."""
        if self.rounding == SIGN:
            return 1 if value >= 0 else -1
        steps = value / self.scale
        whole = round(steps) if self.rounding == "ROUND" else math.floor(steps)
        whole += self.rounding == "CEIL" and steps != whole
        return min(max(whole, self.low), self.high)

    def __call__(self, value: Fraction, /) -> Fraction:
        """The real number that ``value`` becomes: a quantiser is a curve too."""
        return self.scale * self.level(value)

    @property
    def type(self) -> FixedPoint:
        """The narrowest type, in units of 1, that holds all levels."""
        if self.low >= 0:
            bits = max(1, self.high.bit_length())
            return FixedPoint(bits, bits, signed=False)
        bits = 1 + max(self.high.bit_length(), (-self.low - 1).bit_length())
        return FixedPoint(max(2, bits), max(2, bits))


@dataclass(frozen=True)
class Clip:
    """Values cut to ``low`` … ``high``; Relu is the one from 0 to None."""

    low: Fraction | None
    high: Fraction | None

    def __call__(self, value: Fraction, /) -> Fraction:
        """The cut value."""
        value = value if self.low is None else max(value, self.low)
        return value if self.high is None else min(value, self.high)


@dataclass(frozen=True)
class Smooth:
    """tanh or the like, as floating point has it."""

    function: Callable[[float], float]

    def __call__(self, value: Fraction, /) -> Fraction:
        """The function's value, rounded to a float64."""
        return Fraction(self.function(float(value)))


@dataclass(frozen=True, eq=False)
class ExactLayer:
    """Sums of integers, their real values, the curves they go through, and the quantiser at the end."""

    node: str
    """Where it lies in the graph, for messages."""
    weight: IntArray
    """Shape (outputs, inputs)."""
    gain: tuple[Fraction, ...]
    """Of each output: the value of one unit of its sum; positive."""
    offset: tuple[Fraction, ...]
    """Of each output: the value of a sum of 0."""
    curves: tuple[Curve, ...]
    levels: Levels | None
    """None for the logits of a network that leaves them real."""
    exact: bool
    """False where a gain or curve went through floating point."""

    def level(self, output: int, total: int) -> int:
        """The integer that ``output`` becomes at a sum of ``total``.

        Raises:
            AmbiguousError: floating point cannot tell.
        """
        scaled = self.gain[output] * total
        value = scaled + self.offset[output]
        if self.exact:
            return self._quantised(value)
        slack = (abs(scaled) + abs(self.offset[output])) * _SLACK
        below, above = self._quantised(value - slack), self._quantised(value + slack)
        if below != above:
            raise AmbiguousError(f"{float(value):g} lies on the boundary of two levels")
        return below

    def is_tie(self, output: int, total: int) -> bool:
        """Whether the last bits of a float64 decide which level a sum of ``total`` becomes."""
        scaled = self.gain[output] * total
        value, slack = scaled + self.offset[output], (abs(scaled) + abs(self.offset[output])) * _SLACK
        # A sum that is 0 only as a whole has terms whose rounding may leave any sign.
        slack += self.gain[output] * _SLACK
        return self._quantised(value - slack) != self._quantised(value + slack)

    def range(self, low: int, high: int) -> tuple[IntArray, IntArray]:
        """Smallest and largest sum of each output, for inputs from ``low`` to ``high``."""
        products = np.stack([self.weight * low, self.weight * high])
        return products.min(axis=0).sum(axis=1), products.max(axis=0).sum(axis=1)

    def _quantised(self, value: Fraction) -> int:
        assert self.levels is not None
        for curve in self.curves:
            value = curve(value)
        return self.levels.level(value)


@dataclass(frozen=True, eq=False)
class ExactNetwork:
    """A chain of such layers."""

    input: Levels
    layers: tuple[ExactLayer, ...]

    def has_tie(self, observation: Sequence[int]) -> bool:
        """Whether some hidden sum, or two logits, are equal but for the last bits of a float64."""
        values = [int(item) for item in observation]
        for layer in self.layers:
            sums = [sum(int(w) * x for w, x in zip(row, values, strict=True)) for row in layer.weight]
            if layer.levels is None:
                break
            if any(layer.is_tie(output, total) for output, total in enumerate(sums)):
                return True
            values = [layer.level(output, total) for output, total in enumerate(sums)]
        logits = sorted(self.logits(observation))
        return len(logits) > 1 and logits[-1] - logits[-2] <= abs(logits[-1]) * _SLACK

    def logits(self, observation: Sequence[int]) -> list[Fraction]:
        """Real logits of one integer observation, without any rounding but the graph's own."""
        values = [int(item) for item in observation]
        for layer in self.layers:
            sums = [sum(int(w) * x for w, x in zip(row, values, strict=True)) for row in layer.weight]
            if layer.levels is None:
                return [g * s + o for g, s, o in zip(layer.gain, sums, layer.offset, strict=True)]
            values = [layer.level(output, total) for output, total in enumerate(sums)]
        last = self.layers[-1].levels
        assert last is not None
        return [last.scale * value for value in values]
