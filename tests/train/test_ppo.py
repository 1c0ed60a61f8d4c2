"""Proximal policy optimisation: its passes against Brevitas and autograd, its resumption, and that it learns."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from hls4rl.contract import Argmax
from hls4rl.errors import ProjectError
from hls4rl.policy import PolicySpec
from hls4rl.task import PPO, Task, load_task, with_settings
from hls4rl.train.calibration import is_calibrated
from hls4rl.train.keeper import CURVE
from hls4rl.train.methods import method
from hls4rl.train.network import load_network
from hls4rl.train.parameters import Parameters
from hls4rl.train.ppo import learner, trainer
from hls4rl.train.ppo.layout import critic_layout, layout_of
from hls4rl.train.ppo.objective import Head
from hls4rl.train.ppo.workers import act
from hls4rl.train.trainers import resolve_trainer
from hls4rl.train.vpg.distribution import likelihood_and_entropy

SHORT = PPO(total_timesteps=1500, num_envs=2, num_steps=40, num_minibatches=4, update_epochs=2)
ROWS = 30


def small(name: str, activation: str = "relu", settings: PPO = SHORT) -> Task:
    task = load_task(name)
    formats = replace(
        task.network, weight_integer_bits=2, bias_integer_bits=3, activation_integer_bits=2, activation=activation
    )
    return replace(task, ppo=settings, network=formats, training=replace(task.training, learning_rate=1e-3))


@pytest.mark.parametrize(("name", "kind", "hidden", "activation"), [
    ("cartpole", "fp", (), "relu"), ("cartpole", "binaryconnect", (5,), "relu"),
    ("acrobot", "binarynet", (6, 4), "relu"), ("acrobot", "ternary", (6,), "relu"),
    ("pendulum", "fp", (4, 3), "hard-tanh"), ("pendulum", "pruning", (4,), "tanh"),
])
def test_the_forward_pass_is_that_of_the_deployed_policy(
    name: str, kind: str, hidden: tuple[int, ...], activation: str
) -> None:
    task, spec, rng = small(name, activation), PolicySpec(name, kind, hidden, 0, bits=5), np.random.default_rng(1)
    contract = method(spec).deployed_contract(task)
    features, outputs = task.spaces
    sizes = (features, *hidden, outputs)
    layout = layout_of(contract, sizes)
    numbers = rng.normal(0, 1, layout.length).astype(np.float32)
    observations = rng.integers(contract.observation.minimum, contract.observation.maximum, (ROWS, features))
    seen = (observations * contract.observation.lsb).astype(np.float32)
    networks = learner.Networks(layout, critic_layout(features, (4,)), Head(np.empty(0, np.int64), outputs),
                                np.array([layout.length] * 3))
    found = learner.values_of(layout, learner.rounded(networks, numbers), seen)
    policy = Parameters.of(layout.split(numbers)).policy(spec, contract)
    with torch.inference_mode():
        expected = load_network(policy).double().eval()(torch.from_numpy(seen.astype(np.float64))).numpy()
    assert np.array_equal(found, expected)


def test_a_process_sees_what_the_converter_gives() -> None:
    """With one identity matrix and no deviation, the action drawn is the observation as the network sees it."""
    task = load_task("pendulum")
    types = method(PolicySpec("pendulum", "fp", (), 0)).training_contract(task)
    identity = replace(types, layers=(replace(types.layers[0], activation=None),), output=Argmax())
    layout = layout_of(identity, (3, 3))
    numbers = np.concatenate([np.eye(3).reshape(-1), np.zeros(3), np.full(3, -1e3)]).astype(np.float32)
    kind, action = task.converter.type, np.empty(3, dtype=np.float32)
    view = (task.converter.offset, task.converter.scale / kind.lsb, kind.minimum, kind.maximum, kind.lsb)
    for observation in np.random.default_rng(0).normal(0, 4, (50, 3)):
        act(layout, Head(np.empty(0, np.int64), 3), numbers, view, observation[None], np.ones((1, 3)), action[None])
        assert np.array_equal(action, task.integers(observation[None])[0] * kind.lsb)


@pytest.mark.parametrize(("name", "output"), [
    ("pendulum", None), ("cartpole", Argmax()), ("acrobot", Argmax((2, 1))),
], ids=["gaussian", "categorical", "groups"])
def test_the_gradient_is_autograds(name: str, output: Argmax | None) -> None:
    rng, task = np.random.default_rng(2), load_task(name)
    features, outputs = task.spaces
    types = method(PolicySpec(name, "fp", (5,), 0)).training_contract(task)
    actor, critic = layout_of(types, (features, 5, outputs)), critic_layout(features, (4,))
    groups = output.sizes(outputs) if output else ()
    deviations = 0 if groups else outputs
    places = np.cumsum([actor.length, deviations, critic.length])
    networks = learner.Networks(actor, critic, Head(np.array(groups, np.int64), outputs), places)
    numbers = rng.normal(0, 0.4, places[2]).astype(np.float32)
    dimensions = len(groups) or outputs
    choices = np.stack([rng.integers(max(size, 2), size=ROWS) for size in groups], axis=1) if groups else None
    actions = rng.normal(0, 1, (ROWS, dimensions)) if choices is None else choices
    batch = learner.Batch(*(
        np.asarray(item, dtype=np.float32) for item in (
            rng.normal(0, 1, (ROWS, features)), rng.normal(0, 1, (ROWS, features)), actions,
            rng.normal(-2, 0.3, ROWS), rng.normal(0, 1, ROWS), rng.normal(0, 1, ROWS),
        )
    ))
    coefficients = learner.Coefficients(0.2, 0.01, 0.5, 1.0, False)
    memory = learner.Memory.of(networks, ROWS)
    learner.gradient(networks, numbers, batch, np.arange(ROWS), coefficients, memory)
    found = memory.gradient
    expected = _autograd(networks, numbers, batch, actions, coefficients, output, task)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def _autograd(
    networks: learner.Networks, numbers: np.ndarray, batch: learner.Batch, actions: np.ndarray,
    coefficients: learner.Coefficients, output: Argmax | None, task: Task,
) -> np.ndarray:
    whole = torch.tensor(numbers.astype(np.float64), requires_grad=True)
    seen, normalised, advantages, returns, old = (
        torch.from_numpy(item.astype(np.float64))
        for item in (batch.seen, batch.normalised, batch.advantages, batch.returns, batch.log_likelihoods)
    )
    start, middle = int(networks.places[0]), int(networks.places[1])
    outputs = _mlp(whole[:start], networks.actor.sizes.tolist(), seen, torch.relu)
    if output is None:
        outputs = _cut(outputs)
        normal = torch.distributions.Normal(outputs, torch.exp(whole[start:middle]))
        likelihood, entropy = normal.log_prob(torch.from_numpy(actions)).sum(1), normal.entropy().sum(1)
    else:
        likelihood, entropy = likelihood_and_entropy(output, outputs, actions.astype(np.int64), 0.0)
    ratio = torch.exp(likelihood - old)
    clipped = torch.clamp(ratio, 1 - coefficients.clip_coef, 1 + coefficients.clip_coef)
    loss = torch.maximum(-advantages * ratio, -advantages * clipped).mean() - coefficients.ent_coef * entropy.mean()
    values = _mlp(whole[middle:], networks.critic.sizes.tolist(), normalised, torch.relu)[:, 0]
    (loss + coefficients.vf_coef * (values - returns).square().mean()).backward()
    assert whole.grad is not None
    return whole.grad.numpy()


def _mlp(numbers: torch.Tensor, sizes: list[int], values: torch.Tensor, curve: object) -> torch.Tensor:
    place = 0
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        weight = numbers[place : place + inputs * outputs].reshape(outputs, inputs)
        bias = numbers[place + inputs * outputs : place + (inputs + 1) * outputs]
        place += (inputs + 1) * outputs
        values = values @ weight.T + bias
        values = curve(values) if layer < len(sizes) - 2 else values  # type: ignore[operator]
    return values


def _cut(values: torch.Tensor) -> torch.Tensor:
    """Cut to ±1, where a gradient that leads back inside comes through."""
    cut = values.clamp(-1, 1)
    beyond = (values - cut).detach()
    kept = cut.detach() + (values - values.detach())
    kept.register_hook(lambda slope: torch.where(beyond * slope >= 0, slope, torch.zeros_like(slope)))
    return kept


def test_a_killed_run_ends_in_the_same_bytes(tmp_path: Path) -> None:
    task = small("pendulum", settings=replace(SHORT, total_timesteps=2600))
    spec = PolicySpec("pendulum", "compression", (4,), 3, clusters=3)
    *_, whole = trainer.run(task, spec, tmp_path / "whole")
    list(islice(trainer.run(task, spec, tmp_path / "killed"), trainer.ROLLOUTS_A_BLOCK + 3))
    *_, other = trainer.run(task, spec, tmp_path / "killed")
    assert other.returns == whole.returns
    assert other.steps == whole.steps >= 2600
    curve = [json.loads(line) for line in (tmp_path / "killed" / CURVE).read_text().splitlines()]
    assert [line["return"] for line in curve] == whole.returns
    for left, right in zip(whole.parameters, other.parameters, strict=True):
        assert np.array_equal(left, right)


def test_it_learns_in_the_formats_that_are_deployed() -> None:
    settings = PPO(total_timesteps=24_000, num_envs=2, num_steps=512, num_minibatches=16)
    task = small("cartpole", settings=settings)
    assert resolve_trainer(task, PolicySpec("cartpole", "fp", (16,), 0)) == "ppo"
    *_, state = trainer.run(task, PolicySpec("cartpole", "fp", (16,), 0, bits=4))
    assert np.mean(state.returns[:20]) < 60
    assert np.mean(state.returns[-20:]) > 120


def test_a_single_layer_has_no_hidden_format_that_data_could_choose() -> None:
    task = load_task("cartpole")
    hidden, single = (PolicySpec("cartpole", "fp", units, 0) for units in ((16,), ()))

    def without(setting: str) -> Task:
        return replace(task, network=replace(task.network, **{setting: None}))

    assert is_calibrated(without("activation_integer_bits"), hidden)
    assert not is_calibrated(without("activation_integer_bits"), single)
    assert is_calibrated(without("weight_integer_bits"), single)


@pytest.mark.parametrize(("changes", "message"), [
    ({"num_envs": 2, "num_steps": 8, "num_minibatches": 17}, r"num_minibatches is 17, and a batch has 16 steps"),
    ({"critic_hidden": ()}, "critic_hidden"), ({"critic_hidden": (64, 0)}, "critic_hidden"),
])
def test_settings_that_leave_nothing_to_learn_from_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        with_settings(small("cartpole"), "ppo", **changes)
