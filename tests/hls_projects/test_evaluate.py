"""The Gym loop over backends: what is answered ahead is what would have been answered step by step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.hls_projects.evaluate import WIDE_EPISODES, Foresighted, default_episodes, drive
from hls4rl.task import load_task, with_settings

Rule = Callable[[IntArray], IntArray]


class Rules:
    """A backend of one rule that counts how often it is asked."""

    def __init__(self, name: str, rule: Rule) -> None:
        self.name, self._rule, self.calls = name, rule, 0

    def infer(self, observations: IntArray) -> Answer:
        """One action a row."""
        self.calls += 1
        return Answer(self._rule(observations).astype(np.int64)[:, None], None)


def falls(observations: IntArray) -> IntArray:
    """Push to where the pole falls."""
    return observations[:, 2] + observations[:, 3] > 0


def falls_nearly(observations: IntArray) -> IntArray:
    """The same, but for one angle, the commonest."""
    return np.where(observations[:, 2] == 0, 0, falls(observations))


def test_answers_given_ahead_are_the_ones_that_a_loop_would_get() -> None:
    task, seen, reference = load_task("cartpole"), list[IntArray](), Rules("torch", falls)
    expected = drive(task, reference, reference, 6, seen.append)
    assert expected.steps == sum(map(len, seen)) > 200
    for rule, right in ((falls, True), (falls_nearly, False)):
        asked, ahead = Rules("rtl", rule), Rules("rtl", rule)
        plain = drive(task, asked, reference, 6)
        found = drive(task, Foresighted(ahead, np.concatenate(seen)), reference, 6)
        assert found == plain, "an executor that differs leaves the expected episodes, and is asked from there on"
        assert (found.mismatches == 0) == right
        assert (ahead.calls == 1) == right
        assert (found.returns == expected.returns) == right


def test_pictures_are_answered_for_not_played_by_gates_of_any_core() -> None:
    task = load_task("pong")
    assert default_episodes(task) == WIDE_EPISODES
    assert default_episodes(with_settings(task, "hardware", inputs_per_clock=0, fold=9)) == WIDE_EPISODES
    assert default_episodes(load_task("cartpole")) == 100
