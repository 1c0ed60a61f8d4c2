"""Observations that every equality test uses: random ones and corners of the input type."""

from __future__ import annotations

import numpy as np

from train.contract import FixedPoint, IntArray


def random_observations(kind: FixedPoint, features: int, count: int, seed: int = 0) -> IntArray:
    rng = np.random.default_rng(seed)
    return rng.integers(kind.minimum, kind.maximum, size=(count, features), endpoint=True)


def corner_observations(kind: FixedPoint, features: int) -> IntArray:
    """All minima, all maxima, zero, each extreme alone, and one bit set in one feature."""
    rows = [np.full(features, value) for value in (kind.minimum, kind.maximum, 0, -1, 1)]
    for feature in range(features):
        for value in (kind.minimum, kind.maximum, *(1 << bit for bit in range(kind.bits - 1))):
            row = np.zeros(features, dtype=np.int64)
            row[feature] = value
            rows.append(row)
    return np.array(rows, dtype=np.int64)
