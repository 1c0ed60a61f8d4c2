"""How a folded core's weights lie in memory: as signs, ternary, numbers or entries of a table, with gaps or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import IntArray

SIGNS, TERNARY, NUMBERS, BOOKS = range(4)
"""Numbered as the parameter WEIGHTS of ``policy_folded.v``."""
_WORTHWHILE = 0.8
"""Part of the clocks up to which skipping zeros is worth its memories."""
_BOOK_BITS = 4
"""Longest index: a table of more entries takes more look-up tables for each unit than the bits are worth."""
_NEAR = 1.02
"""Times the fewest clocks that narrower gaps may take."""
_LARGE = 1 << 20
"""Bits of the weights from which on a part runs out of memory before it runs out of time."""


class _Weighted(Protocol):
    @property
    def weight(self) -> IntArray: ...


@dataclass(frozen=True, eq=False)
class Storage:
    """The weight memory."""

    kind: int
    code_bits: int
    value_bits: int
    """Of a weight as a number."""
    books: tuple[IntArray, ...] | None
    """Of each layer the numbers that its codes are indices of; None for other kinds."""
    gap_bits: int
    """0: no gaps, every input takes its clock."""
    words: NDArray[np.uint8]
    """Bits of the memory, lowest first; shape (words, units · (code_bits + gap_bits))."""
    steps: tuple[tuple[int, ...], ...]
    """Of each layer: the clocks with inputs of each group of units."""
    orders: tuple[IntArray, ...]
    """Of each layer: its units in the order in which they are computed."""

    @property
    def value_delay(self) -> int:
        """Clocks from an address to the weight beside its input."""
        return 5 if self.gap_bits else 3 if self.kind == BOOKS else 2

    def missing(self, layers: Sequence[_Weighted]) -> list[IntArray]:
        """What each unit's sum lacks: one for each weight whose input is subtracted by its complement."""
        counts = [(layer.weight < 0).sum(axis=1).astype(np.int64) for layer in layers]
        return counts if self.kind in (SIGNS, TERNARY) else [np.zeros_like(count) for count in counts]


def signed_bits(low: int, high: int) -> int:
    """Width of the two's complement that holds ``low`` and ``high``."""
    return max(high.bit_length(), (~low).bit_length() if low < 0 else 0) + 1


def bits_of(values: IntArray) -> int:
    """Width of the two's complement that holds all ``values``."""
    return signed_bits(int(values.min()), int(values.max()))


def bits(values: IntArray, width: int) -> NDArray[np.uint8]:
    """Bits of ``values``, lowest first, on a new last axis."""
    return ((values[..., None] >> np.arange(width)) & 1).astype(np.uint8)


def choose_storage(weights: Sequence[IntArray], units: int, activations: int) -> Storage:
    """The storage of ``weights``, each of shape (outputs, inputs), that takes the fewest clocks, then bits.

    Of large networks it is the one that takes the fewest bits.

    Args:
        activations: bits of the activation memory, which every unit has a copy of where it skips zeros.
    """
    plain = _Coding.of(weights, gaps=False)
    dense = plain.dense(weights, units)
    if all(weight.all() for weight in weights):
        return dense
    orders = _orders(weights)
    coding = _Coding.of(weights, gaps=True)
    widths = range(1, max(weight.shape[1] for weight in weights).bit_length() + 1)
    options = [coding.sparse(weights, orders, units, width) for width in widths]
    if dense.words.size > _LARGE:
        return min(dense, *options, key=lambda item: item.words.size + (units * activations if item.gap_bits else 0))
    fewest = min(_clocks(option) for option in options)
    best = min((option for option in options if _clocks(option) <= _NEAR * fewest), key=lambda item: item.words.size)
    return best if _clocks(best) <= _WORTHWHILE * _clocks(dense) else dense


def _clocks(storage: Storage) -> int:
    return sum(count + 1 for steps in storage.steps for count in steps)


def _orders(weights: Sequence[IntArray]) -> tuple[IntArray, ...]:
    """Units with equally many weights side by side, so that few wait for others; the outputs keep their order."""
    orders = [np.argsort(-np.count_nonzero(weight, axis=1), kind="stable") for weight in weights[:-1]]
    return (*orders, np.arange(len(weights[-1])))


