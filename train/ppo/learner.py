"""The learner: GAE, the gradient of a minibatch, and Adam, in compiled functions over flat arrays.

The actor's numbers, the logarithms of its standard deviations and the critic's numbers stand one after the other in one
array, so that one norm and one optimiser serve them all. A whole epoch is one call: a minibatch takes less than what
Python and a second thread would add to it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hls4rl.contract import FloatArray, IntArray
from hls4rl.train.compiled import compiled, compiled_any_order
from hls4rl.train.ppo.layout import Layout, Numbers
from hls4rl.train.ppo.objective import Head, log_likelihood, surrogate
from hls4rl.train.ppo.passes import backward, bring_back, forward, quantise

_BLOCK = 64
_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-5
"""Adam's decays, and what keeps it from dividing by zero, as CleanRL and stable-baselines3 have it."""


class Networks(NamedTuple):
    """Both networks, and how actions are drawn."""

    actor: Layout
    critic: Layout
    head: Head
    places: IntArray
    """Where the logarithms of the deviations, the critic's numbers, and nothing more begin, shape (3,)."""


class Coefficients(NamedTuple):
    """The numbers of the recipe."""

    clip_coef: float
    ent_coef: float
    vf_coef: float
    max_grad_norm: float
    norm_adv: bool


class Batch(NamedTuple):
    """What the rollouts brought, row by row."""

    seen: Numbers
    """What the actor sees, shape (rows, features)."""
    normalised: Numbers
    """What the critic sees, shape (rows, features)."""
    actions: Numbers
    """Shape (rows, action dimensions)."""
    log_likelihoods: Numbers
    """log π(a|s) when they were drawn, shape (rows,)."""
    advantages: Numbers
    """Shape (rows,)."""
    returns: Numbers
    """What the critic learns, shape (rows,)."""


class Memory(NamedTuple):
    """Room for the passes over a minibatch."""

    actor: Numbers
    """Values, slopes and deltas, shape (3, rows * width)."""
    critic: Numbers
    rounded: Numbers
    """All numbers, the actor's as they are in their formats, shape (numbers,)."""
    gradient: Numbers
    """Shape (numbers,)."""
    advantages: Numbers
    """Of the minibatch, shape (rows,)."""

    @classmethod
    def of(cls, networks: Networks, rows: int) -> Memory:
        """For minibatches of so many rows."""
        numbers = int(networks.places[2])
        shapes = ((3, rows * networks.actor.width), (3, rows * networks.critic.width), numbers, numbers, rows)
        return cls(*(np.zeros(shape, np.float32) for shape in shapes))


class Optimiser(NamedTuple):
    """What learning changes: shape (numbers,) each."""

    latent: Numbers
    first: Numbers
    second: Numbers
    """Adam's averages of the gradient and of its square."""


@compiled
def epoch(
    networks: Networks, optimiser: Optimiser, batch: Batch, order: IntArray, size: int, coefficients: Coefficients,
    rate: float, updates: int, memory: Memory,
) -> int:
    """Learn from the rows ``order`` of ``batch`` in minibatches of ``size``; answers the updates so far."""
    for start in range(0, len(order) - size + 1, size):
        gradient(networks, optimiser.latent, batch, order[start : start + size], coefficients, memory)
        updates += 1
        adam(networks, optimiser, memory.gradient, updates, rate, coefficients.max_grad_norm)
    return updates


@compiled
def gradient(
    networks: Networks, latent: Numbers, batch: Batch, rows: IntArray, coefficients: Coefficients, memory: Memory
) -> None:
    """Write to ``memory.gradient`` the loss's gradient by all numbers, over ``rows`` of ``batch``."""
    memory.rounded[:] = latent
    quantise(networks.actor, latent, memory.rounded)
    _take_advantages(batch.advantages, rows, coefficients.norm_adv, memory.advantages)
    _actor(networks, batch, rows, coefficients, memory)
    _critic(networks, batch, rows, coefficients, memory)


@compiled
def _take_advantages(advantages: Numbers, rows: IntArray, normalised: bool, found: Numbers) -> None:
    """Of ``rows``; with mean 0 and deviation 1 where they are ``normalised``."""
    for place in range(len(rows)):
        found[place] = advantages[rows[place]]
    if normalised:
        part = found[: len(rows)].astype(np.float64)
        mean, deviation = part.mean(), part.std() + 1e-8
        for place in range(len(rows)):
            found[place] = (part[place] - mean) / deviation


@compiled_any_order
def _actor(networks: Networks, batch: Batch, rows: IntArray, coefficients: Coefficients, memory: Memory) -> None:
    layout, head, count = networks.actor, networks.head, len(rows)
    start, stop = networks.places[0], networks.places[1]
    values, slopes, deltas = memory.actor[0], memory.actor[1], memory.actor[2]
    features = layout.sizes[0]
    for row in range(count):
        values[row * features : (row + 1) * features] = batch.seen[rows[row]]
    forward(layout, memory.rounded, values, slopes, count)
    slope, spread, entropy = np.zeros((3, head.outputs), dtype=np.float32)
    log_std, widths = memory.rounded[start:stop], memory.gradient[start:stop]
    widths[:] = 0
    place = layout.units[-1] * count
    for row in range(count):
        index = rows[row]
        likelihood = log_likelihood(
            head, values[place : place + head.outputs], log_std, batch.actions[index], slope, spread, entropy
        )
        weight = surrogate(
            memory.advantages[row], likelihood - batch.log_likelihoods[index], coefficients.clip_coef
        )
        for output in range(head.outputs):
            deltas[place + output] = (weight * slope[output] - coefficients.ent_coef * entropy[output]) / count
        for output in range(len(log_std)):
            widths[output] += (weight * spread[output] - coefficients.ent_coef) / count
        place += head.outputs
    backward(layout, memory.rounded, values, slopes, deltas, memory.gradient[:start], count)


