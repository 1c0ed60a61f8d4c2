"""The compiled trainer: rollout, return, gradient and Adam of whole episodes in one loop, for compiled environments.

It means what :mod:`hls4rl.train.vpg.reference` means: same settings, same random streams, same order of events, in
float64. The tests play the same episodes through both and compare gradients and parameters for every method. They are
equal up to the order of summation, that is to about 1e-12 of the largest entry; fixed-point and binary forward passes
are exact.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hls4rl.contract import ActivationType, Contract, FixedPoint, FloatArray, IntArray, Real, Table, WeightType
from hls4rl.policy import PolicySpec
from hls4rl.task import ADVANTAGES, OPTIMISERS, Task, Training
from hls4rl.train import environments
from hls4rl.train.compiled import compiled, compiled_any_order
from hls4rl.train.methods import Method
from hls4rl.train.methods import method as create_method
from hls4rl.train.parameters import Parameters
from hls4rl.train.state import Streams, TrainingState
from hls4rl.train.vpg.advantage import SMALLEST_VARIANCE

EPISODES_A_CALL = 50
"""Episodes between two looks at progress and at Ctrl-C."""

ROWS = 16
"""Steps whose activations are added up together: as many as stay in the processor's nearest cache."""

REAL, FIXED, SIGN = 0, 1, 2
SGD = OPTIMISERS.index("sgd")
TIME_STEP, TRAJECTORY = ADVANTAGES.index("time-step"), ADVANTAGES.index("trajectory")


class Format(NamedTuple):
    """A tensor's type in terms of numbers: what a compiled function can take."""

    kind: int
    lsb: float
    minimum: float
    maximum: float

    @classmethod
    def of(cls, value: WeightType | ActivationType) -> Format:
        """The format of ``value``; None is real."""
        if value is None or isinstance(value, Real):
            return cls(REAL, 1.0, 0.0, 0.0)
        if isinstance(value, FixedPoint):
            return cls(FIXED, value.lsb, float(value.minimum), float(value.maximum))
        assert not isinstance(value, Table)
        return cls(SIGN, value.lsb, -1.0, 1.0)


class Formats(NamedTuple):
    """A contract in terms of numbers."""

    observation: Format
    hidden_weight: Format
    hidden_bias: Format
    activation: Format
    output_weight: Format
    output_bias: Format

    @classmethod
    def of(cls, contract: Contract) -> Formats:
        """The formats of ``contract``, which has one hidden layer."""
        hidden, output = contract.layers
        return cls(*(Format.of(value) for value in (
            contract.observation, hidden.weight, hidden.bias, hidden.activation, output.weight, output.bias
        )))


class Arrays(NamedTuple):
    """Parameters, gradients or moments, as :class:`hls4rl.train.parameters.Parameters` holds them."""

    hidden_weight: FloatArray
    hidden_bias: FloatArray
    output_weight: FloatArray
    output_bias: FloatArray


class Rules(NamedTuple):
    """What the method asks of a step (``hls4rl.train.methods``), in terms of numbers."""

    hidden_limit: float
    output_limit: float
    hidden_group: IntArray
    """Group of each weight, shape (hidden, features); empty without groups."""
    output_group: IntArray
    hidden_kept: FloatArray
    """1 for a weight that survives, else 0, shape (hidden, features); empty without pruning."""
    output_kept: FloatArray

    @classmethod
    def of(cls, method: Method) -> Rules:
        """The rules of ``method`` as they stand."""
        groups, kept = method.groups, method.kept
        no_group, none_kept = np.empty((0, 0), dtype=np.int64), np.empty((0, 0))
        hidden_limit, output_limit = method.latent_limits
        return cls(
            float(hidden_limit), float(output_limit),
            *((groups[0], groups[1]) if groups else (no_group, no_group)),
            *((kept[0].astype(np.float64), kept[1].astype(np.float64)) if kept else (none_kept, none_kept)),
        )


class Settings(NamedTuple):
    """The numbers of the recipe."""

    advantage: int
    """Index into ``hls4rl.task.ADVANTAGES``."""
    discount: float
    entropy: float
    baseline_rate: float
    optimiser: int
    """Index into ``hls4rl.task.OPTIMISERS``."""

    @classmethod
    def of(cls, training: Training) -> Settings:
        """The numbers of ``training``."""
        return cls(
            ADVANTAGES.index(training.advantage), training.discount, training.entropy, training.baseline_rate,
            OPTIMISERS.index(training.optimiser),
        )


