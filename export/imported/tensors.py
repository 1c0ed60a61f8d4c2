"""Tensors that depend on the observation: for each element a sum of integers, its real value, and curves over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from math import gcd, lcm
from typing import Any

import numpy as np

from hls4rl.contract import IntArray
from hls4rl.export.imported.exact import IRRATIONAL, Affine, Curve
from hls4rl.export.imported.quantisers import Exact

WEIGHT_BITS = 24


class FallingError(ValueError):
    """A curve can only hold functions that never fall."""


@dataclass(frozen=True, eq=False)
class Tensor:
    """Elements ``curves(gain * (weight @ integers) + offset)`` over integers that quantisers made."""

    shape: tuple[int, ...]
    """Of the tensor, with 1 for the batch; the elements lie in C order."""
    node: str
    """Whose sums they are."""
    picks: tuple[int, ...]
    """Of each element: the number of its integer; empty where :attr:`weight` says more."""
    columns: tuple[int, ...]
    """Numbers of the integers that :attr:`weight` is for."""
    weight: IntArray
    """Shape (elements, columns); (0, 0) where :attr:`picks` says it all."""
    gain: tuple[Fraction, ...]
    offset: tuple[Fraction, ...]
    blur: tuple[Fraction, ...]
    """How far each offset may be wrong where it is irrational; 0 where not."""
    curves: tuple[tuple[Curve, ...], ...]
    rough: bool = False
    """Whether gains are irrational, and right but for :data:`IRRATIONAL` of their size."""

    @classmethod
    def integers(cls, shape: tuple[int, ...], node: str, first: int) -> Tensor:
        """The integers themselves, whose numbers begin with ``first``."""
        count = int(np.prod(shape))
        nothing = (Fraction(0),) * count
        return cls(shape, node, tuple(range(first, first + count)), (), np.zeros((0, 0), dtype=np.int64),
                   (Fraction(1),) * count, nothing, nothing, ((),) * count)

    @classmethod
    def joined(cls, tensors: Sequence[Tensor], axis: int) -> Tensor:
        """Tensors side by side along ``axis``.

        Raises:
            ValueError: their shapes do not fit.
        """
        starts = np.cumsum([0, *(len(item) for item in tensors)])
        places = np.concatenate(
            [item.places() + start for item, start in zip(tensors, starts[:-1], strict=True)], axis=axis
        )
        first = tensors[0]
        picks: tuple[int, ...] = ()
        columns: tuple[int, ...] = ()
        if all(item.picks for item in tensors):
            picks, weight = sum((item.picks for item in tensors), ()), first.weight
        else:
            columns = _columns(tensors)
            weight = np.concatenate([item._over(columns) for item in tensors])
        together = replace(
            first, shape=(len(places.ravel()),), picks=picks, columns=columns, weight=weight,
            rough=any(item.rough for item in tensors), gain=sum((item.gain for item in tensors), ()),
            offset=sum((item.offset for item in tensors), ()), blur=sum((item.blur for item in tensors), ()),
            curves=sum((item.curves for item in tensors), ()),
        )
        return together.taken(places)

    def plus(self, other: Tensor) -> Tensor:
        """The sum of two tensors that no curve lies over.

        Raises:
            ValueError: they have irrational scales, or none that go together.
        """
        if self.rough or other.rough or any(self.blur) or any(other.blur):
            raise ValueError("adds two branches with irrational scales; quantise them first")
        left, right = np.broadcast_arrays(self.places(), other.places())
        first, second = self.taken(left), other.taken(right)
        columns = _columns([first, second])
        products = sum(
            item._over(columns).astype(object) * np.array(item.gain, dtype=object)[:, None] for item in (first, second)
        )
        weight, units = _units(products)
        return replace(
            first, picks=(), columns=columns, weight=weight, gain=units,
            offset=tuple(a + b for a, b in zip(first.offset, second.offset, strict=True)),
        )

    def _over(self, columns: tuple[int, ...]) -> IntArray:
        """The weights over more integers than these elements have."""
        weight = np.zeros((len(self), len(columns)), dtype=np.int64)
        place = {number: index for index, number in enumerate(columns)}
        if self.picks:
            weight[np.arange(len(self)), [place[number] for number in self.picks]] = 1
        else:
            weight[:, [place[number] for number in self.columns]] = self.weight
        return weight

    def __len__(self) -> int:
        return len(self.gain)

    @property
    def is_curved(self) -> bool:
        """Whether a function lies over some sum."""
        return any(self.curves)

    @property
    def is_summed(self) -> bool:
        """Whether its elements are sums, and not single integers."""
        return not self.picks

    def taken(self, places: IntArray) -> Tensor:
        """The elements at ``places``, in the shape of ``places``."""
        flat = [int(item) for item in places.ravel()]

        def chosen(values: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(values[index] for index in flat)

        return replace(
            self, shape=places.shape, picks=chosen(self.picks) if self.picks else (),
            weight=self.weight[flat] if self.is_summed else self.weight, gain=chosen(self.gain),
            offset=chosen(self.offset), blur=chosen(self.blur), curves=chosen(self.curves),
        )

    def places(self) -> IntArray:
        """The number of each element, in the tensor's shape."""
        return np.arange(len(self), dtype=np.int64).reshape(self.shape)

    def spread(self, other: Exact) -> tuple[Tensor, list[Fraction]]:
        """This tensor and a constant, each brought to the shape that they have together.

        Raises:
            ValueError: they have none.
        """
        places, values = np.broadcast_arrays(self.places(), other)
        return self.taken(places), list(values.ravel())

    def scaled(self, factors: Sequence[Fraction], terms: Sequence[Fraction], rough: bool = False) -> Tensor:
        """``factors * self + terms``; if ``rough``, the factors are irrational.

        Raises:
            FallingError: a function over the sums would fall, or be irrational.
        """
        if self.is_curved:
            if rough or min(factors) < 0:
                raise FallingError("comes after the activation; put it before")
            curves = tuple(
                (*item, Affine(factor, term)) for item, factor, term in zip(self.curves, factors, terms, strict=True)
            )
            return replace(self, curves=curves)
        return replace(
            self,
            gain=tuple(gain * factor for gain, factor in zip(self.gain, factors, strict=True)),
            offset=tuple(o * factor + term for o, factor, term in zip(self.offset, factors, terms, strict=True)),
            blur=tuple(
                blur * abs(factor) + (IRRATIONAL * abs(o * factor) if rough else 0)
                for blur, factor, o in zip(self.blur, factors, self.offset, strict=True)
            ),
            rough=self.rough or rough,
        )

    def through(self, curve: Curve) -> Tensor:
        """A non-decreasing function of each element."""
        return replace(self, curves=tuple((*item, curve) for item in self.curves))

    def product(self, weight: Exact, shape: tuple[int, ...], node: str) -> Tensor:
        """``weight @ self`` for single integers; ``weight`` has the shape (outputs, elements).

        Raises:
            ValueError: the weights need too many bits.
        """
        products, columns = weight * np.array(self.gain, dtype=object), _columns([self])
        if self.picks != columns:  # an integer that stands in several places
            merged = np.full((len(weight), len(columns)), Fraction(0), dtype=object)
            for place, number in enumerate(self.picks):
                at = columns.index(number)
                merged[:, at] = merged[:, at] + products[:, place]
            products = merged
        integers, units = _units(products)
        offset = [
            sum((w * o for w, o in zip(row, self.offset, strict=True) if o), Fraction(0)) for row in weight
        ] if any(self.offset) else [Fraction(0)] * len(weight)
        count = len(weight)
        return Tensor(shape, node, (), columns, integers, units, tuple(offset), (Fraction(0),) * count, ((),) * count)

    def oriented(self) -> Tensor:
        """The same with positive gains only: a falling sum is a rising one of the negated weights."""
        signs = [-1 if gain < 0 else int(gain > 0) for gain in self.gain]
        largest = max((abs(gain) for gain in self.gain), default=Fraction(0)) or Fraction(1)
        columns = self.columns if self.is_summed else _columns([self])
        return replace(
            self, picks=(), columns=columns, weight=self._over(columns) * np.array(signs, dtype=np.int64)[:, None],
            gain=tuple(abs(gain) or largest for gain in self.gain),
        )


