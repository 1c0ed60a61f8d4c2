"""Measured ranges of an environment's observations, and the scales and offsets that suit them.

Episodes of random actions, from fixed seeds, so that the same environment gives the same numbers. A feature's range is
what its values leave when the rarest are cut off at either end; its offset is the middle of the range if zero lies
outside the range's inner half, else zero; its scale is the largest power of two that keeps the range within the type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from hls4rl.actions import random_actions
from hls4rl.contract import FloatArray, IntArray

if TYPE_CHECKING:
    from hls4rl.task import Task

STEPS = 4000
"""Of random episodes that are looked at."""
FIRST_SEED = 3_000_000
"""Of those episodes: seeds that neither training nor evaluation uses."""
CUT = 0.001
"""Share of a feature's values at either end that its range leaves out."""
LARGEST_SCALE, SMALLEST_SCALE = 2.0**16, 2.0**-24

Act = Callable[[FloatArray], IntArray]
"""Answers flattened observations, shape (1, features), with actions, shape (1, action dimensions)."""


@dataclass(frozen=True, eq=False)
class Ranges:
    """What was seen, and what suits it."""

    observations: FloatArray
    """Shape (steps, features)."""
    low: FloatArray
    """Of each feature: the end of its range."""
    high: FloatArray
    scale: FloatArray
    offset: FloatArray


def measured(task: Task) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scales and offsets for ``observation.scale = "auto"``, from random episodes."""
    ranges = ranges_of(task, visited(task))
    return tuple(ranges.scale.tolist()), tuple(ranges.offset.tolist())


def visited(task: Task, act: Act | None = None, steps: int = STEPS) -> FloatArray:
    """What an agent sees in ``steps`` steps, as floats, shape (steps, features).

    Args:
        act: the agent; None for random actions.
    """
    rng, seen, episode = np.random.default_rng(FIRST_SEED), list[FloatArray](), 0
    env = task.make()
    observation: Any = None
    over = True
    while len(seen) < steps:
        if over:
            observation, _ = env.reset(seed=FIRST_SEED + episode)
            episode += 1
        floats = task.flatten(observation)
        seen.append(floats)
        actions = random_actions(task.actions, 1, rng) if act is None else act(floats[None])
        observation, _, terminated, truncated, _ = env.step(task.actions.decode(actions[0]))
        over = terminated or truncated
    env.close()
    return np.stack(seen)


def ranges_of(task: Task, observations: FloatArray) -> Ranges:
    """The ranges of ``observations``, shape (steps, features), and what suits them and the task's input type."""
    low, high = (np.quantile(observations, share, axis=0) for share in (CUT, 1.0 - CUT))
    middle, half = (low + high) / 2, (high - low) / 2
    # Short numbers: three significant digits of the half range are finer than any input of few bits.
    digits = np.where(half > 0, np.floor(np.log10(np.maximum(half, 1e-300))) - 2, -6)
    rounded = np.array([round(float(value), -int(place)) for value, place in zip(middle, digits, strict=True)])
    offset = np.where(np.abs(middle) > half / 2, rounded, 0.0)
    reach = np.maximum(np.abs(low - offset), np.abs(high - offset))
    kind = task.observation.type
    top = (kind.maximum + 0.499) * kind.lsb  # what still rounds to the largest integer
    exponent = np.floor(np.log2(top / np.maximum(reach, 1e-300)))
    scale = np.where(reach > 0, np.clip(2.0**exponent, SMALLEST_SCALE, LARGEST_SCALE), 1.0)
    return Ranges(observations, low, high, scale, offset)


def with_numbers(task: Task, ranges: Ranges) -> Task:
    """``task`` with the scales and offsets of ``ranges``."""
    observation = replace(
        task.observation, scale=tuple(ranges.scale.tolist()), offset=tuple(ranges.offset.tolist())
    )
    return replace(task, observation=observation)
