"""Exact network → integer network: scales that hardware has no use for are folded away without changing a result.

A hidden activation is a staircase over the integer sums of its layer. Five ways to build it, the first that gives
each step at exactly the same sum is taken:

1. *shift*: the scales' ratio is a power of two, so that floor or round-half-even of a shift is the staircase;
2. *sign*: one step; the threshold becomes the bias, whatever the scales;
3. *multiplier*: weights times a small integer and a bias, then floor of a shift, the smallest that fits every step;
4. *multiply-shift*: the sum times an integer of its own, for steps that lie on a line of any slope;
5. *thermometer*: one sign unit a step (any staircase: tanh), where that leaves few enough units.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import numpy as np

from hls4rl.contract import (
    CONTINUOUS,
    ONE_CHOICE,
    FixedPoint,
    IntArray,
    MultiplyShift,
    ResultType,
    Sign,
    is_power_of_two,
)
from hls4rl.errors import ProjectError
from hls4rl.export.imported.exact import SIGN, Affine, AmbiguousError, Clip, Curve, ExactLayer, ExactNetwork, Levels
from hls4rl.export.imported.schedule import chain
from hls4rl.export.imported.tensors import common_unit
from hls4rl.network import IntegerNetwork, Layer, activate

MAXIMUM_UNITS = 1024
"""Sign units that the thermometer of one layer may take."""
_MANTISSA = 24  # bits that a float32 initialiser keeps
_BIAS_BITS = 32
_SUM_BITS = 56
_STEPS = 1 << 16
_SMALL = 6  # bits of a factor that weights are multiplied by
_MULTIPLIER_BITS = 40
_ONE = Fraction(1)
_NEAR = Fraction(1, 1 << 150)
_PRODUCT_BITS = 51  # so that a float64 holds them, and the sums
_CHUNK = 1 << 18
_EVERY = 1 << 24
_OUTPUT_BITS = 32


@dataclass(frozen=True, eq=False)
class Folded:
    """What folding leaves."""

    network: IntegerNetwork
    logit_value: Fraction
    """Real value of one unit of an integer logit."""
    logit_base: Fraction
    """Real value of an integer logit of 0."""
    logits_exact: bool
    """False where only the actions are those of the original: real biases that no common grid holds."""
    ways: tuple[str, ...]
    """How each activation was built: shift, sign, multiplier, multiply-shift or thermometer."""
    values: tuple[tuple[Fraction, Fraction], ...] = ()
    """Of a continuous policy: what one unit of each output is worth, and an output of 0. The host applies it."""


def fold(exact: ExactNetwork, name: str, continuous: bool = False) -> Folded:
    """The integer network that gives the actions of ``exact`` for every observation, and its logits in their unit.

    Args:
        name: of the file, for messages.
        continuous: the outputs are an action's dimensions, and not logits.

    Raises:
        ProjectError: a layer cannot be folded exactly; the message names its node and the remedy.
    """
    return _Folder(exact, name, continuous).run()


class _Folder:
    def __init__(self, exact: ExactNetwork, name: str, continuous: bool) -> None:
        self._name, self._value, self._base = name, exact.value[0], exact.base[0]
        self._continuous = continuous
        self._pending = list(chain(exact, name))
        kind, scale = exact.input.type, float(exact.input.scale)
        # Powers of two stay what they are, so that a model that needs no folding keeps its units.
        keeps = is_power_of_two(scale) and abs(_exponent(scale)) <= _BIAS_BITS
        self._input = replace(kind, integer_bits=kind.bits + _exponent(scale)) if keeps else kind
        self._lsb = self._input.lsb
        self._reach = kind.minimum, kind.maximum
        self._layers: list[Layer] = []
        self._ways: list[str] = []

    def run(self) -> Folded:
        """Layer by layer; a thermometer rewrites the one after it, or adds one that adds its signs up."""
        while self._pending:
            layer = _simplified(self._pending.pop(0))
            if layer.levels is None and self._continuous:
                return self._outputs(layer)
            if layer.levels is None:
                value, is_exact = self._logits(layer)
                base = self._base if is_exact else Fraction(0)
                return Folded(self._network(), value * self._value, base, is_exact, tuple(self._ways))
            self._activation(layer, layer.levels)
        values = ((self._value, self._base),) * len(self._layers[-1].weight) if self._continuous else ()
        return Folded(self._network(), self._value, self._base, True, tuple(self._ways), values)

    def _network(self) -> IntegerNetwork:
        return IntegerNetwork(self._input, tuple(self._layers), CONTINUOUS if self._continuous else ONE_CHOICE)

    def _outputs(self, layer: ExactLayer) -> Folded:
        """The sums of a continuous policy's last layer, whole; the host gives each its scale and offset."""
        if not layer.exact:
            raise self._refusal(layer, "gives actions in irrational units; leave its BatchNormalization out")
        first, last = layer.range(*self._reach)
        bits = 1 + max(1, abs(int(first.min())), abs(int(last.max()))).bit_length()
        if bits > _OUTPUT_BITS:
            raise self._refusal(layer, f"gives actions of {bits} bits; quantise the output, or take fewer bits")
        values = tuple(
            (gain * self._value, offset * self._value + self._base)
            for gain, offset in zip(layer.gain, layer.offset, strict=True)
        )
        nothing = np.zeros(len(values), dtype=np.int64)
        self._add(layer, layer.weight, 0, nothing, 0, FixedPoint(bits, bits), "FLOOR", "logits")
        return Folded(self._network(), Fraction(1), Fraction(0), True, tuple(self._ways), values)

    def _activation(self, layer: ExactLayer, levels: Levels) -> None:
        if levels.rounding == SIGN:
            self._sign(layer)
        elif not self._shift(layer, levels):
            steps = self._steps(layer, levels)
            if not self._multiplier(layer, levels, steps) and not self._multiply_shift(layer, levels, steps):
                self._thermometer(layer, levels, steps)

    def _sign(self, layer: ExactLayer) -> None:
        first, last = layer.range(*self._reach)
        steps = [self._staircase(layer, output, 0, 1, first[output], last[output])[0] for output in range(len(first))]
        self._add(layer, layer.weight, 0, -np.array(steps, dtype=np.int64), 0, Sign(), "FLOOR", "sign")

    def _shift(self, layer: ExactLayer, levels: Levels) -> bool:
        unit = min(layer.gain)
        factors, ratio = [gain / unit for gain in layer.gain], 1 / unit
        kind = levels.type
        full = (kind.minimum, kind.maximum) == (levels.low, levels.high)
        shift = _exponent(float(ratio)) if is_power_of_two(float(ratio)) and Fraction(float(ratio)) == ratio else None
        if (any(layer.curves) or not layer.exact or not full or shift is None or not 0 <= shift <= _MANTISSA
                or levels.rounding not in ("FLOOR", "ROUND") or any(item.denominator != 1 for item in factors)):
            return False
        weight = layer.weight * np.array([int(item) for item in factors], dtype=np.int64)[:, None]
        offsets = [_placed(offset / unit, shift, levels.rounding) for offset in layer.offset]
        fraction = max(item.denominator for item in offsets).bit_length() - 1
        bias = np.array([_whole(item * 2**fraction) for item in offsets], dtype=object)
        if not _fits(weight, bias):
            return False
        rounding = levels.rounding if shift or fraction else "FLOOR"
        self._add(layer, weight, shift, bias.astype(np.int64), fraction, kind, rounding, "shift")
        return True

    def _steps(self, layer: ExactLayer, levels: Levels) -> IntArray:
        """Shape (outputs, high - low): the least sum that reaches each level above the lowest."""
        if levels.high - levels.low > _STEPS:
            raise self._refusal(
                layer, f"has {levels.type.bits} bits and scales whose ratio is no power of two; "
                "take power-of-two scales, or 10 bits at most"
            )
        first, last = layer.range(*self._reach)
        return np.array([
            self._staircase(layer, output, levels.low, levels.high, first[output], last[output])
            for output in range(len(first))
        ])

    def _staircase(
        self, layer: ExactLayer, output: int, low: int, high: int, first: np.int64, last: np.int64
    ) -> IntArray:
        assert layer.levels is not None
        if layer.exact and not layer.curves[output] and layer.levels.rounding in ("ROUND", "FLOOR"):
            is_round = layer.levels.rounding == "ROUND"
            sums = _line_sums(layer.gain[output], layer.offset[output], low, high, is_round)
            return np.array([min(max(item, int(first)), int(last) + 1) for item in sums], dtype=np.int64)
        try:
            return _least_sums(cache(lambda total: layer.level(output, total)), low, high, int(first), int(last))
        except AmbiguousError as error:
            raise self._refusal(
                layer, f"has a sum whose level floating point cannot tell ({error}); change its scale a little"
            ) from error

    def _multiplier(self, layer: ExactLayer, levels: Levels, steps: IntArray) -> bool:
        first, last = layer.range(*self._reach)
        for shift in range(_SMALL + 1):
            lines = [
                _line(steps[output], levels, gain, shift, int(first[output]), int(last[output]))
                for output, gain in enumerate(layer.gain)
            ]
            if any(line is None for line in lines):
                continue
            slopes, biases = np.array([line for line in lines if line is not None], dtype=np.int64).T
            weight = layer.weight * slopes[:, None]
            if not _fits(weight, biases):
                return False
            self._add(layer, weight, shift, biases, 0, levels.type, "FLOOR", "multiplier")
            return True
        return False

    def _multiply_shift(self, layer: ExactLayer, levels: Levels, steps: IntArray) -> bool:
        first, last = layer.range(*self._reach)
        bits = max(abs(int(first.min())), abs(int(last.max()))).bit_length()
        # A sum that is always 0 has whatever slope the others have.
        largest = max((gain for gain, row in zip(layer.gain, layer.weight, strict=True) if row.any()), default=_ONE)
        gains = [gain if row.any() else largest for gain, row in zip(layer.gain, layer.weight, strict=True)]
        for shift in range(_MULTIPLIER_BITS + 1):
            lines = []
            for output, gain in enumerate(gains):
                line = _clamped_line(steps[output], levels, gain, shift, int(first[output]), int(last[output]))
                if line is None:
                    break
                lines.append(line)
            if len(lines) < len(gains):
                continue
            slopes, biases = (tuple(line[index] for line in lines) for index in (0, 1))
            if max(slopes).bit_length() + bits > _PRODUCT_BITS:
                return False
            kind = MultiplyShift(slopes, biases, shift, levels.type, levels.low, levels.high)
            _prove(kind, steps, first, last)
            self._add(layer, layer.weight, 0, np.zeros(len(slopes), dtype=np.int64), 0, kind, "FLOOR", "multiply-shift")
            return True
        return False

    def _thermometer(self, layer: ExactLayer, levels: Levels, steps: IntArray) -> None:
        first, last = layer.range(*self._reach)
        owner, threshold = np.nonzero((steps > first[:, None]) & (steps <= last[:, None]))
        if len(owner) > MAXIMUM_UNITS:
            raise self._refusal(
                layer, f"needs {len(owner)} thresholds, more than {MAXIMUM_UNITS}, to be exact; take power-of-two "
                "scales without tanh or a narrow range, fewer bits, or fewer units"
            )
        base = levels.low + (steps <= first[:, None]).sum(axis=1)
        if not self._pending:
            self._pending.append(_identity(layer.node, len(base)))
        units = replace(layer, weight=layer.weight[owner])
        bias = -steps[owner, threshold]
        if not len(owner):  # no sum changes anything: one unit that never lights up keeps the layer a layer
            units, bias = replace(layer, weight=np.zeros((1, layer.weight.shape[1]), dtype=np.int64)), np.array([-1])
        self._add(units, units.weight, 0, bias, 0, Sign(), "FLOOR", "thermometer")
        self._pending[0] = _over_units(self._pending[0], owner, base)

    def _logits(self, layer: ExactLayer) -> tuple[Fraction, bool]:
        unit = common_unit(layer.gain)
        factors = [int(gain / unit) for gain in layer.gain]
        if (not layer.exact and len(set(layer.gain)) > 1) or max(factors).bit_length() > _MANTISSA:
            raise self._refusal(
                layer, "gives logits in units that differ from output to output; "
                "take one weight scale for the last layer, without BatchNormalization"
            )
        weight = layer.weight * np.array(factors, dtype=np.int64)[:, None]
        offsets = [offset / unit for offset in layer.offset]
        if not layer.exact:  # the same irrational scale for all: what it adds to all alike changes no order
            offsets = [offset - offsets[0] for offset in offsets] if len(offsets) > 1 else offsets
            pieces = sorted({offset - math.floor(offset) for offset in offsets} | {Fraction(0), Fraction(1)})
            if any(after - before < _NEAR for before, after in itertools.pairwise(pieces)):
                raise self._refusal(layer, "has biases that differ by less than their rounding; change one a little")
        grids = [_on_a_grid(offsets)] if layer.exact else []
        for biases, fraction, is_exact in (*grids, _in_order(offsets)):
            if _fits(weight, np.array(biases, dtype=object)):
                self._add(layer, weight, 0, np.array(biases, dtype=np.int64), fraction, None, "FLOOR", "logits")
                return unit / 2**fraction, is_exact
        raise self._refusal(layer, "has biases that no 32 bits hold beside its weights' scale; quantise the bias")

    def _add(
        self, layer: ExactLayer, weight: IntArray, shift: int, bias: IntArray, fraction: int,
        kind: ResultType | None, rounding: str, way: str,
    ) -> None:
        first, last = replace(layer, weight=weight).range(*self._reach)
        largest = int(max(np.abs(first).max(), np.abs(last).max())) * 2**fraction + int(np.abs(bias).max())
        if not _fits(weight, bias) or largest.bit_length() > _SUM_BITS:
            raise self._refusal(layer, f"needs sums of {largest.bit_length()} bits; take fewer bits")
        unit = 2.0**-shift
        self._layers.append(Layer(weight, unit / self._lsb, bias, unit * 2.0**-fraction, kind, rounding))
        if way != "logits":
            self._ways.append(way)
        self._lsb = 1.0
        self._reach = (-1, 1) if kind is None or isinstance(kind, Sign) else (kind.minimum, kind.maximum)

    def _refusal(self, layer: ExactLayer, why: str) -> ProjectError:
        return ProjectError(f"{self._name}: the layer of node '{layer.node}' {why}")