def _columns(tensors: Sequence[Tensor]) -> tuple[int, ...]:
    """Numbers of all integers that ``tensors`` take, in order."""
    return tuple(sorted({number for item in tensors for number in item.picks or item.columns}))


def _units(products: Exact) -> tuple[IntArray, tuple[Fraction, ...]]:
    """Integers and the unit of each row that give ``products``; one unit for all rows where that costs no bit."""
    rows = [common_unit(row) for row in products]
    common = common_unit([unit for unit in rows if unit] or [Fraction(1)])

    def largest(units: Sequence[Fraction]) -> int:
        return max((abs(item / unit) for row, unit in zip(products, units, strict=True) for item in row if item),
                   default=Fraction(0)).__ceil__()

    units = [unit or common for unit in rows]
    together = [common] * len(rows)
    if largest(together).bit_length() <= max(1, largest(units).bit_length()):
        units = together
    if largest(units).bit_length() > WEIGHT_BITS:
        raise ValueError(f"has weights of {largest(units).bit_length()} bits on their common grid, more than "
                         f"{WEIGHT_BITS}; export them through a Quant")
    integers = [[int(item / unit) for item in row] for row, unit in zip(products, units, strict=True)]
    return np.array(integers, dtype=np.int64).reshape(products.shape), tuple(units)


def common_unit(values: Sequence[Fraction]) -> Fraction:
    """The largest fraction that all ``values`` are multiples of; 0 if all are 0."""
    over = reduce(lcm, {item.denominator for item in values}, 1)
    return Fraction(reduce(gcd, {item.numerator * (over // item.denominator) for item in values}, 0), over)