class Buffers(NamedTuple):
    """One episode's data and the baseline's averages; T is the environment's time limit."""

    observations: FloatArray
    """Shape (T, features), in real units."""
    actions: IntArray
    """Shape (T,)."""
    rewards: FloatArray
    """Shape (T,)."""
    advantages: FloatArray
    """Shape (T,)."""
    mean: FloatArray
    """Shape (T,)."""
    variance: FloatArray
    """Shape (T,)."""


class Passes(NamedTuple):
    """What the forward passes of one episode computed, for the backward pass; T is the environment's time limit."""

    units: FloatArray
    """Hidden activations, shape (T, hidden)."""
    gate: FloatArray
    """Derivative of each activation, 0 or 1, shape (T, hidden); the backward pass uses its memory."""
    policy: FloatArray
    """Softmax of the logits, shape (T, actions)."""
    logarithm: FloatArray
    """Its logarithm, shape (T, actions)."""

    @classmethod
    def of(cls, limit: int, hidden: int, actions: int) -> Passes:
        """Memory for ``limit`` steps."""
        return cls(*(np.zeros((limit, size)) for size in (hidden, hidden, actions, actions)))


class World(NamedTuple):
    """The environment and the converter of its observations."""

    environment: int
    scale: FloatArray
    """Shape (features,)."""
    offset: FloatArray
    """Shape (features,)."""
    rng: np.random.Generator
    """The environment's own stream."""


def run(task: Task, spec: PolicySpec, _directory: Path | None = None) -> Iterator[TrainingState]:
    """Train one policy; yields its state after every few episodes, and the last one is the result.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind.
    """
    settings, streams, method = task.training, Streams.of(spec.seed), create_method(spec)
    features, actions = task.spaces
    (hidden,) = spec.hidden
    state = TrainingState(Parameters.uniform((features, hidden, actions), streams.start), [])
    method.initialise(state.parameters, settings.output_gain)
    limit = time_limit(task)
    world, buffers, passes = _world(task, streams), _buffers(limit, features), Passes.of(limit, hidden, actions)
    formats, latent = training_formats(task, method), Arrays(*state.parameters)
    moments = _zeros(latent), _zeros(latent)
    recipe = Settings.of(settings)
    started, episode, updates = time.perf_counter(), 0, 0
    switches = method.switches or settings.reset_at_midpoint
    midpoint = settings.episodes // 2 if switches else settings.episodes
    while episode < settings.episodes:
        if switches and episode == midpoint:
            method.at_midpoint(state.parameters, streams.start)
            moments, updates, midpoint = (_zeros(latent), _zeros(latent)), 0, settings.episodes
        returns, rules = np.zeros(min(EPISODES_A_CALL, midpoint - episode)), Rules.of(method)
        rates = np.array([settings.rate(spec.hidden, episode + index) for index in range(len(returns))])
        state.steps += train_episodes(
            world, formats, recipe, rules, latent, *moments, updates, episode, buffers, passes, streams.actions, rates,
            returns,
        )
        state.returns.extend(returns.tolist())
        state.seconds = time.perf_counter() - started
        episode, updates = episode + len(returns), updates + len(returns)
        yield state


@compiled
def train_episodes(
    world: World, formats: Formats, settings: Settings, rules: Rules, latent: Arrays, first: Arrays, second: Arrays,
    updates: int, episodes: int, buffers: Buffers, passes: Passes, rng: np.random.Generator, rates: FloatArray,
    returns: FloatArray,
) -> int:
    """Play and learn ``len(returns)`` episodes; returns their number of steps.

    Args:
        world: the environment.
        formats: number formats of the forward pass.
        settings: of the recipe.
        rules: of the method.
        latent: parameters, changed in place.
        first: Adam's first moments, changed in place.
        second: Adam's second moments, changed in place.
        updates: made with these moments so far.
        episodes: the baseline has seen so far.
        buffers: working memory, and the baseline's averages.
        passes: working memory.
        rng: draws the actions.
        rates: Adam's step size at each update.
        returns: receives each episode's return.
    """
    network, gradient = zeros(latent), zeros(latent)
    steps = 0
    for index in range(len(returns)):
        quantise_all(latent, formats, network)
        length = play(world, formats, network, buffers, passes, rng)
        steps += length
        returns[index] = buffers.rewards[:length].sum()
        advantages(buffers, length, settings, episodes + index + 1)
        gradients(formats, network, buffers.observations[:length], buffers.actions[:length],
                  buffers.advantages[:length], passes, settings.entropy, gradient)
        after_backward(rules, gradient)
        if settings.optimiser == SGD:
            descend(latent, gradient, rates[index])
        else:
            adam(latent, gradient, first, second, rates[index], updates + index + 1)
        after_step(rules, latent)
    return steps


