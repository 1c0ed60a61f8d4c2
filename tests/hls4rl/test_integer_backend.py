"""Integers in NumPy and the float64 Brevitas module are the same policy."""

import numpy as np
import pytest

from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import PolicySpec
from hls4rl.task import load_task
from hls4rl.train.methods import METHODS
from hls4rl.train.methods import method as create_method
from hls4rl.train.network import TorchBackend
from hls4rl.train.parameters import Parameters


@pytest.mark.parametrize("bits", [4, 8, 16])
@pytest.mark.parametrize("name", ["cartpole", "acrobot", "mountaincar"])
@pytest.mark.parametrize("method", METHODS)
def test_equal_logits(name: str, method: str, bits: int) -> None:
    task, spec, rng = load_task(name), PolicySpec(name, method, 40, 0, bits), np.random.default_rng(1)
    features, actions = task.spaces
    parameters = Parameters.uniform((features, 40, actions), rng)
    for array in parameters:
        array *= 4
    policy = parameters.policy(spec, create_method(spec).deployed_contract(task))
    kind = task.observation.type
    observations = rng.integers(kind.minimum, kind.maximum + 1, (3000, features))
    left, right = IntegerBackend(policy.network).infer(observations), TorchBackend(policy).infer(observations)
    assert np.array_equal(left.logits, right.logits)
    assert np.array_equal(left.actions, right.actions)
    assert len(np.unique(left.logits)) > 10
