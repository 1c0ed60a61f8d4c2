"""Running mean and variance of what has been seen, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray

_LARGEST = 10.0
"""Normalised numbers are cut to ± this, as in Gymnasium's and SB3's wrappers."""
_SMALLEST_VARIANCE = 1e-8


@dataclass
class Running:
    """Statistics of so many columns."""

    mean: FloatArray
    variance: FloatArray
    count: float = 0.0

    @classmethod
    def of(cls, columns: int) -> Running:
        """Of nothing yet."""
        return cls(np.zeros(columns), np.ones(columns))

    def update(self, rows: FloatArray) -> None:
        """Take in ``rows``, shape (rows, columns): the parallel form of Chan, Golub and LeVeque (1983)."""
        count = len(rows)
        total = self.count + count
        distance = rows.mean(axis=0) - self.mean
        squares = self.variance * self.count + rows.var(axis=0) * count + distance**2 * self.count * count / total
        self.mean = self.mean + distance * count / total
        self.variance, self.count = squares / total, total

    @property
    def deviation(self) -> FloatArray:
        """Standard deviation of each column."""
        return np.sqrt(self.variance + _SMALLEST_VARIANCE)

    def normalised(self, rows: FloatArray) -> NDArray[np.float32]:
        """``rows`` with mean 0 and deviation 1, cut, in single precision."""
        return np.clip((rows - self.mean) / self.deviation, -_LARGEST, _LARGEST).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it, by name."""
        return {"mean": self.mean, "variance": self.variance, "count": np.array([self.count])}

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]]) -> Running:
        """What :meth:`arrays` answered."""
        return cls(arrays["mean"].copy(), arrays["variance"].copy(), float(arrays["count"][0]))