@compiled
def zeros(arrays: Arrays) -> Arrays:
    """Arrays of the same shapes, all zero."""
    return Arrays(
        np.zeros_like(arrays.hidden_weight), np.zeros_like(arrays.hidden_bias),
        np.zeros_like(arrays.output_weight), np.zeros_like(arrays.output_bias),
    )


@compiled
def quantise_all(latent: Arrays, formats: Formats, network: Arrays) -> None:
    """What the forward pass sees of ``latent``, written to ``network``."""
    quantise(latent.hidden_weight.ravel(), formats.hidden_weight, network.hidden_weight.ravel())
    quantise(latent.hidden_bias, formats.hidden_bias, network.hidden_bias)
    quantise(latent.output_weight.ravel(), formats.output_weight, network.output_weight.ravel())
    quantise(latent.output_bias, formats.output_bias, network.output_bias)


@compiled
def quantise(values: FloatArray, kind: Format, out: FloatArray) -> None:
    """Round ``values`` to the type ``kind``; shape (n,)."""
    for index in range(len(values)):
        out[index] = rounded(values[index], kind)


@compiled
def rounded(value: float, kind: Format) -> float:
    """``value`` in the type ``kind``."""
    if kind.kind == FIXED:
        steps: float = min(max(np.rint(value / kind.lsb), kind.minimum), kind.maximum)
        return steps * kind.lsb
    if kind.kind == SIGN:
        return kind.lsb if value >= 0 else -kind.lsb
    return value


# Below, arrays are handed over whole, with the number of the row: a slice is counted in and out by atomic operations,
# which would take as long as the arithmetic of a small network.


@compiled
def play(
    world: World, formats: Formats, network: Arrays, buffers: Buffers, passes: Passes, rng: np.random.Generator
) -> int:
    """One episode with sampled actions into ``buffers`` and ``passes``; returns its number of steps."""
    state, seen = np.empty(environments.STATE_SIZE), np.empty(len(world.scale))
    observations, rewards, actions = buffers.observations, buffers.rewards, buffers.actions
    columns, policy, scale, seeing = network.hidden_weight.T.copy(), passes.policy, world.scale, formats.observation
    environments.reset(world.environment, world.rng, state)
    for step in range(len(rewards)):
        environments.observe(world.environment, state, seen)
        for feature in range(len(seen)):
            value = (seen[feature] - world.offset[feature]) * scale[feature]
            observations[step, feature] = rounded(value, seeing)
        forward(formats.activation, columns, network, observations, passes, step)
        action = draw(policy, step, rng)
        reward, terminated = environments.step(world.environment, state, action)
        actions[step] = action
        rewards[step] = reward
        if terminated:
            return step + 1
    return len(rewards)


@compiled
def forward(
    kind: Format, columns: FloatArray, network: Arrays, observations: FloatArray, passes: Passes, step: int
) -> None:
    """The policy of one observation, written to row ``step`` of ``passes``.

    Args:
        kind: type of the activation.
        columns: hidden weights transposed, shape (features, hidden): loops over units run side by side.
        network: quantised parameters.
        observations: in real units; row ``step`` is seen.
        passes: receives activations, their derivatives and the policy.
        step: number of the step in its episode.
    """
    sum_inputs(columns, network.hidden_bias, observations, passes.units, step)
    activate(kind, passes.units, passes.gate, step)
    softmax(network.output_weight, network.output_bias, passes, step)


@compiled
def sum_inputs(
    columns: FloatArray, bias: FloatArray, observations: FloatArray, units: FloatArray, step: int
) -> None:
    """Write the hidden sums to row ``step`` of ``units``, four inputs to one pass over it."""
    for unit in range(len(bias)):
        units[step, unit] = bias[unit]
    blocks = len(columns) // 4 * 4
    for row in range(0, blocks, 4):
        first, second = observations[step, row], observations[step, row + 1]
        third, fourth = observations[step, row + 2], observations[step, row + 3]
        for unit in range(len(bias)):
            units[step, unit] = (
                ((units[step, unit] + columns[row, unit] * first) + columns[row + 1, unit] * second)
                + columns[row + 2, unit] * third
            ) + columns[row + 3, unit] * fourth
    for row in range(blocks, len(columns)):
        for unit in range(len(bias)):
            units[step, unit] += columns[row, unit] * observations[step, row]


