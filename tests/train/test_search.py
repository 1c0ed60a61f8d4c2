"""Random search: its player against the integer network and Gymnasium's loop, its resumption, and that it learns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from hls4rl.contract import FixedPoint, FloatArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.integer_backend import IntegerBackend
from hls4rl.options import PolicyOptions
from hls4rl.policy import PolicySpec
from hls4rl.run import Run
from hls4rl.task import PPO, Network, Search, Task, load_task
from hls4rl.train.keeper import CHECKPOINT, CURVE
from hls4rl.train.methods import method
from hls4rl.train.ppo import trainer as ppo
from hls4rl.train.search import trainer
from hls4rl.train.search.algorithms import Generation, Memory, ars, es
from hls4rl.train.search.latents import Latents, digits
from hls4rl.train.search.player import Player, answer
from hls4rl.train.selection import train_seed
from hls4rl.train.trainers import resolve_trainer
from hls4rl.train.training import train_policy

SHORT = Search(directions=4, top=2, validate_every=3, trial_episodes=2, validation_episodes=3)


def small(name: str, episodes: int = 40, **changes: object) -> Task:
    task = load_task(name)
    training = replace(task.training, episodes=episodes, validation_episodes=3, evaluation_episodes=3)
    formats = replace(
        task.network, weight_integer_bits=2, bias_integer_bits=3, activation_integer_bits=2, **changes,
    )
    return replace(task, search=SHORT, training=training, network=formats, pixels=None)


@pytest.fixture(params=[
    ("cartpole", "fp", (), "relu"), ("cartpole", "fp", (5,), "relu"), ("acrobot", "ternary", (6,), "relu"),
    ("pendulum", "fp", (), "relu"), ("pendulum", "pruning", (4, 3), "hard-tanh"), ("pendulum", "fp", (4,), "tanh"),
], ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}-{case[3]}")
def case(request: pytest.FixtureRequest) -> tuple[Task, PolicySpec]:
    name, kind, hidden, activation = request.param
    return small(name, activation=activation), PolicySpec(name, kind, hidden, 0, bits=4)


@pytest.fixture
def drawn(case: tuple[Task, PolicySpec]) -> Iterator[tuple[Task, PolicySpec, Latents, Player, FloatArray]]:
    task, spec = case
    contract = method(spec).deployed_contract(task)
    features, outputs = task.spaces
    latents = Latents(task, contract, (features, *spec.hidden, outputs))
    player = Player(task, contract, spec.hidden)
    yield task, spec, latents, player, np.random.default_rng(1).normal(0, 4, latents.length)
    player.close()


def test_the_player_computes_the_integers_of_the_deployed_network(drawn) -> None:  # type: ignore[no-untyped-def]
    task, spec, latents, player, values = drawn
    integers = latents.integers(values)
    policy = latents.parameters(integers).policy(spec, latents.contract)
    seen = np.random.default_rng(2).normal(0, 5, (2000, task.features))
    expected = policy.network.infer(task.integers(seen))
    assert len(np.unique(expected)) > 2
    assert np.array_equal([answer(player.program, integers, row) for row in seen], expected)


def test_the_player_plays_what_gymnasiums_loop_plays(drawn) -> None:  # type: ignore[no-untyped-def]
    task, spec, latents, player, values = drawn
    integers = latents.integers(values)
    backend = IntegerBackend(latents.parameters(integers).policy(spec, latents.contract).network)
    expected = play(task, backend, 3, 7)
    found = [player.play(integers, 7 + episode) for episode in range(3)]
    assert [item[0] for item in found] == expected.returns.tolist()
    assert [item[1] for item in found] == expected.lengths.tolist()


def test_latents_and_parameters_are_inverse(drawn) -> None:  # type: ignore[no-untyped-def]
    _, _, latents, _, values = drawn
    assert np.allclose(latents.flat(latents.real(values)), values)
    integers = latents.integers(values)
    again = latents.integers(latents.flat(latents.parameters(integers)))
    assert np.array_equal(again, integers)


@pytest.mark.parametrize(("number", "count"), [(0, 0), (1, 1), (3, 2), (7, 2), (-7, 2), (5, 2), (11, 3), (-8, 1)])
def test_digits_are_those_of_the_canonical_signed_digit_form(number: int, count: int) -> None:
    # 3 = 4 - 1, 7 = 8 - 1, 5 = 4 + 1, 11 = 8 + 4 - 1
    assert digits(np.array([number])) == count


def test_ars_moves_along_the_best_directions() -> None:
    directions = np.eye(3)
    fitness = np.array([[1.0, 0.0], [5.0, 1.0], [-9.0, -8.0]])
    # The best by the better of its two returns is the second: its gain is 4, and its deviation 2.
    found = ars(Search(top=1), Generation(directions, fitness), 0.5, Memory.of(3))
    assert np.allclose(found, [0.0, 0.5 * 4 / 2, 0.0], atol=1e-5)


def test_es_follows_ranks_only() -> None:
    directions = np.eye(2)
    near, far = np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [3.0, 4000.0]])
    first, second = (es(Search(), Generation(directions, item), 0.1, Memory.of(2)) for item in (near, far))
    assert np.array_equal(first, second)
    assert first[0] > 0 > first[1]  # ahead was better along the first, back along the second


def test_a_killed_run_ends_in_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    task, spec = small("cartpole", episodes=64), PolicySpec("cartpole", "pruning", (3,), 1, bits=4)
    whole = list(trainer.run(task, spec, tmp_path / "whole"))[-1]
    list(islice(trainer.run(task, spec, tmp_path / "cut"), 3))
    again = list(trainer.run(task, spec, tmp_path / "cut"))
    assert len(again) < len(list(trainer.run(task, spec, None)))
    assert again[-1].returns == whole.returns
    assert again[-1].ends == whole.ends
    curve = [json.loads(line) for line in (tmp_path / "cut" / CURVE).read_text().splitlines()]
    assert [(line["return"], line["steps"]) for line in curve] == list(zip(whole.returns, whole.ends, strict=True))
    for ours, theirs in zip(again[-1].parameters, whole.parameters, strict=True):
        assert np.array_equal(ours, theirs)
    assert sum(int((weight == 0).sum()) for weight in whole.parameters.weights) >= 9  # half of 4x3 and 3x2


def test_a_warm_start_goes_on_from_ppos_policy_and_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    task, spec = small("cartpole", episodes=16), PolicySpec("cartpole", "fp", (), 1, bits=4)
    task = replace(task, search=replace(SHORT, warm_start=True), ppo=PPO(
        total_timesteps=1024, num_envs=2, num_steps=128, num_minibatches=4, update_epochs=2,
    ))
    first = list(ppo.run(task, spec, None))[-1]
    whole = list(trainer.run(task, spec, tmp_path / "whole"))[-1]
    assert whole.steps == first.steps + sum(whole.returns)  # of CartPole, a return is a length
    still = list(trainer.run(replace(task, search=replace(SHORT, warm_start=True, step=1e-9)), spec, None))[-1]
    for ours, theirs in zip(still.parameters, first.parameters, strict=True):
        assert np.abs(ours - theirs).max() <= 0.25  # half a weight's last bit: rounded, and nothing else
    list(islice(trainer.run(task, spec, tmp_path / "cut"), 7))
    again = list(trainer.run(task, spec, tmp_path / "cut"))[-1]
    assert (again.returns, again.ends) == (whole.returns, whole.ends)
    for ours, theirs in zip(again.parameters, whole.parameters, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("warm", [False, True])
def test_where_the_task_leaves_the_formats_open_what_was_searched_is_deployed(warm: bool, tmp_path: Path) -> None:
    """And PPO's real numbers choose the formats: in the usual ones most of them would round to nothing."""
    task, spec = small("cartpole", episodes=16), PolicySpec("cartpole", "fp", (4,), 1, bits=3)
    task = replace(
        task, network=Network(), search=replace(SHORT, warm_start=warm, validation_episodes=5),
        ppo=PPO(total_timesteps=4096, num_envs=2, num_steps=128, num_minibatches=4, update_epochs=2),
    )
    made = train_policy(task, spec, directory=tmp_path).policy
    with safe_open(tmp_path / CHECKPOINT, "np") as kept:
        integers = kept.get_tensor("best")
    deployed = [
        array for pair in zip(made.network.layers, made.contract.layers, strict=True)
        for array in (pair[0].weight.reshape(-1), pair[0].bias)
    ]
    assert np.array_equal(np.concatenate(deployed), integers)
    usual = method(spec).deployed_contract(task)
    assert (made.contract.layers[0].weight != usual.layers[0].weight) == warm


