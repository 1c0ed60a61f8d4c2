"""The compiled kernel means what the reference trainer means."""

import numpy as np
import pytest

from hls4rl.contract import FloatArray
from hls4rl.policy import PolicySpec
from hls4rl.task import ADVANTAGES, load_task, with_settings
from hls4rl.train.methods import METHODS, PAPER_METHODS
from hls4rl.train.methods import method as create_method
from hls4rl.train.network import PolicyNetwork
from hls4rl.train.parameters import Parameters
from hls4rl.train.state import Streams
from hls4rl.train.vpg import kernel, reference
from hls4rl.train.vpg.advantage import Baseline, advantages
from hls4rl.train.vpg.objective import cost, gradients_of, parameters_of, quantised
from hls4rl.train.vpg.rollout import Trajectory

TOLERANCE = 1e-9
"""Largest difference, relative to the largest entry: float64 sums taken in another order."""


def close(left: FloatArray, right: FloatArray) -> bool:
    return bool(np.abs(left - right).max() <= TOLERANCE * max(1e-12, np.abs(right).max()))


def drawn(spec: PolicySpec, features: int, actions: int) -> Parameters:
    rng = np.random.default_rng(11)
    parameters = Parameters.uniform((features, *spec.hidden, actions), rng)
    for array in parameters:
        array *= 2.5  # far enough out to meet saturation and the sign's dead zone
    return parameters


@pytest.mark.parametrize("hidden", [16, 64])
@pytest.mark.parametrize("name", ["cartpole", "acrobot"])
@pytest.mark.parametrize("method", METHODS)
def test_equal_gradients(name: str, method: str, hidden: int) -> None:
    task, spec = load_task(name), PolicySpec(name, method, hidden, 0)
    features, actions = task.spaces
    contract, rng = create_method(spec).training_contract(task), np.random.default_rng(5)
    low, high = contract.observation.minimum, contract.observation.maximum
    steps = Trajectory(
        rng.integers(low, high + 1, (60, features)) * contract.observation.lsb,
        rng.integers(actions, size=(60, 1)), rng.normal(size=60),
    )
    advantages, latent = rng.normal(size=60), drawn(spec, features, actions)

    network = PolicyNetwork(contract, (features, hidden, actions)).double()
    for tensor, array in zip(parameters_of(network), latent, strict=True):
        tensor[...] = array
    cost(network, steps, advantages, 0.02).backward()

    arrays, formats = kernel.Arrays(*latent), kernel.Formats.of(contract)
    inner, gradient = kernel.zeros(arrays), kernel.zeros(arrays)
    kernel.quantise_all(arrays, formats, inner)
    observations, passes = steps.observations, kernel.Passes.of(80, hidden, actions)
    columns = inner.hidden_weight.T.copy()
    for step in range(len(observations)):
        kernel.forward(formats.activation, columns, inner, observations, passes, step)
    kernel.gradients(formats, inner, observations, steps.actions[:, 0], advantages, passes, 0.02, gradient)
    for left, right in zip(inner, quantised(network), strict=True):
        assert np.array_equal(left, right)
    for left, right in zip(gradient, gradients_of(network), strict=True):
        assert np.abs(right).max() > 0
        assert close(left, right)


@pytest.mark.parametrize("name", ["cartpole", "acrobot"])
@pytest.mark.parametrize("method", METHODS)
def test_equal_training(name: str, method: str) -> None:
    """The same episodes are played, and the same parameters come out, before and after the midpoint."""
    task = with_settings(load_task(name), "training", episodes=12 if name == "cartpole" else 4)
    spec = PolicySpec(name, method, 8, seed=3, clusters=4)
    *_, slow = reference.run(task, spec)
    *_, fast = kernel.run(task, spec)
    assert fast.returns == slow.returns
    assert fast.steps == slow.steps
    for left, right in zip(fast.parameters, slow.parameters, strict=True):
        assert close(left, right)


@pytest.mark.parametrize("kind", ADVANTAGES)
def test_equal_advantages(kind: str) -> None:
    baseline, rng = Baseline(0.1), np.random.default_rng(2)
    buffers = kernel.Buffers(np.zeros((50, 4)), np.zeros(50, dtype=np.int64), *(np.zeros(50) for _ in range(4)))
    settings = kernel.Settings(ADVANTAGES.index(kind), 0.9, 0.0, 0.1, 0)
    for episode in range(30):
        length = int(rng.integers(1, 51))
        rewards = rng.normal(size=length)
        buffers.rewards[:length] = rewards
        kernel.advantages(buffers, length, settings, episode + 1)
        assert close(buffers.advantages[:length], advantages(kind, baseline, rewards, 0.9))


RECIPE = {
    "optimiser": "sgd", "real_numbers": True, "raw_observations": True, "unit_signs": True, "advantage": "trajectory",
    "learning_rate": 0.1, "entropy": 0.0, "final_rate": 1.0, "output_gain": 1.0,
}
"""The paper's own, as ``hls4rl.studies.paper.jobs`` has it."""


@pytest.mark.parametrize("method", PAPER_METHODS)
def test_equal_training_with_the_papers_recipe(method: str) -> None:
    """Plain gradient descent on raw observations in real numbers; a larger step after the midpoint."""
    task = with_settings(load_task("cartpole"), "training", episodes=10, late_rate=8.0, **RECIPE)
    assert task.training.rate((64,), 4) * 8.0 == task.training.rate((64,), 5)
    spec = PolicySpec("cartpole", method, 16, seed=1)
    *_, slow = reference.run(task, spec)
    *_, fast = kernel.run(task, spec)
    assert fast.returns == slow.returns
    for left, right in zip(fast.parameters, slow.parameters, strict=True):
        assert close(left, right)


def test_equal_training_with_the_controls() -> None:
    task = with_settings(
        load_task("cartpole"), "training", episodes=10, advantage="trajectory", unit_signs=True, reset_at_midpoint=True
    )
    spec = PolicySpec("cartpole", "binaryconnect", 64, seed=1)
    *_, slow = reference.run(task, spec)
    *_, fast = kernel.run(task, spec)
    assert fast.returns == slow.returns
    for left, right in zip(fast.parameters, slow.parameters, strict=True):
        assert close(left, right)


def test_centroids_stay_real_and_take_the_sum_of_their_members() -> None:
    task = with_settings(load_task("cartpole"), "training", episodes=2, **{**RECIPE, "learning_rate": 0.5})
    spec = PolicySpec("cartpole", "compression", 16, seed=1, clusters=3)
    *_, fast = kernel.run(task, spec)
    for weight in fast.parameters.weights:
        assert len(np.unique(weight)) == 3
        assert not np.array_equal(weight * 256, np.rint(weight * 256))


def test_streams_are_independent_of_each_other() -> None:
    first, second = Streams.of(1), Streams.of(2)
    assert first.environment != second.environment
    assert first.actions.random() != second.actions.random()
    assert Streams.of(1).actions.random() != Streams.of(1).start.random()
