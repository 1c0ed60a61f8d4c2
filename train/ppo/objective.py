"""What a minibatch asks of the outputs: the clipped surrogate, its entropy bonus, and the critic's squared error.

Schulman et al., "Proximal policy optimization algorithms", 2017, equations 7 and 9.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hls4rl.contract import FloatArray, IntArray
from hls4rl.train.compiled import compiled, compiled_any_order
from hls4rl.train.ppo.layout import Numbers

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)


class Head(NamedTuple):
    """How actions are drawn from the outputs."""

    groups: IntArray
    """Logits of each group; empty for continuous actions, of which each output is the mean."""
    outputs: int


@compiled_any_order
def log_likelihood(
    head: Head, outputs: Numbers, log_std: Numbers, action: Numbers, slope: Numbers, spread: Numbers, entropy: Numbers
) -> float:
    """log π(a|s) of one row, shape (outputs,) and (action dimensions,).

    Writes:
        slope: its gradient by the outputs.
        spread: its gradient by ``log_std``, of continuous actions.
        entropy: the gradient of the policy's entropy by the outputs, zero of continuous actions.
    """
    total = 0.0
    if len(head.groups) == 0:
        for place in range(head.outputs):
            deviation = math.exp(log_std[place])
            distance = (action[place] - outputs[place]) / deviation
            total -= 0.5 * distance * distance + log_std[place] + _HALF_LOG_TAU
            slope[place], spread[place], entropy[place] = distance / deviation, distance * distance - 1.0, 0.0
        return total
    start = 0
    for group in range(len(head.groups)):
        size = head.groups[group]
        taken = int(action[group])
        if size == 1:  # a bit, whose logit is held against one that is always 0
            logit = outputs[start]
            yes = 1.0 / (1.0 + math.exp(-min(max(logit, -30.0), 30.0)))
            total += math.log(yes if taken == 1 else 1.0 - yes)
            slope[start], entropy[start] = taken - yes, -yes * (1.0 - yes) * logit
        else:
            total += _softmax(outputs, start, size, taken, slope, entropy)
        start += size
    return total


@compiled_any_order
def _softmax(outputs: Numbers, start: int, size: int, taken: int, slope: Numbers, entropy: Numbers) -> float:
    largest = outputs[start : start + size].max()
    whole = 0.0
    for place in range(start, start + size):
        whole += math.exp(outputs[place] - largest)
    offset: float = largest + math.log(whole)
    mean = 0.0
    for place in range(start, start + size):
        logarithm = outputs[place] - offset
        slope[place] = -math.exp(logarithm)
        mean -= slope[place] * logarithm
    for place in range(start, start + size):
        entropy[place] = slope[place] * (outputs[place] - offset - mean)
    slope[start + taken] += 1.0
    logit: float = outputs[start + taken]
    return logit - offset


def chances(head: Head, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """What decides samples of ``shape``, action dimensions last: normal of continuous actions, uniform of choices."""
    return rng.random(shape) if len(head.groups) else rng.standard_normal(shape)


@compiled
def draw(head: Head, outputs: Numbers, log_std: Numbers, chance: FloatArray, action: Numbers) -> None:
    """Write one sample of the policy to ``action``, shape (action dimensions,).

    Args:
        chance: of each dimension, what :func:`chances` drew.
    """
    if len(head.groups) == 0:
        for place in range(head.outputs):
            action[place] = outputs[place] + math.exp(log_std[place]) * chance[place]
        return
    start = 0
    for group in range(len(head.groups)):
        size = head.groups[group]
        if size == 1:
            odds = 1.0 + math.exp(-min(max(outputs[start], -30.0), 30.0))
            action[group] = 1.0 if chance[group] * odds < 1.0 else 0.0
        else:
            logits = outputs[start : start + size]
            weights = np.exp(logits - logits.max())
            rest, chosen = chance[group] * weights.sum(), 0
            while chosen < size - 1 and rest >= weights[chosen]:
                rest -= weights[chosen]
                chosen += 1
            action[group] = chosen
        start += size


@compiled_any_order
def surrogate(advantage: float, log_ratio: float, clip_coef: float) -> float:
    """Slope of the clipped surrogate's loss by log π(a|s)."""
    ratio = math.exp(min(max(log_ratio, -20.0), 20.0))
    if (advantage > 0 and ratio > 1 + clip_coef) or (advantage < 0 and ratio < 1 - clip_coef):
        return 0.0
    return -advantage * ratio
