"""The learner: GAE, the gradient of a minibatch, and Adam, in compiled functions over flat arrays.

The actor's numbers, the logarithms of its standard deviations and the critic's numbers stand one after the other in one
array, so that one norm and one optimiser serve them all. A minibatch is halved, and the halves run side by side; the
sums are the same on one processor.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np

from hls4rl.contract import FloatArray, IntArray
from hls4rl.train.compiled import compiled, compiled_any_order
from hls4rl.train.ppo.layout import Layout, Numbers
from hls4rl.train.ppo.objective import Head, log_likelihood, surrogate
from hls4rl.train.ppo.passes import backward, forward, quantise

HALVES = 2
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
    """Room for passes over halves of minibatches, shape (2, …) each."""

    actor: Numbers
    """Values, slopes and deltas, shape (2, 3, rows * width)."""
    critic: Numbers
    gradients: Numbers
    """Shape (2, numbers)."""

    @classmethod
    def of(cls, networks: Networks, rows: int) -> Memory:
        """For halves of so many rows."""
        shapes = [(HALVES, 3, rows * layout.width) for layout in (networks.actor, networks.critic)]
        return cls(*(np.zeros(shape, np.float32) for shape in (*shapes, (HALVES, int(networks.places[2])))))


def gradient(
    helper: Executor, networks: Networks, numbers: Numbers, batch: Batch, chosen: IntArray,
    coefficients: Coefficients, memory: Memory,
) -> Numbers:
    """The loss's gradient by all ``numbers``, over the rows ``chosen`` of ``batch``.

    Args:
        helper: computes one half while the caller computes the other.
        numbers: the actor's as they are rounded, the logarithms of the deviations, the critic's.
    """
    half = (len(chosen) + 1) // HALVES
    arguments = (len(chosen), networks, numbers, batch, coefficients, memory)
    other = helper.submit(_half, 1, chosen[half:], *arguments)
    _half(0, chosen[:half], *arguments)
    other.result()
    found: Numbers = memory.gradients[0] + memory.gradients[1]
    return found


@compiled_any_order
def _half(
    part: int, rows: IntArray, whole: int, networks: Networks, numbers: Numbers, batch: Batch,
    coefficients: Coefficients, memory: Memory,
) -> None:
    memory.gradients[part] = 0
    if len(rows) > 0:
        _actor(networks, numbers, batch, rows, whole, coefficients, memory.actor[part], memory.gradients[part])
        _critic(networks, numbers, batch, rows, whole, coefficients, memory.critic[part], memory.gradients[part])


@compiled_any_order
def _actor(
    networks: Networks, numbers: Numbers, batch: Batch, rows: IntArray, whole: int, coefficients: Coefficients,
    memory: Numbers, gradients: Numbers,
) -> None:
    layout, head, count = networks.actor, networks.head, len(rows)
    start, stop = networks.places[0], networks.places[1]
    values, slopes, deltas = memory[0], memory[1], memory[2]
    features = layout.sizes[0]
    for row in range(count):
        values[row * features : (row + 1) * features] = batch.seen[rows[row]]
    forward(layout, numbers, values, slopes, count)
    slope, spread, entropy = np.zeros((3, head.outputs), dtype=np.float32)
    log_std, widths = numbers[start:stop], gradients[start:stop]
    place = layout.units[-1] * count
    for row in range(count):
        index = rows[row]
        likelihood = log_likelihood(
            head, values[place : place + head.outputs], log_std, batch.actions[index], slope, spread, entropy
        )
        weight = surrogate(
            batch.advantages[index], likelihood - batch.log_likelihoods[index], coefficients.clip_coef
        )
        for output in range(head.outputs):
            deltas[place + output] = (weight * slope[output] - coefficients.ent_coef * entropy[output]) / whole
        for output in range(len(log_std)):
            widths[output] += (weight * spread[output] - coefficients.ent_coef) / whole
        place += head.outputs
    backward(layout, numbers, values, slopes, deltas, gradients[:start], count)


@compiled_any_order
def _critic(
    networks: Networks, numbers: Numbers, batch: Batch, rows: IntArray, whole: int, coefficients: Coefficients,
    memory: Numbers, gradients: Numbers,
) -> None:
    layout, count, start = networks.critic, len(rows), networks.places[1]
    values, slopes, deltas = memory[0], memory[1], memory[2]
    features = layout.sizes[0]
    for row in range(count):
        values[row * features : (row + 1) * features] = batch.normalised[rows[row]]
    forward(layout, numbers[start:], values, slopes, count)
    place = layout.units[-1] * count
    for row in range(count):
        error = values[place + row] - batch.returns[rows[row]]
        deltas[place + row] = 2 * coefficients.vf_coef * error / whole
    backward(layout, numbers[start:], values, slopes, deltas, gradients[start:], count)


@compiled
def rounded(networks: Networks, latent: Numbers) -> Numbers:
    """``latent`` with the actor's numbers as they are in their formats."""
    found = latent.copy()
    quantise(networks.actor, latent, found)
    return found


@compiled
def adam(
    latent: Numbers, gradient: Numbers, first: Numbers, second: Numbers, update: int, rate: float, max_grad_norm: float
) -> None:
    """One step of Adam along the ``gradient``, which is shortened first; ``update`` counts from 1."""
    norm = 0.0
    for place in range(len(gradient)):
        norm += gradient[place] * gradient[place]
    shorter = min(1.0, max_grad_norm / (math.sqrt(norm) + 1e-6))
    unbiased, spread = 1 - _FIRST**update, 1 - _SECOND**update
    for place in range(len(gradient)):
        value = gradient[place] * shorter
        first[place] = _FIRST * first[place] + (1 - _FIRST) * value
        second[place] = _SECOND * second[place] + (1 - _SECOND) * value * value
        latent[place] -= rate * (first[place] / unbiased) / (math.sqrt(second[place] / spread) + _EPSILON)


@compiled
def values_of(layout: Layout, numbers: Numbers, observations: Numbers) -> Numbers:
    """Outputs of every row, shape (rows, outputs)."""
    rows, features = observations.shape
    memory, slopes = np.empty(rows * layout.sizes.sum(), np.float32), np.empty(rows * layout.sizes.sum(), np.float32)
    memory[: rows * features] = observations.reshape(-1)
    forward(layout, numbers, memory, slopes, rows)
    found = memory[layout.units[-1] * rows : (layout.units[-1] + layout.sizes[-1]) * rows].copy()
    return found.reshape((rows, layout.sizes[-1]))


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
