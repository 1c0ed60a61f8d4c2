"""Regulators, held to MuJoCo's own steps, to scipy's solution of the Riccati equation, and to episodes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import solve_discrete_are

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import PolicySpec
from hls4rl.task import LQR, Network, Task, load_task, read_task
from hls4rl.train.lqr import regulator
from hls4rl.train.lqr.model import Model, linear_model
from hls4rl.train.lqr.regulator import Cost
from hls4rl.train.trainers import resolve_trainer
from hls4rl.train.training import train_policy

pytest.importorskip("mujoco")
HUMANOID = Path(__file__).resolve().parents[2] / "studies/records/tasks/humanoid.toml"
SPEC = PolicySpec("pole", "fp", (), 0, 6)


def _pole(**lqr: object) -> Task:
    settings = {"velocity_cost": 0.1, "updates": 300, "sparsity": 0.01, **lqr}
    return read_task({
        "name": "pole", "environment": "InvertedPendulum-v5", "solved": 950,
        "observation": {"scale": [0.5, 2, 0.25, 0.25], "bits": 8, "integer_bits": 1}, "action": {"bits": 7},
        "network": {"weight_integer_bits": 5, "bias_integer_bits": 1}, "lqr": settings,
    }, "pole.toml")


@pytest.fixture(scope="module")
def model() -> Model:
    return linear_model(_pole())


def test_the_model_predicts_steps_of_the_environment(model: Model) -> None:
    env, rng = _pole().make(), np.random.default_rng(0)
    env.reset(seed=0)

    def stepped(state: FloatArray, action: FloatArray) -> FloatArray:
        place = model.observation + state  # of this environment, observations are states
        env.unwrapped.set_state(place[:2], place[2:])  # type: ignore[attr-defined]
        observation: FloatArray = env.step(model.rest + action)[0]
        return observation

    still = stepped(np.zeros(4), np.zeros(1))
    np.testing.assert_allclose(still, model.observation, atol=1e-5)
    for _ in range(20):
        state, action = rng.uniform(-1e-4, 1e-4, 4), rng.uniform(-1e-4, 1e-4, 1)
        predicted = model.view @ (model.transition @ state + model.control @ action)
        np.testing.assert_allclose(stepped(state, action) - still, predicted, atol=1e-7)
    env.close()


def test_the_gains_are_scipys(model: Model) -> None:
    cost = Cost(model, np.array([1.0, 1.0, 0.1, 0.1]), np.array([2.0]))
    discount = regulator._RICCATI_DISCOUNT
    a, b = model.transition * discount, model.control * discount
    left = solve_discrete_are(a, b, np.diag(cost.state_cost), np.diag(cost.action_cost))
    wanted = np.linalg.solve(np.diag(cost.action_cost) + b.T @ left @ b, b.T @ left @ a)
    np.testing.assert_allclose(cost.gains(), wanted, rtol=1e-6)


def test_a_pole_stays_up_by_integers_and_the_same_ones_every_time() -> None:
    task = _pole()
    assert resolve_trainer(task, SPEC) == "lqr"
    policies = [train_policy(task, SPEC).policy for _ in range(2)]
    first, second = (policy.network.layers[0] for policy in policies)
    assert np.array_equal(first.weight, second.weight)
    assert np.array_equal(first.bias, second.bias)
    assert play(task, IntegerBackend(policies[0].network), 10, 77).mean_return > 950
    assert np.abs(first.weight).max() <= 31


def test_what_cannot_be_regulated_is_refused_by_name() -> None:
    named = _pole(posture={"knee": 0.1})
    with pytest.raises(ProjectError, match=r"lqr\.posture names 'knee'; \S+ has the joints slider, hinge"):
        linear_model(named)
    with pytest.raises(ProjectError, match=r"lqr\.action_cost has 3 numbers; give one, or one for each of the 1"):
        train_policy(_pole(action_cost=[1.0, 2.0, 3.0]), SPEC)
    with pytest.raises(ProjectError, match=r"lqr\.action_cost is .*; give positive numbers"):
        _pole(action_cost=[0.0])
    with pytest.raises(ProjectError, match=r"lqr\.posture has 1000.0 for 'hinge'; give radians"):
        _pole(posture={"hinge": 1e3})
    with pytest.raises(ProjectError, match="leave wrappers out"):
        linear_model(dataclasses.replace(_pole(), wrappers=("FlattenObservation",)))
    cartpole = dataclasses.replace(load_task("cartpole"), lqr=LQR())
    with pytest.raises(ProjectError, match="CartPole-v0 is none of them"):
        linear_model(cartpole)
    with pytest.raises(ProjectError, match="take METHOD=fp HIDDEN=0"):
        resolve_trainer(_pole(), PolicySpec("pole", "fp", (4,), 0, 6))
    with pytest.raises(ProjectError, match=r"give network\.weight_integer_bits"):
        resolve_trainer(dataclasses.replace(_pole(), network=Network()), SPEC)


def test_the_humanoids_equilibrium_holds_still_in_mujoco() -> None:
    task = load_task(str(HUMANOID))
    found = linear_model(task)
    assert (found.transition.shape, found.view.shape, found.positions) == ((43, 43), (45, 43), 20)
    env = task.make()
    env.reset(seed=0)
    simulator = env.unwrapped
    place = np.concatenate([[0.0, 0.0], found.observation[:22]])
    simulator.set_state(place, np.zeros(23))  # type: ignore[attr-defined]
    observation, *_ = env.step(found.rest.astype(np.float32))
    assert np.abs(observation - found.observation).max() < 2e-3  # a step later, with the solver that plays
    env.close()