@compiled
def activate(kind: Format, units: FloatArray, gate: FloatArray, step: int) -> None:
    """Replace the sums in row ``step`` by activations, and write each one's derivative to ``gate``."""
    lsb, maximum = kind.lsb, kind.maximum
    if kind.kind == SIGN:
        for unit in range(units.shape[1]):
            total = units[step, unit]
            gate[step, unit] = 1.0 if abs(total) <= 1.0 else 0.0
            units[step, unit] = 1.0 if total >= 0 else -1.0
    elif kind.kind == FIXED:
        for unit in range(units.shape[1]):
            total = units[step, unit]
            count = np.floor(total / lsb)
            gate[step, unit] = 1.0 if (total > 0) & (count <= maximum) else 0.0
            units[step, unit] = min(max(count, 0.0), maximum) * lsb
    else:
        for unit in range(units.shape[1]):
            total = units[step, unit]
            gate[step, unit] = 1.0 if total > 0 else 0.0
            units[step, unit] = max(total, 0.0)


@compiled
def softmax(weight: FloatArray, bias: FloatArray, passes: Passes, step: int) -> None:
    """Write the policy and its logarithm to row ``step`` of ``passes``."""
    units, policy, logarithm = passes.units, passes.policy, passes.logarithm
    largest, total = -np.inf, 0.0
    for action in range(len(bias)):
        logit = dot(weight, action, units, step) + bias[action]
        logarithm[step, action] = logit
        largest = max(largest, logit)
    for action in range(len(bias)):
        logarithm[step, action] -= largest
        policy[step, action] = math.exp(logarithm[step, action])
        total += policy[step, action]
    shift = math.log(total)
    for action in range(len(bias)):
        logarithm[step, action] -= shift
        policy[step, action] /= total


@compiled_any_order
def dot(left: FloatArray, row: int, right: FloatArray, other: int) -> float:
    """Scalar product of a row of ``left`` and one of ``right``; the only sum whose order is left to the compiler."""
    total = 0.0
    for index in range(left.shape[1]):
        total += left[row, index] * right[other, index]
    return total


@compiled
def draw(policy: FloatArray, step: int, rng: np.random.Generator) -> int:
    """An action from the distribution in row ``step`` of ``policy``, by inversion of one uniform number."""
    point = rng.random()
    for action in range(policy.shape[1] - 1):
        point -= policy[step, action]
        if point < 0:
            return action
    last: int = policy.shape[1] - 1
    return last


@compiled
def advantages(buffers: Buffers, length: int, settings: Settings, episodes: int) -> None:
    """``hls4rl.train.vpg.advantage`` on the first ``length`` rewards; ``episodes`` counts this one in."""
    rate = max(settings.baseline_rate, 1.0 / episodes)
    returns = buffers.advantages
    returns[:] = 0.0
    following = 0.0
    for step in range(length - 1, -1, -1):
        following = buffers.rewards[step] + settings.discount * following
        returns[step] = following
    if settings.advantage == TIME_STEP:
        for step in range(len(returns)):
            returns[step] = surpass(buffers, step, returns[step], rate)
    elif settings.advantage == TRAJECTORY:
        returns[:length] = surpass(buffers, 0, returns[0], rate)
    else:
        returns[:length] = returns[0]


@compiled
def surpass(buffers: Buffers, step: int, value: float, rate: float) -> float:
    """Take a return into the averages of ``step``; then (return - mean) / deviation."""
    surprise = value - buffers.mean[step]
    buffers.mean[step] += rate * surprise
    buffers.variance[step] += rate * ((1.0 - rate) * surprise**2 - buffers.variance[step])
    quotient: float = (value - buffers.mean[step]) / math.sqrt(buffers.variance[step] + SMALLEST_VARIANCE)
    return quotient


