"""Intervals that cover, answers in three values, and what one of them needs."""

from collections.abc import Callable

import numpy as np
import pytest

from hls4rl.contract import FloatArray
from hls4rl.studies.paper import statistics
from hls4rl.studies.paper.checks import combined, every, greater, verdicts, within
from hls4rl.studies.paper.statistics import NOT_SHOWN, REFUTED, SUPPORTED, TOO_FEW, Effect, holm

POLICIES, WIDTHS, EXPERIMENTS = 10, 5, 300


def ceiling(rng: np.random.Generator) -> FloatArray:
    return np.minimum(200.0, 205.0 - rng.exponential(30.0, POLICIES))


def stuck(rng: np.random.Generator) -> FloatArray:
    return np.where(rng.random(POLICIES) < 0.3, -500.0, -90.0) + rng.normal(0.0, 5.0, POLICIES)


@pytest.mark.parametrize(("draw", "mean"), [
    (lambda rng: rng.normal(3.0, 20.0, POLICIES), 3.0),
    # E[min(200, 205 - X)] with X exponential of mean 30: 200 - 30·exp(-5/30) = 174.6
    (ceiling, 200.0 - 30.0 * np.exp(-1.0 / 6.0)),
    (lambda rng: rng.exponential(30.0, POLICIES), 30.0),
    (stuck, 0.3 * -500.0 + 0.7 * -90.0),
])
def test_stratified_intervals_cover_the_effect(
    draw: Callable[[np.random.Generator], FloatArray], mean: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seeds in each of five widths: 95 % as promised, within the simulation's own error."""
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
    rng, covered = np.random.default_rng(0), 0
    for _ in range(EXPERIMENTS):
        interval = Effect([draw(rng) for _ in range(WIDTHS)], resolution=1e-3).interval
        covered += interval.low <= mean <= interval.high
    assert 0.92 <= covered / EXPERIMENTS <= 0.995


def test_one_stratum_covers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 1000)
    rng, covered = np.random.default_rng(0), 0
    for _ in range(EXPERIMENTS):
        interval = statistics.mean(rng.normal(3.0, 20.0, POLICIES))
        covered += interval.low <= 3.0 <= interval.high
    assert 0.92 <= covered / EXPERIMENTS <= 0.98


def test_strata_take_out_what_widths_differ_by() -> None:
    rng = np.random.default_rng(1)
    strata = [rng.normal(level + 10.0, 5.0, POLICIES) for level in (-60.0, -30.0, 0.0, 30.0, 60.0)]
    effect, pooled = Effect(strata).interval, statistics.mean(np.concatenate(strata))
    assert effect.value == pytest.approx(pooled.value)
    assert effect.low > 5.0
    assert pooled.low < 0.0


def test_p_values_are_those_of_the_interval() -> None:
    effect = Effect([np.random.default_rng(2).normal(4.0, 5.0, POLICIES)])
    interval = effect.interval
    assert effect.above(interval.low) == pytest.approx(0.025, abs=0.002)
    assert effect.below(interval.high) == pytest.approx(0.025, abs=0.002)


def test_holm_corrects_for_the_number_of_questions() -> None:
    # Sorted 0.01, 0.02, 0.04 times 3, 2, 1, and never falling: 0.03, 0.04, 0.04.
    assert holm([0.02, 0.01, 0.04]) == pytest.approx([0.04, 0.03, 0.04])


def test_three_answers() -> None:
    rng = np.random.default_rng(3)
    near, far = rng.normal(0.0, 10.0, POLICIES), rng.normal(0.0, 1.0, POLICIES)
    checks = [
        greater("", Effect([far + 20.0])), greater("", Effect([far - 20.0])), greater("", Effect([near])),
        within("", Effect([far]), 10.0), within("", Effect([far + 20.0]), 10.0), within("", Effect([near * 5]), 10.0),
        greater("", Effect([np.array([30.0, 31.0])])),
    ]
    assert verdicts(checks) == [SUPPORTED, REFUTED, NOT_SHOWN, SUPPORTED, REFUTED, NOT_SHOWN, TOO_FEW]


def test_of_many_questions_without_an_effect_none_is_answered() -> None:
    rng = np.random.default_rng(4)
    checks = [greater("", Effect([rng.normal(0.0, 10.0, POLICIES) for _ in range(3)])) for _ in range(100)]
    assert set(verdicts(checks)) == {NOT_SHOWN}
    assert sum(check.surprise < 0.05 for check in checks) >= 1, "uncorrected, some would have been"


def test_a_claim_of_several_parts() -> None:
    assert combined([SUPPORTED, SUPPORTED], any_of=False) == SUPPORTED
    assert combined([SUPPORTED, NOT_SHOWN], any_of=False) == NOT_SHOWN
    assert combined([SUPPORTED, REFUTED], any_of=False) == REFUTED
    assert combined([NOT_SHOWN, SUPPORTED], any_of=True) == SUPPORTED
    assert combined([REFUTED, REFUTED], any_of=True) == REFUTED
    assert combined([TOO_FEW, SUPPORTED], any_of=True) == TOO_FEW


def test_every_part_is_to_hold() -> None:
    far = np.random.default_rng(3).normal(0.0, 1.0, POLICIES)
    good, bad = greater("", Effect([far + 20.0])), greater("", Effect([far - 20.0]))
    assert verdicts([every("", [good, good]), every("", [good, bad])]) == [SUPPORTED, REFUTED]


def test_one_policy_says_nothing_of_others() -> None:
    alone = Effect([np.array([5.0])])
    assert alone.interval.low == -np.inf
    assert alone.above(0.0) == alone.below(0.0) == 1.0
    assert statistics.mean(np.full(4, 7.0)).value == 7.0
    assert statistics.interquartile_mean(np.array([0.0, 1.0, 2.0, 1000.0])).value == 1.5


@pytest.mark.filterwarnings("error")
def test_an_interval_where_all_policies_but_one_are_equal_reaches_to_that_one() -> None:
    """Nine of ten at CartPole's ceiling: BCa's correction is 0 / 0, which gave no interval at all."""
    found = statistics.interquartile_mean(np.array([200.0] * 9 + [150.0]))
    assert found.value == found.high == 200.0
    # All of ten draws within the middle six are 200 unless the tenth policy is drawn three times or more, which has
    # a probability of 7 %: more than the 2.5 % below the interval.
    assert 150.0 < found.low < 200.0
