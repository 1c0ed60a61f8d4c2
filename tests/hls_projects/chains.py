"""Integer networks of any depth, by their sizes and the values of their weights."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from hls4rl.contract import FixedPoint, Sign
from hls4rl.network import IntegerNetwork, Layer


def chain(
    sizes: list[int], values: list[int] | int = 8, zeros: float = 0.0, seed: int = 1, **kind: Any
) -> IntegerNetwork:
    """Layers of ``sizes`` with weights of so many bits, or out of ``values``, a share of them ``zeros``.

    Args:
        kind: ``bits``, ``signed`` and ``rounding`` of the activations; or ``signs``.
    """
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    before: FixedPoint | Sign = FixedPoint(kind.get("input_bits", 6), 3, kind.get("input_signed", True))
    network_input = before
    for fan_in, fan_out in itertools.pairwise(sizes):
        choice = np.arange(-(1 << values - 1), 1 << values - 1) if isinstance(values, int) else np.array(values)
        weight = rng.choice(choice, (fan_out, fan_in)) * (rng.random((fan_out, fan_in)) >= zeros)
        lsb = 2.0 ** -round(np.log2(max(1, abs(choice).max()) * fan_in**0.5))
        unit = before.lsb * lsb
        bias = rng.integers(-9, 10, fan_out)
        final = len(layers) == len(sizes) - 2
        activation = None if final else Sign() if kind.get("signs") else FixedPoint(
            kind.get("bits", 6), 3 + len(layers), kind.get("signed", False))
        rounding = kind.get("rounding", "FLOOR") if isinstance(activation, FixedPoint) else "FLOOR"
        layers.append(Layer(weight, lsb, bias, unit / kind.get("finer", 1), activation, rounding))
        before = activation or before
    return IntegerNetwork(network_input, tuple(layers))  # type: ignore[arg-type]
