"""Each method's rules, on small data."""

import numpy as np
import pytest

from hls4rl.contract import Binary, FixedPoint, Sign
from hls4rl.policy import PolicySpec
from hls4rl.task import load_task
from hls4rl.train.methods import METHODS, method
from hls4rl.train.methods.compression import Compression, compression_rate, share_values
from hls4rl.train.methods.pruning import Pruning, survivors
from hls4rl.train.parameters import Parameters


def create(name: str, **changes: float) -> object:
    return method(PolicySpec("cartpole", name, **{"hidden": 6, "seed": 0, **changes}))  # type: ignore[arg-type]


def parameters() -> Parameters:
    return Parameters.uniform((4, 6, 2), np.random.default_rng(0))


def test_cluster_gradients_are_summed() -> None:
    rule = create("compression", clusters=3)
    assert isinstance(rule, Compression)
    values, gradients = parameters(), parameters()
    before = gradients.copy()
    rule.after_backward(gradients)
    assert np.array_equal(gradients.weights[0], before.weights[0])  # nothing yet before the midpoint
    rule.at_midpoint(values, np.random.default_rng(0))
    assert all(len(np.unique(weight)) == 3 for weight in values.weights)
    rule.after_backward(gradients)
    assert rule.groups is not None
    for gradient, old, group, value in zip(
        gradients.weights, before.weights, rule.groups, values.weights, strict=True
    ):
        for member in range(3):
            assert np.allclose(gradient[group == member], old[group == member].sum(), rtol=1e-12)
            assert len(np.unique(value[group == member])) == 1
    assert np.array_equal(gradients.biases[0], before.biases[0])


def test_centroids_are_means_of_their_members() -> None:
    weight = np.random.default_rng(1).normal(size=(8, 5))
    old = weight.copy()
    group = share_values(weight, 4, seed=0)
    for member in range(4):
        assert np.allclose(weight[group == member], old[group == member].mean())


def test_more_clusters_than_weights_change_nothing() -> None:
    weight = np.random.default_rng(1).normal(size=(2, 3))
    old = weight.copy()
    share_values(weight, 64, seed=0)
    assert np.allclose(weight, old)


def test_pruned_weights_stay_zero() -> None:
    rule, values = create("pruning"), parameters()
    assert isinstance(rule, Pruning)
    rule.at_midpoint(values, np.random.default_rng(0))
    assert [int((weight == 0).sum()) for weight in values.weights] == [12, 6]
    for array in values:
        array += 0.1
    rule.after_step(values)
    assert [int((weight == 0).sum()) for weight in values.weights] == [12, 6]


def test_the_smallest_magnitudes_are_pruned() -> None:
    weight = np.array([[-3.0, 0.1], [2.0, -0.2]])
    assert np.array_equal(survivors(weight, 50.0), [[True, False], [True, False]])
    assert survivors(weight, 0.0).all()


@pytest.mark.parametrize("name", ["binaryconnect", "binarynet"])
def test_latents_are_clipped_and_biases_are_not(name: str) -> None:
    rule, values = create(name), parameters()
    for array in values:
        array *= 10
    biases = values.biases[0].copy()
    rule.after_step(values)  # type: ignore[attr-defined]
    assert max(np.abs(weight).max() for weight in values.weights) == 1.0
    assert np.array_equal(values.biases[0], biases)


def test_the_sign_of_zero_is_plus_one() -> None:
    assert Binary(0.5).integers(np.array([-1e-9, -0.0, 0.0, 2.0])).tolist() == [-1, 1, 1, 1]


@pytest.mark.parametrize("name", METHODS)
def test_the_deployed_contract_is_integer(name: str) -> None:
    task, rule = load_task("cartpole"), create(name)
    deployed = rule.deployed_contract(task)  # type: ignore[attr-defined]
    trained = rule.training_contract(task)  # type: ignore[attr-defined]
    assert deployed.is_integer
    assert (trained == deployed) == (name != "fp")
    assert isinstance(deployed.layers[0].activation, Sign) == (name in ("binarynet", "ternary"))
    assert isinstance(deployed.layers[0].weight, Binary if name.startswith("binary") else FixedPoint)
    weights_of_their_own = isinstance(deployed.layers[0].weight, FixedPoint) and not METHODS[name].shares_weights
    assert METHODS[name].searchable == weights_of_their_own


def test_compression_rate_of_equation_5() -> None:
    # One layer of 1,024 weights of 32 bits, k = 8: 32768 bits over 3072 of indices and 256 of centroids.
    assert compression_rate([1024], 32, 8) == 32768 / 3328
    # CartPole with 16 units has layers of 64 and 32 weights, each with a codebook: 96·32 / (96·3 + 2·8·32).
    assert compression_rate([64, 32], 32, 8) == 3072 / (288 + 512) == 3.84