@compiled_any_order
def _critic(networks: Networks, batch: Batch, rows: IntArray, coefficients: Coefficients, memory: Memory) -> None:
    layout, count, start = networks.critic, len(rows), networks.places[1]
    values, slopes, deltas = memory.critic[0], memory.critic[1], memory.critic[2]
    features = layout.sizes[0]
    for row in range(count):
        values[row * features : (row + 1) * features] = batch.normalised[rows[row]]
    forward(layout, memory.rounded[start:], values, slopes, count)
    place = layout.units[-1] * count
    for row in range(count):
        error = values[place + row] - batch.returns[rows[row]]
        deltas[place + row] = 2 * coefficients.vf_coef * error / count
    backward(layout, memory.rounded[start:], values, slopes, deltas, memory.gradient[start:], count)


@compiled
def rounded(networks: Networks, latent: Numbers) -> Numbers:
    """``latent`` with the actor's numbers as they are in their formats."""
    found = latent.copy()
    quantise(networks.actor, latent, found)
    return found


@compiled_any_order
def adam(
    networks: Networks, optimiser: Optimiser, slopes: Numbers, update: int, rate: float, max_grad_norm: float
) -> None:
    """One step of Adam along the gradient ``slopes``, which is shortened first; ``update`` counts from 1.

    Latent numbers beyond what their formats reach are brought back.
    """
    latent, first, second = optimiser.latent, optimiser.first, optimiser.second
    squares = 0.0
    for place in range(len(slopes)):
        squares += slopes[place] * slopes[place]
    # Single precision from here on: twice as many numbers in one instruction.
    shorter = np.float32(min(1.0, max_grad_norm / (math.sqrt(squares) + 1e-6)))
    step, spread = np.float32(rate / (1 - _FIRST**update)), np.float32(1 / math.sqrt(1 - _SECOND**update))
    old, new, older, newer = np.float32(_FIRST), np.float32(1 - _FIRST), np.float32(_SECOND), np.float32(1 - _SECOND)
    epsilon = np.float32(_EPSILON)
    for place in range(len(slopes)):
        value = slopes[place] * shorter
        first[place] = old * first[place] + new * value
        second[place] = older * second[place] + newer * value * value
        latent[place] -= step * first[place] / (np.sqrt(second[place]) * spread + epsilon)
    bring_back(networks.actor, latent)


@compiled
def values_of(layout: Layout, numbers: Numbers, observations: Numbers) -> Numbers:
    """Outputs of every row, shape (rows, outputs)."""
    rows, features = observations.shape
    width, outputs = layout.sizes.sum(), layout.sizes[-1]
    block = min(rows, _BLOCK)  # few at a time: memory that stays in the cache, and is not asked of the system anew
    memory, slopes = np.empty(block * width, np.float32), np.empty(block * width, np.float32)
    found = np.empty((rows, outputs), dtype=np.float32)
    for start in range(0, rows, block):
        count = min(block, rows - start)
        memory[: count * features] = observations[start : start + count].reshape(-1)
        forward(layout, numbers, memory, slopes, count)
        last = layout.units[-1] * count
        found[start : start + count] = memory[last : last + outputs * count].reshape((count, outputs))
    return found


@compiled
def likelihoods(head: Head, outputs: Numbers, log_std: Numbers, actions: Numbers) -> Numbers:
    """log π(a|s) of every row, shape (rows,)."""
    slope, spread, entropy = np.zeros((3, head.outputs), dtype=np.float32)
    found = np.empty(len(outputs), dtype=np.float32)
    for row in range(len(outputs)):
        found[row] = log_likelihood(head, outputs[row], log_std, actions[row], slope, spread, entropy)
    return found


@compiled
def advantages(
    rewards: FloatArray, values: FloatArray, last: FloatArray, ends: IntArray, gamma: float, gae_lambda: float
) -> FloatArray:
    """Generalised advantage estimates (Schulman et al., 2016), shape (steps, environments).

    Args:
        rewards: shape (steps, environments); of a truncated step with the discounted value of where it led.
        values: of the observations acted upon, the same shape.
        last: of those after the last step, shape (environments,).
        ends: 1 where an episode ended with the step, the same shape as ``rewards``.
    """
    found = np.empty_like(rewards)
    for env in range(rewards.shape[1]):
        after, estimate = last[env], 0.0
        for step in range(len(rewards) - 1, -1, -1):
            going = 1.0 - ends[step, env]
            estimate = rewards[step, env] + gamma * going * after - values[step, env] + \
                gamma * gae_lambda * going * estimate
            found[step, env], after = estimate, values[step, env]
    return found


@compiled
def discounted(rewards: FloatArray, ends: IntArray, sums: FloatArray, gamma: float) -> FloatArray:
    """Discounted sums of the rewards so far, shape (steps, environments); ``sums`` is brought to the last step's.

    Their deviation is what rewards are divided by (Gymnasium's NormalizeReward).
    """
    found = np.empty_like(rewards)
    for step in range(len(rewards)):
        for env in range(rewards.shape[1]):
            sums[env] = sums[env] * gamma + rewards[step, env]
            found[step, env] = sums[env]
            if ends[step, env]:
                sums[env] = 0.0
    return found