@compiled
def gradients(
    formats: Formats, network: Arrays, observations: FloatArray, actions: IntArray, advantage: FloatArray,
    passes: Passes, entropy: float, gradient: Arrays,
) -> None:
    """Gradient of ``hls4rl.train.vpg.objective.cost`` over one episode of T steps, by back-propagation.

    Args:
        formats: number formats of the forward pass; gradients go straight through every rounding but the activation's.
        network: quantised parameters.
        observations: shape (T, features), in real units.
        actions: shape (T,).
        advantage: shape (T,).
        passes: the first T rows are the forward passes of ``observations``; ``gate`` is overwritten.
        entropy: weight of the entropy bonus.
        gradient: receives the result.
    """
    slopes, units, back = logit_slopes(actions, advantage, passes, entropy), passes.units, passes.gate
    columns, ones = np.zeros((observations.shape[1], len(network.hidden_bias))), np.ones((len(actions), 1))
    bias, output = gradient.hidden_bias.reshape((1, -1)), gradient.output_weight
    bias[:], output[:] = 0.0, 0.0
    for start in range(0, len(actions), ROWS):
        end = min(start + ROWS, len(actions))
        for action in range(len(output)):
            add_rows(output, action, units, slopes, action, start, end)
        for step in range(start, end):
            back_propagate(network.output_weight, slopes, back, step)
        add_rows(bias, 0, back, ones, 0, start, end)
        for feature in range(len(columns)):
            add_rows(columns, feature, back, observations, feature, start, end)
    for action in range(len(output)):
        gradient.output_bias[action] = slopes[:, action].sum()
    gradient.hidden_weight[:] = columns.T
    # A sign is scaled after it is taken, so its straight-through gradient carries the scale.
    if formats.hidden_weight.kind == SIGN:
        gradient.hidden_weight[:] = gradient.hidden_weight * formats.hidden_weight.lsb
    if formats.output_weight.kind == SIGN:
        gradient.output_weight[:] = gradient.output_weight * formats.output_weight.lsb


@compiled
def logit_slopes(actions: IntArray, advantage: FloatArray, passes: Passes, entropy: float) -> FloatArray:
    """Derivative of the cost by each logit, shape (T, actions)."""
    policy, logarithm = passes.policy, passes.logarithm
    slopes = np.empty((len(actions), policy.shape[1]))
    for step in range(len(actions)):
        randomness = 0.0
        for action in range(policy.shape[1]):
            randomness -= policy[step, action] * logarithm[step, action]
        for action in range(policy.shape[1]):
            chosen = 1.0 if action == actions[step] else 0.0
            slope = (policy[step, action] - chosen) * advantage[step]
            slope += entropy * policy[step, action] * (logarithm[step, action] + randomness)
            slopes[step, action] = slope / len(actions)
    return slopes


@compiled
def back_propagate(weight: FloatArray, slopes: FloatArray, back: FloatArray, step: int) -> None:
    """Turn row ``step`` of ``back`` from the activations' derivatives into the cost's by the hidden sums."""
    first, second = slopes[step, 0], slopes[step, 1]
    if len(weight) == 2:
        for unit in range(back.shape[1]):
            back[step, unit] *= weight[0, unit] * first + weight[1, unit] * second
        return
    third = slopes[step, 2]
    if len(weight) == 3:
        for unit in range(back.shape[1]):
            back[step, unit] *= weight[0, unit] * first + weight[1, unit] * second + weight[2, unit] * third
        return
    for unit in range(back.shape[1]):
        total = 0.0
        for action in range(len(weight)):
            total += weight[action, unit] * slopes[step, action]
        back[step, unit] *= total


@compiled
def add_rows(
    totals: FloatArray, place: int, rows: FloatArray, weights: FloatArray, column: int, start: int, end: int
) -> None:
    """Add rows ``start`` to ``end``, each times its weight in ``column``, to row ``place`` of ``totals``, in order."""
    blocks = start + (end - start) // 4 * 4
    for row in range(start, blocks, 4):
        first, second = weights[row, column], weights[row + 1, column]
        third, fourth = weights[row + 2, column], weights[row + 3, column]
        for unit in range(totals.shape[1]):
            totals[place, unit] = (
                ((totals[place, unit] + rows[row, unit] * first) + rows[row + 1, unit] * second)
                + rows[row + 2, unit] * third
            ) + rows[row + 3, unit] * fourth
    for row in range(blocks, end):
        for unit in range(totals.shape[1]):
            totals[place, unit] += rows[row, unit] * weights[row, column]


@compiled
def after_backward(rules: Rules, gradient: Arrays) -> None:
    """``Method.after_backward``."""
    if rules.hidden_group.size:
        sum_groups(gradient.hidden_weight.ravel(), rules.hidden_group.ravel())
        sum_groups(gradient.output_weight.ravel(), rules.output_group.ravel())


