"""Greedy episodes on the compiled environments: what :func:`hls4rl.gym_loop.play` answers, a hundred times as fast.

For choosing among many policies. What is reported of a policy comes from Gymnasium itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hls4rl.contract import FixedPoint, FloatArray, IntArray, Sign
from hls4rl.policy import Policy, PolicySpec
from hls4rl.task import Task
from hls4rl.train import environments
from hls4rl.train.compiled import compiled
from hls4rl.train.methods import method
from hls4rl.train.parameters import Parameters
from hls4rl.train.vpg.kernel import (
    Arrays,
    Formats,
    Passes,
    forward,
    quantise_all,
    rounded,
    time_limit,
    training_converter,
    training_formats,
    zeros,
)

NOISE_STREAM = 1
"""Sets the stream of the sensors' noise apart from the environment's."""


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


@dataclass(frozen=True)
class Conditions:
    """Under which a policy is played."""

    limit: int | None = None
    """Steps of an episode at most; None: the environment's own."""
    noise: float = 0.0
    """Deviation of Gaussian noise on each feature, as a share of the largest value that the converter takes."""


USUAL = Conditions()


def greedy_returns(
    task: Task, policy: Policy, episodes: int, first_seed: int, conditions: Conditions = USUAL
) -> FloatArray:
    """Returns of ``episodes`` greedy episodes; episode k starts as ``env.reset(seed=first_seed + k)`` does.

    Args:
        task: one whose environment is compiled (``hls4rl.train.trainers.kernel.COMPILED``), with its usual options.
        policy: with an integer contract.
        episodes: how many.
        first_seed: seed of the first one.
        conditions: time limit and noise.

    Returns:
        Shape (episodes,).
    """
    network = _network(task, policy)
    return _returns(task, conditions, episodes, first_seed, lambda *world: play(network, *world))


def greedy_returns_in_training(
    task: Task, spec: PolicySpec, parameters: Parameters, episodes: int, first_seed: int, conditions: Conditions = USUAL
) -> FloatArray:
    """As :func:`greedy_returns`, of ``parameters`` in the formats that they were trained in.

    The sum of a real network's logits may be taken in another order than elsewhere.
    """
    formats, latent = training_formats(task, method(spec)), Arrays(*parameters)
    network = zeros(latent)
    quantise_all(latent, formats, network)
    features, actions = network.hidden_weight.shape[1], len(network.output_bias)
    scale, offset = training_converter(task)
    passes, observations = Passes.of(1, len(network.hidden_bias), actions), np.empty((1, features))
    columns = network.hidden_weight.T.copy()
    real = RealNetwork(scale, offset, formats, columns, network, observations, passes)
    return _returns(task, conditions, episodes, first_seed, lambda *world: play_real(real, *world))


def _returns(
    task: Task, conditions: Conditions, episodes: int, first_seed: int, player: Callable[..., float]
) -> FloatArray:
    number, limit = environments.COMPILED[task.environment], conditions.limit or time_limit(task)
    reach = 2.0 ** (task.observation.integer_bits - 1) / task.converter.scale
    returns = np.empty(episodes)
    for episode in range(episodes):
        # Gymnasium seeds its stream just so.
        rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(first_seed + episode)))
        hiss = np.random.default_rng((first_seed + episode, NOISE_STREAM))
        returns[episode] = player(number, rng, limit, conditions.noise * reach, hiss)
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


class RealNetwork(NamedTuple):
    """A policy in the formats of training, with working memory for one step."""

    scale: FloatArray
    """Of each feature; shape (features,)."""
    offset: FloatArray
    """Of each feature; shape (features,)."""
    formats: Formats
    columns: FloatArray
    """Hidden weights transposed, shape (features, hidden)."""
    network: Arrays
    """Quantised parameters."""
    observations: FloatArray
    """Shape (1, features)."""
    passes: Passes


@compiled
def play(
    network: Network, environment: int, rng: np.random.Generator, limit: int, noise: FloatArray,
    hiss: np.random.Generator,
) -> float:
    """One episode's return; ``noise``, shape (features,), is the deviation on each feature, drawn from ``hiss``."""
    features, hidden = network.hidden_weight.shape
    state, seen = np.empty(environments.STATE_SIZE), np.empty(features)
    inputs, units = np.empty(features, dtype=np.int64), np.empty(hidden, dtype=np.int64)
    environments.reset(environment, rng, state)
    total = 0.0
    for _ in range(limit):
        look(environment, state, noise, hiss, seen)
        for feature in range(features):
            value = np.rint((seen[feature] - network.offset[feature]) * network.scale[feature])
            inputs[feature] = int(min(max(value, float(network.low)), float(network.high)))
        reward, terminated = environments.step(environment, state, decide(network, inputs, units))
        total += reward
        if terminated:
            break
    return total


@compiled
def play_real(
    real: RealNetwork, environment: int, rng: np.random.Generator, limit: int, noise: FloatArray,
    hiss: np.random.Generator,
) -> float:
    """As :func:`play`, of a network in the formats of training."""
    state, seen = np.empty(environments.STATE_SIZE), np.empty(len(real.scale))
    environments.reset(environment, rng, state)
    total = 0.0
    for _ in range(limit):
        look(environment, state, noise, hiss, seen)
        for feature in range(len(seen)):
            value = (seen[feature] - real.offset[feature]) * real.scale[feature]
            real.observations[0, feature] = rounded(value, real.formats.observation)
        forward(real.formats.activation, real.columns, real.network, real.observations, real.passes, 0)
        action = int(np.argmax(real.passes.logarithm[0]))
        reward, terminated = environments.step(environment, state, action)
        total += reward
        if terminated:
            break
    return total


@compiled
def look(
    environment: int, state: FloatArray, noise: FloatArray, hiss: np.random.Generator, seen: FloatArray
) -> None:
    """Write what the sensors say of ``state`` to ``seen``, shape (features,)."""
    environments.observe(environment, state, seen)
    for feature in range(len(seen)):
        if noise[feature] > 0:
            seen[feature] += noise[feature] * hiss.standard_normal()


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
