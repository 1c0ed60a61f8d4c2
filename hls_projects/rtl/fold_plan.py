"""From the integer network to what a folded core is told: parameters of ``policy_folded.v``, memories, layer program.

Everything here is decided by the network and the number of units alone; the same input gives the same plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import IntArray, MultiplyShift, ResultType, Sign, Table
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.rtl.fold_storage import Storage, bits_of, choose_storage, signed_bits
from hls4rl.network import IntegerNetwork, Layer

Bits = NDArray[np.uint8]
UNITS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of parallel units that are tried where the user leaves the choice to us."""
MAXIMUM_UNITS = 256
_MARGIN = 4
"""Clocks after the last input of an observation in which the activation memory may still be read."""


@dataclass(frozen=True)
class Format:
    """How a scaled sum becomes an activation; see ``folded_cut`` in ``policy_folded.v``."""

    shift: int
    low: int
    high: int
    sign: bool = False
    tie_even: bool = False
    table: Table | None = None
    """What the bits are looked up in, which then are its input."""

    @property
    def results(self) -> tuple[int, int]:
        """Smallest and largest activation."""
        return (self.low, self.high) if self.table is None else (min(self.table.values), max(self.table.values))


@dataclass(frozen=True, eq=False)
class FoldedLayer:
    """One layer in the units that the core computes in."""

    weight: IntArray
    """Shape (outputs, inputs)."""
    constant: IntArray
    """Shape (outputs,): what is added to the sum of products before the cut."""
    inputs: tuple[int, int]
    """Smallest and largest input."""
    format: Format | None
    """None: the sums leave the core as they are."""
    multiplier: IntArray
    """Shape (outputs,): what the sum of products is multiplied by before the constant is added; 1 where scales are
    powers of two."""

    @property
    def ends(self) -> tuple[IntArray, IntArray]:
        """Of each unit the smallest and the largest sum of products, without the constant."""
        low, high = self.inputs
        products = np.stack([self.weight * low, self.weight * high])
        return products.min(axis=0).sum(axis=1), products.max(axis=0).sum(axis=1)


@dataclass(frozen=True)
class Entry:
    """A word of the layer program; see ``policy_folded.v``. Plain counts, not less one."""

    steps: int
    period: int
    repeats: int
    book: int = 0
    swap: bool = False
    last: bool = False


@dataclass(frozen=True, eq=False)
class Plan:
    """A folded core."""

    units: int
    network: IntegerNetwork
    layers: tuple[FoldedLayer, ...]
    storage: Storage
    program: tuple[Entry, ...]
    sum_bits: int
    scaled_bits: int
    constant_bits: int
    activation_bits: int
    """Of a stored activation, with a sign; of the last layer's results too where there is a table."""
    multiplier_bits: int
    """Of what scaled sums are multiplied by, with a sign; 0: by nothing."""

    @property
    def formats(self) -> list[Format]:
        """The different ways to cut, in the order in which they come up; one at least."""
        found = dict.fromkeys(layer.format for layer in self.layers if layer.format is not None)
        return list(found) or [Format(0, -1, 0)]

    @property
    def raw(self) -> bool:
        """Whether the last layer's sums leave as they are."""
        return self.layers[-1].format is None

    @property
    def tabled(self) -> bool:
        """Whether activations are looked up."""
        return any(item.table is not None for item in self.formats)

    @property
    def cut_bits(self) -> int:
        """Width of a cut sum, two's complement: of an activation, or of what one is looked up by."""
        ends = [end for item in self.formats for end in (item.low, item.high)]
        return max(self.activation_bits, signed_bits(min(ends), max(ends)))

    @property
    def value_bits(self) -> int:
        """Width of one of the last layer's results, two's complement."""
        return self.scaled_bits if self.raw else self.activation_bits if self.tabled else self.cut_bits

    @property
    def place_bits(self) -> int:
        """Width of an address in one half of the activation memory."""
        widest = max(int(layer.weight.shape[1]) for layer in self.layers)
        return max(1, (widest - 1).bit_length())

    @property
    def clocks(self) -> tuple[int, int]:
        """Clock periods from a first feature to its answer, and between two observations' first features.

        The first is counted from the edge that samples the feature to the edge that makes the answer readable, features
        coming one per clock; the second is for answers that are fetched at once.
        """
        features = self.network.features
        run = sum(entry.period * entry.repeats for entry in self.program)
        final = self.program[-1]
        place_in_group = (self.network.outputs - 1) % self.units
        last_step = features + 1 + run - final.period + final.steps - 1
        drained = last_step + self.storage.value_delay + 2 + (self.units > 1) + place_in_group
        answered = drained + 3 * (self.multiplier_bits > 0) + (3 if self.raw else 4 + 2 * self.tabled)
        return answered - 1, max(features + 1 + run, answered + 1 - features)


