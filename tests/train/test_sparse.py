"""The sparse passes mean what the reference means: autograd through the Brevitas module."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hls4rl.policy import PolicySpec
from hls4rl.task import load_task
from hls4rl.train.methods import PAPER_METHODS
from hls4rl.train.methods import method as create_method
from hls4rl.train.methods.base import real_contract
from hls4rl.train.network import PolicyNetwork
from hls4rl.train.parameters import Parameters
from hls4rl.train.pixels.sparse import Frame, Frames, columns_first, forward, gradients, quantise_all
from hls4rl.train.vpg.kernel import Formats
from hls4rl.train.vpg.objective import cost, gradients_of, parameters_of, quantised
from hls4rl.train.vpg.rollout import Trajectory

FEATURES, HIDDEN, ACTIONS, STEPS, ENTROPY = 300, 40, 3, 50, 0.02


@pytest.mark.parametrize("name", PAPER_METHODS)
def test_passes_and_gradients_are_autograd_s(name: str) -> None:
    task, rng = load_task("pong"), np.random.default_rng(3)
    contract = create_method(PolicySpec("pong", name, HIDDEN, 0)).training_contract(task)
    network = PolicyNetwork(contract, (FEATURES, HIDDEN, ACTIONS)).double()
    for tensor, array in zip(
        parameters_of(network), Parameters.uniform((FEATURES, HIDDEN, ACTIONS), rng), strict=True
    ):
        tensor[...] = array
    observations = rng.choice([-1, 0, 1], p=[0.05, 0.9, 0.05], size=(STEPS, FEATURES))
    observations[7] = 0
    actions, advantage = rng.integers(ACTIONS, size=STEPS), rng.normal(size=STEPS)
    seen_by_network = observations * contract.observation.lsb
    steps = Trajectory(seen_by_network, actions[:, None], advantage)
    cost(network, steps, advantage, ENTROPY).backward()  # type: ignore

    latent, formats = columns_first(parameters_of(network), np.float64), Formats.of(contract)
    seen, gradient = columns_first(latent, np.float64), columns_first(latent, np.float64)
    quantise_all(latent, formats, seen)
    frames = Frames.of([Frame.of(observation, np.arange(len(observation))) for observation in observations])
    passes = forward(formats, seen, frames)
    gradients(formats, seen, frames, actions, advantage, passes, ENTROPY, gradient)

    for ours, theirs in zip(seen, quantised(network), strict=True):
        assert np.array_equal(ours, theirs)
    with torch.no_grad():
        logits = network(torch.from_numpy(observations.astype(np.float64)))
    assert np.allclose(passes.logarithm, torch.log_softmax(logits, 1).numpy(), rtol=0, atol=1e-12)
    for ours, theirs in zip(gradient, gradients_of(network), strict=True):
        assert np.abs(theirs).max() > 0
        assert np.allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(theirs).max() * STEPS)


def test_frames_hold_what_is_not_zero() -> None:
    observations = np.array([[0, 1, 0, -1], [0, 0, 0, 0], [1, 0, 0, 0]])
    frames = Frames.of([Frame.of(observation, np.arange(len(observation))) for observation in observations])
    assert frames.starts.tolist() == [0, 2, 2, 3]
    assert frames.places.tolist() == [1, 3, 0]
    assert frames.values.tolist() == [1, -1, 1]
    assert [frame.places.tolist() for frame in frames.split()] == [[1, 3], [], [0]]


def test_real_numbers_stay_as_they_are() -> None:
    latent = columns_first(Parameters.uniform((30, 4, 3), np.random.default_rng(0)))
    seen = columns_first(latent.zeros())
    quantise_all(latent, Formats.of(real_contract(load_task("pong"), PolicySpec("pong", "fp", 4, 0))), seen)
    assert all(np.array_equal(*pair) for pair in zip(latent, seen, strict=True))