def _simplified(layer: ExactLayer) -> ExactLayer:
    """Scales behind the sums go into the gain and the offset, and clips at levels into the levels."""
    outputs = [_ordered(*item) for item in zip(layer.curves, layer.gain, layer.offset, strict=True)]
    weight, gain = layer.weight.copy(), [item.gain for item in outputs]
    for index, item in enumerate(gain):
        if not item:
            weight[index], gain[index] = 0, max(gain) or Fraction(1)
    levels, clips = layer.levels, {item.clips for item in outputs}
    if levels is None or len(clips) > 1:
        kept, levels = [(*item.curves, *item.clips) for item in outputs], levels
    else:
        left = list(clips.pop())
        while left and (behind := levels.behind(left[-1])) is not None:
            levels = behind
            left.pop()
        kept = [(*item.curves, *left) for item in outputs]
    blur = tuple(
        value * (item.gain / before) for value, item, before in zip(layer.blur, outputs, layer.gain, strict=True)
    ) if layer.blur else ()
    return replace(
        layer, weight=weight, gain=tuple(gain), offset=tuple(item.offset for item in outputs), curves=tuple(kept),
        levels=levels, blur=blur,
    )


@dataclass(frozen=True)
class _Ordered:
    """An output's gain and offset, the curves that must stay, and the clips behind them."""

    gain: Fraction
    offset: Fraction
    curves: tuple[Curve, ...]
    clips: tuple[Clip, ...]


