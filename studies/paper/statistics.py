"""Means with 95 % bootstrap intervals, and the interquartile mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from hls4rl.contract import FloatArray

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


def mean(values: FloatArray) -> Interval:
    """The mean over policies, shape (policies,)."""
    return _bootstrap((values,), lambda sample, axis: np.mean(sample, axis=axis))


def interquartile_mean(values: FloatArray) -> Interval:
    """The mean of the middle half (rliable's IQM), shape (policies,)."""
    return _bootstrap((values,), lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis))


def difference(left: FloatArray, right: FloatArray) -> Interval:
    """Mean of ``left`` minus mean of ``right``, two independent groups of policies."""
    return _bootstrap((left, right), lambda one, two, axis: np.mean(one, axis=axis) - np.mean(two, axis=axis))


def _bootstrap(samples: tuple[FloatArray, ...], statistic: object) -> Interval:
    value = float(statistic(*samples, axis=0))  # type: ignore[operator]
    if any(len(sample) < 2 for sample in samples):
        return Interval(value, -np.inf, np.inf)  # one policy says nothing of how policies differ
    if all(np.ptp(sample) == 0 for sample in samples):
        return Interval(value, value, value)  # nothing varies, so there is nothing to resample
    found = stats.bootstrap(
        samples, statistic, n_resamples=RESAMPLES, method="percentile", vectorized=True, rng=np.random.default_rng(0)
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))