def test_it_learns_and_what_it_leaves_is_deployed_as_it_is(tmp_path: Path) -> None:
    task, spec = small("cartpole", episodes=160), PolicySpec("cartpole", "fp", (), 0, bits=3)
    train_seed(task, spec, tmp_path)
    report = json.loads((Run(spec, tmp_path).policy.parent / "training.json").read_text(encoding="utf-8"))
    assert report["validation_return"] > 150
    assert resolve_trainer(task, spec) == "search"


def test_a_price_makes_fewer_digits() -> None:
    found = []
    for price in (0.0, 20.0):
        task = replace(small("cartpole", episodes=160), search=replace(SHORT, price=price))
        state = list(trainer.run(task, PolicySpec("cartpole", "fp", (4,), 0, bits=4)))[-1]
        kind = FixedPoint(4, 2)
        found.append(digits(np.concatenate([kind.integers(weight).reshape(-1) for weight in state.parameters.weights])))
    assert found[1] < found[0]


def test_binary_weights_are_refused_by_name() -> None:
    with pytest.raises(ProjectError, match="take METHOD=fp or METHOD=pruning or METHOD=ternary"):
        resolve_trainer(small("cartpole"), PolicySpec("cartpole", "binarynet", (4,), 0))


def test_a_trainer_is_asked_for_on_the_command_line_and_its_run_is_one_of_its_own() -> None:
    task, spec = PolicyOptions(env="cartpole", method="fp", hidden="0", trainer="search").read()
    assert resolve_trainer(task, spec) == "search"
    usual = PolicyOptions(env="cartpole", method="fp", hidden="0")
    assert spec.directory_name != usual.read()[1].directory_name
    assert replace(usual, settings='training.trainer="search"').read()[1] == spec
