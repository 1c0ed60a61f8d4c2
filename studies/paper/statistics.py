"""Effects paired by seed and stratified by width, with intervals that cover, and answers corrected for their number.

An effect is the mean over strata (task and width) of the mean over seeds of a difference. Its interval is a studentised
bootstrap's, drawn within each stratum: at ten policies a percentile interval covers 88 % where it says 95, and BCa
90. SciPy and rliable have no studentised one, arch none with strata. :func:`Effect.above` gives the p-value of the same
draws, and :func:`holm` corrects for the number of questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from hls4rl.contract import FloatArray

RESAMPLES = 10_000
LEVEL = 0.05
FEWEST = 5
"""Policies of a stratum below which nothing is concluded."""
RESOLUTION = 0.1
"""Smallest standard error of an effect, in units of return: differences below it are of no interest."""

SUPPORTED, REFUTED, NOT_SHOWN, TOO_FEW = "supported", "refuted", "not shown", "too few seeds to answer"


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.1f} [{self.low:.1f}, {self.high:.1f}]"


class Effect:
    """A mean over strata of means over policies, with its bootstrap distribution."""

    def __init__(self, strata: Sequence[FloatArray], resolution: float = RESOLUTION) -> None:
        """Take ``strata``, each of shape (policies,): differences paired by seed, or values of their own."""
        self.policies = min(len(stratum) for stratum in strata)
        self.value = float(np.mean([stratum.mean() for stratum in strata]))
        self._error = max(_error(strata), resolution)
        self._pivots = _pivots(strata, self.value, 0.1 * self._error) if self.policies > 1 else np.zeros(0)

    @property
    def interval(self) -> Interval:
        """The 95 % interval."""
        if not len(self._pivots):
            return Interval(self.value, -np.inf, np.inf)  # one policy says nothing of how policies differ
        low, high = np.quantile(self._pivots, [1 - LEVEL / 2, LEVEL / 2])
        return Interval(self.value, self.value - float(low) * self._error, self.value - float(high) * self._error)

    def above(self, bound: float) -> float:
        """One-sided p-value against "the effect is at most ``bound``": small where it lies above."""
        if not len(self._pivots):
            return 1.0
        observed = (self.value - bound) / self._error
        return float((1 + np.count_nonzero(self._pivots >= observed)) / (1 + len(self._pivots)))

    def below(self, bound: float) -> float:
        """One-sided p-value against "the effect is at least ``bound``": small where it lies below."""
        if not len(self._pivots):
            return 1.0
        observed = (self.value - bound) / self._error
        return float((1 + np.count_nonzero(self._pivots <= observed)) / (1 + len(self._pivots)))

    def __str__(self) -> str:
        return str(self.interval)


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected for their number by Holm's procedure, in their order."""
    corrected, largest = [0.0] * len(values), 0.0
    for rank, place in enumerate(np.argsort(values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(values) - rank) * values[place]))
        corrected[place] = largest
    return corrected


def mean(values: FloatArray) -> Interval:
    """The mean over policies, shape (policies,)."""
    return Effect([values]).interval


def interquartile_mean(values: FloatArray) -> Interval:
    """The mean of the middle half (rliable's IQM), shape (policies,), with SciPy's BCa interval.

    Where all but one or two policies are equal, leaving any one of them out changes nothing and BCa's correction is
    0 / 0: there the interval is the percentile one, which needs none.
    """
    value = float(stats.trim_mean(values, 0.25))
    if len(values) < 2:
        return Interval(value, -np.inf, np.inf)
    if np.ptp(values) == 0:
        return Interval(value, value, value)  # nothing varies, so there is nothing to resample
    left_out = [stats.trim_mean(np.delete(values, place), 0.25) for place in range(len(values))]
    found = stats.bootstrap(
        (values,), lambda sample, axis: stats.trim_mean(sample, 0.25, axis=axis), n_resamples=2000,
        method="BCa" if np.ptp(left_out) > 0 else "percentile", vectorized=True, rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(value, float(found.low), float(found.high))


def _error(strata: Sequence[FloatArray]) -> float:
    variances = [stratum.var(ddof=1) / len(stratum) if len(stratum) > 1 else 0.0 for stratum in strata]
    return float(np.sqrt(np.sum(variances)) / len(strata))


def _pivots(strata: Sequence[FloatArray], value: float, floor: float) -> FloatArray:
    """(effect - ``value``) / standard error of :data:`RESAMPLES` bootstrap samples.

    A sample that drew one policy ten times over has no error of its own, and would make the tails endless: ``floor`` is
    the smallest one that is taken.
    """
    rng = np.random.default_rng(0)
    total, variance = np.zeros(RESAMPLES), np.zeros(RESAMPLES)
    for stratum in strata:
        drawn = stratum[rng.integers(len(stratum), size=(RESAMPLES, len(stratum)))]
        total += drawn.mean(axis=1)
        variance += drawn.var(axis=1, ddof=1) / len(stratum)
    errors = np.maximum(np.sqrt(variance) / len(strata), floor)
    pivots: FloatArray = (total / len(strata) - value) / errors
    return pivots