def _ordered(curves: tuple[Curve, ...], gain: Fraction, offset: Fraction) -> _Ordered:
    # A scale behind a clip is a scale before a scaled clip.
    last = max((index for index, item in enumerate(curves) if not isinstance(item, Affine | Clip)), default=-1)
    factor, term = Fraction(1), Fraction(0)
    clips: list[Clip] = []
    for item in curves[last + 1:]:
        if isinstance(item, Affine):
            factor, term = factor * item.gain, term * item.gain + item.offset
            clips = [_scaled(clip, item) for clip in clips]
        elif isinstance(item, Clip):
            clips.append(item)
    if last < 0:
        return _Ordered(gain * factor, offset * factor + term, (), tuple(clips))
    behind = () if factor == 1 and not term else (Affine(factor, term),)
    return _Ordered(gain, offset, (*curves[:last + 1], *behind), tuple(clips))


def _scaled(clip: Clip, by: Affine) -> Clip:
    low, high = (None if limit is None else by(limit, limit)[0] for limit in (clip.low, clip.high))
    return Clip(low, high)


def _line_sums(gain: Fraction, offset: Fraction, low: int, high: int, is_round: bool) -> list[int]:
    """For each level from ``low`` + 1 to ``high``: the least integer whose ``gain * sum + offset`` is cut to it."""
    sums = []
    for level in range(low + 1, high + 1):
        edge = ((level - Fraction(1, 2) if is_round else level) - offset) / gain
        # A tie goes to the even level.
        sums.append(math.ceil(edge) + (is_round and edge.denominator == 1 and level % 2))
    return sums


