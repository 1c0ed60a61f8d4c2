"""Integer networks straight from policies or from numbers, without the way through a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from hls4rl.contract import FixedPoint, Sign
from hls4rl.network import IntegerNetwork, Layer


def small_network(hidden_weight: Any, output_weight: Any, output_bias: Any, signs: bool = False) -> IntegerNetwork:
    """4-bit inputs; weights in whole numbers; ReLU of 5 bits that cuts one bit off, or signs; no hidden bias."""
    first, second, bias = (np.array(item, dtype=np.int64) for item in (hidden_weight, output_weight, output_bias))
    activation = Sign() if signs else FixedPoint(5, 6, signed=False)
    lsb = activation.lsb
    return IntegerNetwork(FixedPoint(4, 4), (
        Layer(first, 1.0, np.zeros(len(first), dtype=np.int64), 1.0, activation), Layer(second, 1.0, bias, lsb, None),
    ))
