"""A float policy and the integers made of it, in the same episodes: returns, and every action."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hls4rl.actions import BoxActions
from hls4rl.contract import FloatArray, IntArray
from hls4rl.gym_loop import Episodes, drive
from hls4rl.network import IntegerNetwork
from hls4rl.train.pretrained.float_policy import Fitted
from hls4rl.verdict import interval


@dataclass
class _Count:
    """Of the steps of both policies' episodes."""

    steps: int = 0
    equal: int = 0
    largest: float = 0.0
    total: float = 0.0


def play_float(fitted: Fitted, episodes: int, first_seed: int) -> Episodes:
    """Greedy episodes of the float policy; episode k starts as ``env.reset(seed=first_seed + k)`` does."""
    return drive(fitted.task, lambda floats: [fitted.taken(row) for row in fitted.decide(floats)], episodes, first_seed)


def compare(fitted: Fitted, network: IntegerNetwork, episodes: int, first_seed: int) -> dict[str, Any]:
    """Both policies drive the same seeded episodes; at every step of both, both are asked.

    Returns:
        Plain JSON values: ``float_return``, ``float_interval``, ``integer_return``, ``integer_interval`` (95 % of the
        mean), ``keeps_return`` (whether the integers' mean is below the floats' by no more than both intervals),
        ``steps`` compared, ``equal_actions`` (their share; of a Box: the float action rounds to the same integers),
        and of a Box ``largest_action_error`` and ``mean_action_error`` in the environment's units, else null.
    """
    task, count = fitted.task, _Count()

    def both(floats: FloatArray) -> tuple[FloatArray | IntArray, IntArray]:
        decided, answered = fitted.decide(floats), network.act(task.integers(floats))
        _add(count, fitted, decided, answered)
        return decided, answered

    floats = drive(task, lambda seen: [fitted.taken(row) for row in both(seen)[0]], episodes, first_seed)
    integers = drive(task, lambda seen: [task.actions.decode(row) for row in both(seen)[1]], episodes, first_seed)
    halves = [interval(item.returns) for item in (floats, integers)]
    allowed = math.hypot(*(half or 0.0 for half in halves))
    box = isinstance(task.actions, BoxActions)
    return {
        "policy": fitted.policy.source, "network": fitted.policy.shape, "episodes": episodes,
        "float_return": floats.mean_return, "float_interval": halves[0],
        "integer_return": integers.mean_return, "integer_interval": halves[1],
        "keeps_return": bool(integers.mean_return >= floats.mean_return - allowed),
        "steps": count.steps, "equal_actions": count.equal / count.steps,
        "largest_action_error": count.largest if box else None,
        "mean_action_error": count.total / count.steps if box else None,
    }


def _add(count: _Count, fitted: Fitted, decided: FloatArray | IntArray, answered: IntArray) -> None:
    actions = fitted.task.actions
    count.steps += len(answered)
    if not isinstance(actions, BoxActions):
        count.equal += int((decided == answered).all(axis=1).sum())
        return
    top = actions.activation.maximum
    count.equal += int((np.rint(decided * top) == np.maximum(answered, -top)).all(axis=1).sum())
    half = ((actions.high - actions.low) / 2).reshape(-1)
    errors = np.abs(decided - np.clip(answered / top, -1.0, 1.0)) * half
    count.largest = max(count.largest, float(errors.max()))
    count.total += float(errors.mean(axis=1).sum())