@dataclass(frozen=True, eq=False)
class _Coding:
    kind: int
    code_bits: int
    value_bits: int
    books: tuple[IntArray, ...] | None

    @classmethod
    def of(cls, weights: Sequence[IntArray], gaps: bool) -> _Coding:
        """The coding of fewest bits; with ``gaps``, 0 must have a code."""
        values = [np.unique(np.append(weight, 0) if gaps else weight) for weight in weights]
        every = np.unique(np.concatenate(values))
        width = bits_of(every)
        if set(every.tolist()) <= {-1, 1}:
            return cls(SIGNS, 1, 2, None)
        index_bits = max(1, max(len(item) - 1 for item in values).bit_length())
        if set(every.tolist()) <= {-1, 0, 1} and index_bits > 1:
            return cls(TERNARY, 2, 2, None)
        if index_bits < width and index_bits <= _BOOK_BITS:
            return cls(BOOKS, index_bits, width, tuple(values))
        return cls(NUMBERS, width, width, None)

    def codes(self, weight: IntArray, layer: int) -> IntArray:
        if self.kind == SIGNS:
            return (weight > 0).astype(np.int64)
        if self.kind == TERNARY:
            return np.where(weight == 0, 0, np.where(weight < 0, 3, 2)).astype(np.int64)
        return weight if self.books is None else np.searchsorted(self.books[layer], weight).astype(np.int64)

    def dense(self, weights: Sequence[IntArray], units: int) -> Storage:
        words, steps = [], []
        for layer, weight in enumerate(weights):
            groups = -(-len(weight) // units)
            codes = np.zeros((groups * units, weight.shape[1]), dtype=np.int64)
            codes[:len(weight)] = self.codes(weight, layer)
            rows = codes.reshape(groups, units, -1).transpose(0, 2, 1).reshape(-1, units)
            words.append(bits(rows, self.code_bits).reshape(len(rows), -1))
            steps.append((weight.shape[1],) * groups)
        orders = tuple(np.arange(len(weight)) for weight in weights)
        return Storage(self.kind, self.code_bits, self.value_bits, self.books, 0, np.concatenate(words), tuple(steps),
                       orders)

    def sparse(self, weights: Sequence[IntArray], orders: Sequence[IntArray], units: int, gap_bits: int) -> Storage:
        words, steps = [], []
        before = np.arange(weights[0].shape[1])
        for layer, (given, order) in enumerate(zip(weights, orders, strict=True)):
            weight = given[np.ix_(order, before)]
            before = order
            counts = []
            for start in range(0, len(weight), units):
                lanes = [_skipping(row, gap_bits) for row in weight[start:start + units]]
                lanes += [[]] * (units - len(lanes))
                count = max(1, max(len(lane) for lane in lanes))
                counts.append(count)
                table = np.zeros((units, count, 2), dtype=np.int64)  # a gap, a weight
                for unit, lane in enumerate(lanes):
                    table[unit, :len(lane)] = np.array(lane, dtype=np.int64).reshape(-1, 2)
                fields = [bits(self.codes(table[:, :, 1], layer), self.code_bits), bits(table[:, :, 0], gap_bits)]
                words.append(np.concatenate(fields, axis=2).transpose(1, 0, 2).reshape(count, -1))
            steps.append(tuple(counts))
        return Storage(self.kind, self.code_bits, self.value_bits, self.books, gap_bits, np.concatenate(words),
                       tuple(steps), tuple(orders))


def _skipping(row: IntArray, gap_bits: int) -> list[tuple[int, int]]:
    """Of each weight of ``row`` but zeros: inputs to skip before it, and the weight; zeros where a gap is too long."""
    longest, steps, place = (1 << gap_bits) - 1, list[tuple[int, int]](), 0
    for index in np.flatnonzero(row):
        while int(index) - place > longest:
            steps.append((longest, 0))
            place += longest + 1
        steps.append((int(index) - place, int(row[index])))
        place = int(index) + 1
    return steps
