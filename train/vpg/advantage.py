"""How good each step was. Three answers:

- ``time-step``: the return from the step on, held against what is usual at that time of an episode;
- ``trajectory``: the whole trajectory's return, held against what is usual;
- ``return``: the whole trajectory's return as it is (paper eq. 4 to the letter).
"""

from __future__ import annotations

import numpy as np

from hls4rl.contract import FloatArray

SMALLEST_VARIANCE = 1e-8


class Baseline:
    """Exponential averages, per time step, of the return-to-go's mean and variance.

    An episode that has ended counts as a return-to-go of 0 at the time steps it did not reach. The first
    averages are plain ones, so that the start at zero leaves no trace.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.episodes = 0
        self.mean: FloatArray = np.zeros(0)
        self.variance: FloatArray = np.zeros(0)

    def advantages(self, returns: FloatArray) -> FloatArray:
        """(return - mean) / deviation of one episode's returns-to-go, after these are taken into the averages.

        Shape (T,) both. Taking them in first only shrinks the difference by ``1 - rate``, and it bounds the quotient
        by 1/√rate.
        """
        self._reach(len(returns))
        self.episodes += 1
        rate = max(self.rate, 1.0 / self.episodes)
        padded = np.zeros_like(self.mean)
        padded[: len(returns)] = returns
        surprise = padded - self.mean
        self.mean += rate * surprise
        self.variance += rate * ((1.0 - rate) * surprise**2 - self.variance)
        difference = (padded - self.mean)[: len(returns)]
        quotient: FloatArray = difference / np.sqrt(self.variance[: len(returns)] + SMALLEST_VARIANCE)
        return quotient

    def _reach(self, steps: int) -> None:
        missing = max(0, steps - len(self.mean))
        self.mean = np.pad(self.mean, (0, missing))
        self.variance = np.pad(self.variance, (0, missing))


def advantages(kind: str, baseline: Baseline, rewards: FloatArray, discount: float) -> FloatArray:
    """Advantage of each step of one episode, shape (T,) as ``rewards``; ``kind`` is one of the module's three."""
    if kind == "time-step":
        return baseline.advantages(returns_to_go(rewards, discount))
    total = returns_to_go(rewards, discount)[:1]
    whole = baseline.advantages(total) if kind == "trajectory" else total
    return np.full_like(rewards, whole[0])


def returns_to_go(rewards: FloatArray, discount: float) -> FloatArray:
    """G_t = r_t + discount·G_{t+1}, of one episode; shape (T,) as ``rewards``."""
    returns = np.empty_like(rewards)
    following = 0.0
    for step in range(len(rewards) - 1, -1, -1):
        following = rewards[step] + discount * following
        returns[step] = following
    return returns