@compiled
def sum_groups(gradient: FloatArray, group: IntArray) -> None:
    """Replace each entry by the sum over its group; shape (n,)."""
    total = np.zeros(group.max() + 1)
    for index in range(len(gradient)):
        total[group[index]] += gradient[index]
    for index in range(len(gradient)):
        gradient[index] = total[group[index]]


@compiled
def after_step(rules: Rules, latent: Arrays) -> None:
    """``Method.after_step``."""
    if np.isfinite(rules.hidden_limit):
        latent.hidden_weight[:] = np.clip(latent.hidden_weight, -rules.hidden_limit, rules.hidden_limit)
    if np.isfinite(rules.output_limit):
        latent.output_weight[:] = np.clip(latent.output_weight, -rules.output_limit, rules.output_limit)
    if rules.hidden_kept.size:
        latent.hidden_weight[:] = latent.hidden_weight * rules.hidden_kept
        latent.output_weight[:] = latent.output_weight * rules.output_kept


@compiled
def descend(latent: Arrays, gradient: Arrays, rate: float) -> None:
    """θ - η·∂C/∂θ, as torch.optim.SGD has it without momentum."""
    latent.hidden_weight[:] = latent.hidden_weight - rate * gradient.hidden_weight
    latent.hidden_bias[:] = latent.hidden_bias - rate * gradient.hidden_bias
    latent.output_weight[:] = latent.output_weight - rate * gradient.output_weight
    latent.output_bias[:] = latent.output_bias - rate * gradient.output_bias


@compiled
def adam(latent: Arrays, gradient: Arrays, first: Arrays, second: Arrays, rate: float, update: int) -> None:
    """Step number ``update`` (from 1) of Adam with β = 0.9, 0.999 and ε = 1e-8, as torch.optim.Adam has it."""
    adam_one(latent.hidden_weight.ravel(), gradient.hidden_weight.ravel(), first.hidden_weight.ravel(),
             second.hidden_weight.ravel(), rate, update)
    adam_one(latent.hidden_bias, gradient.hidden_bias, first.hidden_bias, second.hidden_bias, rate, update)
    adam_one(latent.output_weight.ravel(), gradient.output_weight.ravel(), first.output_weight.ravel(),
             second.output_weight.ravel(), rate, update)
    adam_one(latent.output_bias, gradient.output_bias, first.output_bias, second.output_bias, rate, update)


@compiled
def adam_one(
    latent: FloatArray, gradient: FloatArray, first: FloatArray, second: FloatArray, rate: float, update: int
) -> None:
    """Adam on one array; shape (n,)."""
    stride = rate / (1.0 - 0.9**update)
    correction = np.sqrt(1.0 - 0.999**update)
    for index in range(len(latent)):
        slope = gradient[index]
        first[index] += (slope - first[index]) * (1.0 - 0.9)
        second[index] = second[index] * 0.999 + (1.0 - 0.999) * slope * slope
        latent[index] -= stride * first[index] / (np.sqrt(second[index]) / correction + 1e-8)


def training_formats(task: Task, method: Method) -> Formats:
    """The formats that ``method`` trains in on ``task``."""
    formats = Formats.of(method.training_contract(task))
    return formats._replace(observation=Format.of(None)) if task.training.raw_observations else formats


def _world(task: Task, streams: Streams) -> World:
    # Gymnasium seeds its stream just so, and the reference's first reset, with the seed, is thrown away.
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(streams.environment)))
    number = environments.COMPILED[task.environment]
    environments.reset(number, rng, np.empty(environments.STATE_SIZE))
    scale, offset = training_converter(task)
    return World(number, scale, offset, rng)


def training_converter(task: Task) -> tuple[FloatArray, FloatArray]:
    """Scale and offset of each feature as training sees it, shape (features,) both."""
    if task.training.raw_observations:
        return np.ones(task.features), np.zeros(task.features)
    return task.converter.scale, task.converter.offset


def time_limit(task: Task) -> int:
    """Steps of an episode at most."""
    env = task.make()
    limit = env.spec.max_episode_steps if env.spec else None
    env.close()
    assert limit is not None
    return limit


def _buffers(limit: int, features: int) -> Buffers:
    return Buffers(
        np.zeros((limit, features)), np.zeros(limit, dtype=np.int64), *(np.zeros(limit) for _ in range(4))
    )


def _zeros(arrays: Arrays) -> Arrays:
    return Arrays(*(np.zeros_like(array) for array in arrays))