def _least_sums(level: Callable[[int], int], low: int, high: int, first: int, last: int) -> IntArray:
    """For each level from ``low`` + 1 to ``high``: the least sum from ``first`` on that reaches it, else last + 1."""
    found = np.full(high - low, last + 1, dtype=np.int64)
    at, stride = first, 1
    for index in range(high - low):
        before = at
        at = _least(level, low + 1 + index, at, last, stride)
        if at > last:
            break
        found[index] = at
        stride = max(1, at - before)
    return found


def _least(level: Callable[[int], int], wanted: int, start: int, last: int, stride: int) -> int:
    if level(start) >= wanted:
        return start
    below, above = start, start + stride
    while above < last and level(above) < wanted:
        stride *= 2
        below, above = above, above + stride
    if above >= last:
        if level(last) < wanted:
            return last + 1
        above = last
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (below, middle) if level(middle) >= wanted else (middle, above)
    return above


def _line(
    steps: IntArray, levels: Levels, slope: Fraction, shift: int, first: int, last: int
) -> tuple[int, int] | None:
    """Slope and bias of floor((slope × sum + bias) / 2^shift) that steps just where ``steps`` say, if there are any."""
    kind = levels.type
    wanted = np.concatenate([
        np.full(levels.low - kind.minimum, first), steps, np.full(kind.maximum - levels.high, last + 1)
    ])
    edges = np.arange(kind.minimum + 1, kind.maximum + 1, dtype=np.int64) << shift
    for factor in dict.fromkeys((int(slope * 2**shift), int(slope * 2**shift) + 1)):
        if factor >= 1 << _MANTISSA:
            return None
        reached, missed = wanted <= last, wanted > first
        least = (edges - factor * wanted)[reached].max(initial=-(1 << 62))
        most = (edges - 1 - factor * (wanted - 1))[missed].min(initial=1 << 62)
        if least <= most:
            return factor, _simplest(int(least), int(most))
    return None


