"""The compiled environments are Gymnasium's, bit for bit."""

import numpy as np
import pytest

from hls4rl.task import load_task
from hls4rl.train import environments

STEPS = 100_000


@pytest.mark.parametrize("name", ["cartpole", "acrobot"])
def test_random_steps_equal_gymnasium(name: str) -> None:
    task = load_task(name)
    env, number = task.make(), environments.COMPILED[task.environment]
    features, actions = task.spaces
    limit = env.spec.max_episode_steps
    choices = np.random.default_rng(7).integers(actions, size=STEPS)
    streams = np.random.Generator(np.random.PCG64(np.random.SeedSequence(3)))
    state, observation = np.zeros(4), np.zeros(features)
    seen, _ = env.reset(seed=3)
    environments.reset(number, streams, state)
    length = endings = 0
    for action in choices.tolist():
        assert np.array_equal(state, env.unwrapped.state)
        environments.observe(number, state, observation)
        assert np.array_equal(task.integers(observation), task.integers(seen))
        seen, reward, terminated, truncated, _ = env.step(action)
        outcome = environments.step(number, state, action)
        length += 1
        assert outcome == (reward, terminated)
        assert truncated == (length == limit)
        if terminated or truncated:
            endings += terminated
            length = 0
            seen, _ = env.reset()
            environments.reset(number, streams, state)
    assert endings >= 1


def test_a_step_depends_on_the_action() -> None:
    first, second = np.full(4, 0.01), np.full(4, 0.01)
    environments.step(environments.CARTPOLE, first, 0)
    environments.step(environments.CARTPOLE, second, 1)
    assert not np.array_equal(first, second)
