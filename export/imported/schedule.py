"""Any order of layers → a chain: what is needed later is handed on beside what is new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.imported.exact import SIGN, ExactLayer, ExactNetwork, Levels


def chain(network: ExactNetwork, name: str) -> tuple[ExactLayer, ...]:
    """The layers of ``network`` as a chain: each takes all outputs of the one before it, and nothing else.

    Args:
        name: of the file, for messages.

    Raises:
        ProjectError: branches have ranges that do not go through one layer together; the message names the node.
    """
    return _Scheduler(network, name).run()


@dataclass(frozen=True)
class _Number:
    """One integer of the network."""

    made: int
    """The step that makes it; 0 for the observation's."""
    levels: Levels


class _Scheduler:
    def __init__(self, network: ExactNetwork, name: str) -> None:
        self._name, self._layers = name, network.layers
        kind = network.input.type
        whole = _Number(0, Levels(kind.minimum, kind.maximum, "ROUND"))
        self._numbers = [whole] * network.input.features
        self._steps: list[int] = []
        self._first: list[int] = []
        for layer in network.layers:
            step = 1 + max((self._numbers[number].made for number in layer.columns), default=0)
            self._steps.append(step)
            self._first.append(len(self._numbers))
            if layer.levels is not None:
                self._numbers += [_Number(step, layer.levels)] * len(layer.weight)
        last = max(self._steps)
        self._steps[-1] = last  # the result comes last, whatever it takes
        self._needed = {
            number: max(step for step, layer in zip(self._steps, self._layers, strict=True) if number in layer.columns)
            for number in {number for layer in self._layers for number in layer.columns}
        }

    def run(self) -> tuple[ExactLayer, ...]:
        """Step by step."""
        state = {number: (number, 0) for number in range(self._first[0])}
        result = []
        for step in range(1, max(self._steps) + 1):
            layers = [index for index, at in enumerate(self._steps) if at == step]
            kept = [number for number in state if self._needed.get(number, 0) > step]
            layer, state = self._step(layers, kept, state)
            result.append(layer)
        return tuple(result)

    def _step(
        self, layers: Sequence[int], kept: Sequence[int], state: dict[int, tuple[int, int]]
    ) -> tuple[ExactLayer, dict[int, tuple[int, int]]]:
        """One layer of the chain, and where each integer then is: its output, and what was added to it."""
        new = [_placed(self._layers[index], state) for index in layers]
        if not kept and len(new) == 1:
            count = len(new[0].weight)
            return new[0], {self._first[layers[0]] + place: (place, 0) for place in range(count)}
        window = self._window(layers)
        pieces, after, place = [], {}, 0
        for index, layer in zip(layers, new, strict=True):
            assert layer.levels is not None
            shift = window.low - layer.levels.low
            pieces.append(replace(layer, offset=tuple(item + shift for item in layer.offset)) if shift else layer)
            for output in range(len(layer.weight)):
                after[self._first[index] + output] = place, shift
                place += 1
        for number in kept:
            levels, (column, before) = self._numbers[number].levels, state[number]
            low, high = levels.low + before, levels.high + before
            shift = 0 if window.low <= low and high <= window.high else window.low - low
            if high + shift > window.high or (window.rounding == SIGN) != (levels.rounding == SIGN):
                raise self._refusal(layers[0], "stands beside a branch of more levels; quantise both to as many bits")
            weight = np.zeros((1, new[0].weight.shape[1]), dtype=np.int64)
            weight[0, column] = 1
            one, offset = (Fraction(1),), (Fraction(shift),)
            pieces.append(replace(new[0], weight=weight, gain=one, offset=offset, curves=((),), blur=(), rough=False))
            after[number] = place, before + shift
            place += 1
        return _side_by_side(pieces, window), after

    def _window(self, layers: Sequence[int]) -> Levels:
        """Levels that all of ``layers`` are moved to."""
        found = [self._layers[index].levels for index in layers]
        first = found[0]
        if first is None or any(
            item is None or item.high - item.low != first.high - first.low or item.rounding != first.rounding
            or (item.rounding == "ROUND" and (item.low - first.low) % 2) for item in found
        ):
            raise self._refusal(layers[0], "stands beside a branch of other levels or rounding; quantise both alike")
        return first

    def _refusal(self, index: int, why: str) -> ProjectError:
        return ProjectError(f"{self._name}: the layer of node '{self._layers[index].node}' {why}")


def _placed(layer: ExactLayer, state: dict[int, tuple[int, int]]) -> ExactLayer:
    """``layer`` over all integers that there are."""
    width = 1 + max(place for place, _ in state.values())
    weight = np.zeros((len(layer.weight), width), dtype=np.int64)
    moved: IntArray = np.zeros(len(layer.weight), dtype=np.int64)
    for column, number in enumerate(layer.columns):
        place, shift = state[number]
        weight[:, place] = layer.weight[:, column]
        moved = moved + layer.weight[:, column] * shift
    offset = tuple(o - g * int(m) for o, g, m in zip(layer.offset, layer.gain, moved, strict=True))
    return replace(layer, weight=weight, columns=tuple(range(width)), offset=offset)


def _side_by_side(pieces: Sequence[ExactLayer], levels: Levels) -> ExactLayer:
    rough = any(piece.rough for piece in pieces)
    blur = sum((piece.blur or (Fraction(0),) * len(piece.weight) for piece in pieces), ())
    return replace(
        pieces[0], weight=np.concatenate([piece.weight for piece in pieces]),
        gain=sum((piece.gain for piece in pieces), ()), offset=sum((piece.offset for piece in pieces), ()),
        curves=sum((piece.curves for piece in pieces), ()), levels=levels, blur=blur, rough=rough,
    )