def _clamped_line(
    steps: IntArray, levels: Levels, slope: Fraction, shift: int, first: int, last: int
) -> tuple[int, int] | None:
    """:func:`_line` for what is cut to the levels afterwards, and a slope of up to 31 bits."""
    edges = np.arange(levels.low + 1, levels.high + 1, dtype=np.int64) << shift
    reached, missed = steps <= last, steps > first
    for factor in dict.fromkeys((int(slope * 2**shift), int(slope * 2**shift) + 1)):
        if not factor:
            continue
        if factor >= 1 << 31:
            return None
        least, most = (edges - factor * steps)[reached], (edges - 1 - factor * (steps - 1))[missed]
        if least.size and most.size:
            if least.max() <= most.min():
                return factor, _simplest(int(least.max()), int(most.min()))
        elif least.size:
            return factor, _simplest(int(least.max()), int(least.max()) + (1 << shift))
        else:
            return factor, _simplest(int(most.min()) - (1 << shift), int(most.min())) if most.size else 0
    return None


def _prove(kind: MultiplyShift, steps: IntArray, first: IntArray, last: IntArray) -> None:
    """Compare the requantiser with the staircase at every sum that can be reached.

    Where these are too many, at both sides of each step and at the ends: neither falls, so that this decides all.

    Raises:
        AssertionError: they differ.
    """
    for output, (low, high) in enumerate(zip(first, last, strict=True)):
        if high - low > _EVERY:
            edges = np.concatenate([steps[output], steps[output] - 1, [low, high]])
            pieces = [np.unique(np.clip(edges, low, high))]
        else:
            starts = range(int(low), int(high) + 1, _CHUNK)
            pieces = [np.arange(start, min(start + _CHUNK, int(high) + 1), dtype=np.int64) for start in starts]
        for sums in pieces:
            one = replace(kind, multiplier=kind.multiplier[output:output + 1], addend=kind.addend[output:output + 1])
            levels = kind.low + np.searchsorted(steps[output], sums, side="right")
            if not np.array_equal(activate(sums[:, None], 1.0, one)[:, 0], levels):
                raise AssertionError(f"output {output} has another level than the graph at a sum from {sums[0]} on")


