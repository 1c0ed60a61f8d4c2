"""Greedy episodes on the compiled environments: what :func:`hls4rl.gym_loop.play` answers, a hundred times as fast.

For choosing among many policies. What is reported of a policy comes from Gymnasium itself.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hls4rl.contract import FixedPoint, FloatArray, IntArray, Sign
from hls4rl.policy import Policy
from hls4rl.task import Task
from hls4rl.train import environments
from hls4rl.train.compiled import compiled


class Network(NamedTuple):
    """A policy in integers, and how to see the environment; all arrays as compiled functions take them."""

    scale: FloatArray
    """Of each feature, the observation type's unit divided out; shape (features,)."""
    offset: FloatArray
    """Of each feature; shape (features,)."""
    low: int
    high: int
    """Range of an input."""
    hidden_weight: IntArray
    """Shape (features, hidden)."""
    hidden_bias: IntArray
    shift: int
    """Right shift of a sum to the unit of the activation."""
    top: int
    """Largest activation; 0 for signs."""
    output_weight: IntArray
    """Shape (hidden, actions)."""
    output_bias: IntArray


def greedy_returns(task: Task, policy: Policy, episodes: int, first_seed: int) -> FloatArray:
    """Returns of ``episodes`` greedy episodes; episode k starts as ``env.reset(seed=first_seed + k)`` does.

    Args:
        task: one whose environment is compiled (``hls4rl.train.training.COMPILED``), with its usual options.
        policy: with an integer contract.
        episodes: how many.
        first_seed: seed of the first one.

    Returns:
        Shape (episodes,).
    """
    env = task.make()
    limit = env.spec.max_episode_steps if env.spec else None
    env.close()
    assert limit is not None
    network, number = _network(task, policy), environments.COMPILED[task.environment]
    returns = np.empty(episodes)
    for episode in range(episodes):
        # Gymnasium seeds its stream just so.
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(first_seed + episode)))
        returns[episode] = play(number, network, rng, limit)
    return returns


def _network(task: Task, policy: Policy) -> Network:
    converter, integers = task.converter, policy.network
    hidden, output = integers.layers
    kind = hidden.activation
    assert isinstance(kind, FixedPoint | Sign)
    # Biases have the unit of the products, so that the sums are these integers alone.
    shift = round(math.log2(kind.lsb / hidden.sum_lsb(integers.input.lsb)))
    return Network(
        converter.scale / integers.input.lsb, converter.offset, integers.input.minimum, integers.input.maximum,
        hidden.weight.T.copy(), hidden.bias, shift, kind.maximum if isinstance(kind, FixedPoint) else 0,
        output.weight.T.copy(), output.bias,
    )


@compiled
def play(environment: int, network: Network, rng: np.random.Generator, limit: int) -> float:
    """One episode's return."""
    features, hidden = network.hidden_weight.shape
    state, seen = np.empty(environments.STATE_SIZE), np.empty(features)
    inputs, units = np.empty(features, dtype=np.int64), np.empty(hidden, dtype=np.int64)
    environments.reset(environment, rng, state)
    total = 0.0
    for _ in range(limit):
        environments.observe(environment, state, seen)
        for feature in range(features):
            value = np.rint((seen[feature] - network.offset[feature]) * network.scale[feature])
            inputs[feature] = int(min(max(value, float(network.low)), float(network.high)))
        reward, terminated = environments.step(environment, state, decide(network, inputs, units))
        total += reward
        if terminated:
            break
    return total


@compiled
def decide(network: Network, inputs: IntArray, units: IntArray) -> int:
    """The action on ``inputs``, shape (features,); ``units``, shape (hidden,), is working memory."""
    for unit in range(len(units)):
        value = network.hidden_bias[unit]
        for feature in range(len(inputs)):
            value += inputs[feature] * network.hidden_weight[feature, unit]
        if network.top == 0:
            units[unit] = 1 if value >= 0 else -1
        else:
            value = value >> network.shift if network.shift >= 0 else value << -network.shift
            units[unit] = min(max(value, 0), network.top)
    best, chosen = 0, -1
    for action in range(len(network.output_bias)):
        logit = network.output_bias[action]
        for unit in range(len(units)):
            logit += units[unit] * network.output_weight[unit, action]
        if chosen < 0 or logit > best:
            best, chosen = logit, action
    return chosen
