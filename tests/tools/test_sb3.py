"""Agents that stable-baselines3 trains here: each leaves the files that the zoo takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hls4rl.studies.zoo import find_agents
from hls4rl.task import Source
from hls4rl.train.pretrained.reader import read_source
from tools.sb3 import RECIPES, Recipe, train


def test_an_agent_is_trained_once_and_read(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'hls4rl[bench]'")
    recipe = Recipe("PPO", "CartPole-v1", 32, 2, {"n_steps": 16, "batch_size": 16, "n_epochs": 1})
    assert train("ppo/CartPole-v1", recipe, tmp_path)
    assert not train("ppo/CartPole-v1", recipe, tmp_path)
    agent, = find_agents(tmp_path, {})
    assert agent.name == "ppo/CartPole-v1"
    policy = read_source(Source(str(agent.policy), str(agent.normaliser)))
    assert (policy.shape, policy.normaliser is not None) == ("tanh 64-64", True)


def test_recipes_have_the_names_of_their_environments() -> None:
    for name, recipe in RECIPES.items():
        algorithm, environment = name.split("/")
        assert algorithm == recipe.algorithm.lower()
        if isinstance(recipe.environment, Path):
            assert recipe.environment.is_file()
            assert recipe.environment.stem == environment
        else:
            assert recipe.environment == environment