def _simplest(least: int, most: int) -> int:
    """The integer in the range with the most zeros at its end."""
    if least <= 0 <= most:
        return 0
    for bits in range(62, -1, -1):
        candidate = -(-least >> bits) << bits if least > 0 else (most >> bits) << bits
        if least <= candidate <= most:
            return candidate
    raise AssertionError("an integer range that is not empty has an integer")


def _identity(node: str, count: int) -> ExactLayer:
    """A last layer that hands on its ``count`` inputs."""
    weight = np.eye(count, dtype=np.int64)
    return ExactLayer(
        node, weight, tuple(range(count)), (Fraction(1),) * count, (Fraction(0),) * count, ((),) * count, None
    )


def _over_units(layer: ExactLayer, owner: IntArray, base: IntArray) -> ExactLayer:
    """``layer`` on the signs of a thermometer: an input is its base plus one half of (sign + 1) a threshold."""
    counts = np.bincount(owner, minlength=len(base))
    constant = layer.weight @ (2 * base + counts)
    weight = layer.weight[:, owner] if len(owner) else np.zeros((len(layer.weight), 1), dtype=np.int64)
    gain = tuple(item / 2 for item in layer.gain)
    offset = tuple(o + g * int(c) for o, g, c in zip(layer.offset, gain, constant, strict=True))
    return replace(layer, weight=weight, gain=gain, offset=offset)


def _on_a_grid(offsets: list[Fraction]) -> tuple[list[int], int, bool]:
    """``offsets`` as integers, and their fraction bits; an integer too large for any bias if there are none."""
    grid = math.lcm(*(item.denominator for item in offsets))
    if not is_power_of_two(grid):
        return [1 << 64], 0, True
    return [_whole(item * grid) for item in offsets], grid.bit_length() - 1, True


def _whole(value: Fraction) -> int:
    if value.denominator != 1:
        raise AssertionError(f"{value} is no integer")
    return value.numerator


def _in_order(offsets: list[Fraction]) -> tuple[list[int], int, bool]:
    """Biases beside which integer sums compare as beside ``offsets``: only the order of the fractions matters."""
    wholes = [math.floor(item) for item in offsets]
    pieces = [item - whole for item, whole in zip(offsets, wholes, strict=True)]
    ranks = {piece: rank for rank, piece in enumerate(sorted({Fraction(0), *pieces}))}
    bits = (len(ranks) - 1).bit_length()
    return [(whole << bits) + ranks[piece] for whole, piece in zip(wholes, pieces, strict=True)], bits, False


def _fits(weight: IntArray, bias: IntArray) -> bool:
    def significant(value: int) -> int:
        return (abs(value) // (value & -value)).bit_length() if value else 0

    return (
        int(np.abs(weight).max()).bit_length() <= _MANTISSA
        and all(abs(int(item)).bit_length() < _BIAS_BITS and significant(int(item)) <= _MANTISSA for item in bias)
    )


def _placed(offset: Fraction, shift: int, rounding: str) -> Fraction:
    """An offset of few bits beside which every integer sum is cut as beside ``offset``."""
    whole = math.floor(offset)
    if rounding == "FLOOR" or offset == whole:
        return Fraction(whole)
    if shift:  # ties lie on integers: anything between two of them is as good as the middle
        return whole + Fraction(1, 2)
    half = Fraction(1, 2)
    return whole + (half if offset - whole == half else Fraction(round(offset - whole)))


def _exponent(value: float) -> int:
    return round(math.log2(value))