def plan(network: IntegerNetwork, units: int) -> Plan:
    """Lay ``network`` out on a core of ``units`` units.

    Raises:
        ProjectError: no such number of units, or the network has something that the core does not compute.
    """
    if not 1 <= units <= MAXIMUM_UNITS:
        raise ProjectError(f"hardware.fold = {units}: a folded core has 1 to {MAXIMUM_UNITS} units; set it so")
    layers = folded_layers(network)
    stored = _stored(network, layers)
    activations = 2 * stored * max(layer.weight.shape[1] for layer in layers)  # double-buffered
    storage = choose_storage([layer.weight for layer in layers], units, activations)
    layers = tuple(_permuted(layers, storage.orders))
    sums, scaled = [], []
    for layer, missing in zip(layers, storage.missing(layers), strict=True):
        low, high = layer.ends
        sums += [low - missing, high - missing]
        scaled += [layer.multiplier * low + layer.constant, layer.multiplier * high + layer.constant]
    layers = tuple(
        replace(layer, constant=layer.constant + layer.multiplier * missing)
        for layer, missing in zip(layers, storage.missing(layers), strict=True)
    )
    factors = np.concatenate([layer.multiplier for layer in layers])
    multiplier_bits = 0 if (factors == 1).all() else bits_of(factors)
    sum_bits = bits_of(np.concatenate(sums))
    constant_bits = bits_of(np.concatenate([layer.constant for layer in layers]))
    return Plan(
        units, network, layers, storage, _program(layers, storage, units, _later(layers, multiplier_bits)), sum_bits,
        max(sum_bits, constant_bits, bits_of(np.concatenate(scaled))), constant_bits, stored, multiplier_bits,
    )


def _stored(network: IntegerNetwork, layers: Sequence[FoldedLayer]) -> int:
    """Bits of an activation in memory."""
    values = [network.input.minimum, network.input.maximum]
    # The last results are no layer's inputs: unless they pass by the table's way, they need no room among these.
    tabled = any(layer.format and layer.format.table for layer in layers)
    for layer in layers if tabled else layers[:-1]:
        values += layer.format.results if layer.format else ()
    return signed_bits(min(values), max(values))


def folded_layers(network: IntegerNetwork) -> tuple[FoldedLayer, ...]:
    """The layers in integers, with as few bits in the weights as their units allow."""
    kind: ResultType = network.input
    layers = []
    for number, layer in enumerate(network.layers):
        layers.append(_folded_layer(layer, kind))
        if layer.activation is None:
            if number + 1 < len(network.layers):
                raise ProjectError(f"layer {number} has no activation; the folded core must know its type: give it one")
        else:
            kind = layer.activation
    return tuple(layers)


def _later(layers: Sequence[FoldedLayer], multiplier_bits: int) -> int:
    """Clocks that a result takes for a multiplication and a table."""
    return 3 * (multiplier_bits > 0) + 2 * any(layer.format and layer.format.table for layer in layers)


def _folded_layer(layer: Layer, kind: ResultType) -> FoldedLayer:
    unit = layer.sum_lsb(kind.lsb)
    weight = layer.weight * round(kind.lsb * layer.weight_lsb / unit)
    constant = layer.bias * round(layer.bias_lsb / unit)
    inputs = (kind.minimum, kind.maximum)
    activation, one = layer.activation, np.ones_like(constant)
    if activation is None:
        return FoldedLayer(weight, constant, inputs, None, one)
    if isinstance(activation, MultiplyShift):
        multiplier, addend = (np.array(item, dtype=np.int64) for item in (activation.multiplier, activation.addend))
        cut = Format(activation.shift, activation.low, activation.high)
        return FoldedLayer(weight, multiplier * constant + addend, inputs, cut, multiplier)
    if isinstance(activation, Sign):
        divisor = _common_power_of_two(weight)
        return FoldedLayer(weight // divisor, constant // divisor, inputs, Format(0, -1, 1, sign=True), one)
    table = activation if isinstance(activation, Table) else None
    target = table.input if table else activation
    shift = round(math.log2(target.lsb / unit))
    half_even = layer.rounding == "ROUND" and shift > 0
    if half_even:
        constant = constant + (1 << (shift - 1))
    elif shift > 0:  # floor(floor(x / a) / b) = floor(x / ab): what the weights lack, the biases may drop
        divisor = min(_common_power_of_two(weight), 1 << shift)
        weight, constant, shift = weight // divisor, constant // divisor, shift - round(math.log2(divisor))
    cut = Format(shift, target.minimum, target.maximum, tie_even=half_even, table=table)
    return FoldedLayer(weight, constant, inputs, cut, one)


def _common_power_of_two(weight: IntArray) -> int:
    common = int(np.gcd.reduce(weight.reshape(-1)))
    return int(common & -common) or 1


def _permuted(layers: Sequence[FoldedLayer], orders: Sequence[IntArray]) -> list[FoldedLayer]:
    """The layers with their units in the order in which the core computes them."""
    result, before = [], np.arange(layers[0].weight.shape[1])
    for layer, order in zip(layers, orders, strict=True):
        result.append(replace(
            layer, weight=layer.weight[np.ix_(order, before)], constant=layer.constant[order],
            multiplier=layer.multiplier[order],
        ))
        before = order
    return result


def drain_delay(storage: Storage, units: int, later: int) -> int:
    """Clocks from a layer's last input to the next one's first: as long as its results take to reach the memory."""
    return storage.value_delay + 4 + (units > 1) + units + later


def _program(
    layers: Sequence[FoldedLayer], storage: Storage, units: int, later: int
) -> tuple[Entry, ...]:
    entries: list[Entry] = []
    for number, steps in enumerate(storage.steps):
        book = number if storage.books is not None else 0
        final = number + 1 == len(layers)
        for place, count in enumerate(steps):
            # The sums of a group take a clock each to move on: so long after its last input comes the next one's.
            following = steps[place + 1] if place + 1 < len(steps) else count
            entry = Entry(count, max(count + 1, units + count - following), 1, book)
            if place + 1 == len(steps):
                period = count + _MARGIN if final else count - 1 + drain_delay(storage, units, later)
                entry = replace(entry, period=period, swap=not final, last=final)
            elif entries and replace(entries[-1], repeats=1) == entry:
                entry = replace(entry, repeats=entries.pop().repeats + 1)
            entries.append(entry)
    return tuple(entries)
