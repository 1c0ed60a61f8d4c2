"""Returns, baseline and sampling, against plain arithmetic."""

import numpy as np

from hls4rl.contract import FixedPoint, Real, Sign, Table
from hls4rl.train.vpg.advantage import Baseline, returns_to_go
from hls4rl.train.vpg.distribution import sample
from hls4rl.train.vpg.rollout import activate


def test_returns_to_go() -> None:
    assert returns_to_go(np.array([1.0, 2.0, 4.0]), 0.5).tolist() == [3.0, 4.0, 4.0]


def test_the_first_averages_are_plain_ones() -> None:
    baseline, rng = Baseline(0.01), np.random.default_rng(0)
    returns = rng.normal(size=(20, 5))
    for row in returns:
        baseline.advantages(row)
    assert np.allclose(baseline.mean, returns.mean(axis=0))
    assert np.allclose(baseline.variance, returns.var(axis=0))


def test_an_ended_episode_counts_as_zero() -> None:
    baseline = Baseline(0.5)
    baseline.advantages(np.array([2.0, 2.0]))
    baseline.advantages(np.array([2.0]))
    assert baseline.mean.tolist() == [2.0, 1.0]


def test_sampling_follows_the_softmax() -> None:
    rng, logits = np.random.default_rng(0), np.log(np.array([0.2, 0.5, 0.3]))
    counts = np.bincount([sample(logits, rng) for _ in range(20_000)], minlength=3)
    assert np.allclose(counts / 20_000, [0.2, 0.5, 0.3], atol=0.015)


def test_activations() -> None:
    sums = np.array([-1.0, -0.0, 0.3, 9.0])
    assert activate(sums, None) is sums
    assert activate(sums, Real("relu")).tolist() == [0.0, 0.0, 0.3, 9.0]
    assert activate(sums, Real("hard-tanh")).tolist() == [-1.0, 0.0, 0.3, 1.0]
    assert activate(sums, FixedPoint(3, 1)).tolist() == [-1.0, 0.0, 0.25, 0.75]
    table = Table.of(np.tanh, FixedPoint(4, 3), FixedPoint(4, 1))
    assert activate(sums, table).tolist() == [-0.75, 0.0, 0.0, 0.875]
    assert activate(sums, FixedPoint(4, 2, signed=False)).tolist() == [0.0, 0.0, 0.25, 3.75]
    assert activate(sums, Sign()).tolist() == [-1.0, 1.0, 1.0, 1.0]
