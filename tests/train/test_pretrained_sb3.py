"""stable-baselines3 itself, where it is installed: our reading of its files beside its own ``predict``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import worlds  # noqa: F401 (registers the environments)

import hls4rl
from hls4rl.task import Action, Source, Task
from hls4rl.train.pretrained.float_policy import Fitted
from hls4rl.train.pretrained.reader import read_source

sb3 = pytest.importorskip("stable_baselines3", reason="pip install 'hls4rl[bench]'")
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ppo": ("PPO", "CartPole-v1", {}),
    "ppo-deep": ("PPO", "CartPole-v1", {"policy_kwargs": {"net_arch": [32, 16, 8], "activation_fn": torch.nn.ELU}}),
    "ppo-separate": ("PPO", "CartPole-v1", {"policy_kwargs": {"net_arch": {"pi": [16], "vf": [32, 32]}}}),
    "ppo-linear": ("PPO", "Acrobot-v1", {"policy_kwargs": {"net_arch": []}}),
    "a2c-gsde": ("A2C", "Pendulum-v1", {"use_sde": True}),
    "a2c-squashed": ("A2C", "Pendulum-v1", {"use_sde": True, "policy_kwargs": {"squash_output": True}}),
    "dqn": ("DQN", "Acrobot-v1", {"buffer_size": 10}),
    "sac": ("SAC", "Pendulum-v1", {"buffer_size": 10}),
    "sac-gsde": ("SAC", "Pendulum-v1", {"use_sde": True, "buffer_size": 10}),
    "td3": ("TD3", "Pendulum-v1", {"policy_kwargs": {"net_arch": [24, 12]}, "buffer_size": 10}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_algorithm_decides_as_its_own_predict(kind: str, tmp_path: Path) -> None:
    name, environment, more = KINDS[kind]
    torch.set_num_threads(1)
    model = getattr(sb3, name)("MlpPolicy", environment, seed=1, device="cpu", **more)
    with torch.no_grad():  # a new policy's actions are all but the same
        for parameter in model.policy.parameters():
            parameter.mul_(1.5)
    model.save(tmp_path / "policy.zip")
    hls4rl.save_policy(model, tmp_path / "policy.safetensors")
    task = Task(name="t", environment=environment, action=Action(bits=16))
    seen = _observations(environment)
    expected = model.predict(seen.astype(np.float32), deterministic=True)[0]
    for file in ("policy.zip", "policy.safetensors"):
        fitted = Fitted.of(task, read_source(Source(str(tmp_path / file))), file)
        taken = np.array([fitted.taken(row) for row in fitted.decide(seen)])
        if task.actions.is_continuous:
            np.testing.assert_allclose(taken, expected, rtol=1e-4, atol=1e-5)
        else:
            assert np.array_equal(taken, expected)
        assert len(np.unique(taken)) > 1


@pytest.mark.parametrize("actions", ["multidiscrete", "multibinary", "box"])
def test_other_action_spaces_and_dict_observations(actions: str, tmp_path: Path) -> None:
    environment = gym.make(f"Worlds/{actions}-v0")
    flat = gym.wrappers.FlattenObservation(environment)
    torch.set_num_threads(1)
    model = sb3.PPO("MlpPolicy", flat, seed=1, device="cpu")
    model.save(tmp_path / "policy.zip")
    task = Task(name="t", environment=f"Worlds/{actions}-v0", wrappers=("FlattenObservation",))
    fitted = Fitted.of(task, read_source(Source(str(tmp_path / "policy.zip"))), "policy.zip")
    seen = np.random.default_rng(0).normal(size=(60, task.features))
    expected = model.predict(seen, deterministic=True)[0]
    taken = np.array([fitted.taken(row) for row in fitted.decide(seen)])
    np.testing.assert_allclose(taken, expected, rtol=1e-4, atol=1e-4)


def test_vecnormalize_is_read_as_it_normalises(tmp_path: Path) -> None:
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    from hls4rl.train.pretrained.normalisers import read_normaliser

    env = VecNormalize(make_vec_env("CartPole-v1", n_envs=2), clip_obs=1.5)
    env.reset()
    for _ in range(30):
        env.step(np.array([0, 1]))
    env.save(str(tmp_path / "vecnormalize.pkl"))
    found = read_normaliser(tmp_path / "vecnormalize.pkl")
    assert found is not None
    seen = _observations("CartPole-v1")
    np.testing.assert_allclose(found(seen), env.normalize_obs(seen), rtol=1e-6)


def _observations(environment: str) -> np.ndarray[Any, Any]:
    env = gym.make(environment)
    env.reset(seed=0)
    env.action_space.seed(0)
    rows = []
    for _ in range(80):
        observation, _, terminated, truncated, _ = env.step(env.action_space.sample())
        rows.append(observation)
        if terminated or truncated:
            env.reset()
    return np.array(rows, dtype=np.float64)
