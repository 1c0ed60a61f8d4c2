from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from networks import small_network
from random_policies import DESIGNS, random_policy

from hls4rl.contract import FixedPoint, IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.hls_projects.rtl.pipelined import read_info, write_rtl
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, elaborate, integers_of, lanes_of
from hls4rl.hls_projects.simulation.pipelined import NetlistBackend, RtlBackend, build_rtl_model
from hls4rl.network import IntegerNetwork, Layer


def built(network: IntegerNetwork, directory: Path, stages: int = 2) -> RtlBackend:
    write_rtl(network, directory, stages)
    build_rtl_model(directory)
    return RtlBackend(directory)


def every_observation(kind: FixedPoint, features: int) -> IntArray:
    values = range(kind.minimum, kind.maximum + 1)
    return np.array(list(itertools.product(values, repeat=features)), dtype=np.int64)


def require_exact(backend: RtlBackend, network: IntegerNetwork, observations: IntArray) -> None:
    expected = network.infer(observations)
    answer = backend.infer(observations)
    assert answer.logits is not None
    assert np.array_equal(answer.logits, expected)
    assert np.array_equal(answer.actions, np.argmax(expected, axis=1)[:, None])


@pytest.mark.parametrize(("task", "method", "bits"), DESIGNS)
def test_both_cores_give_the_network_s_integers(task: str, method: str, bits: int, tmp_path: Path) -> None:
    network = random_policy(task, method, bits, hidden=6).network
    require_exact(built(network, tmp_path, 3), network, check_observations(network.input, network.features))


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_the_latency_is_the_number_of_stages(stages: int, tmp_path: Path) -> None:
    network = random_policy("acrobot", "binarynet", hidden=5).network
    backend = built(network, tmp_path, stages)  # the backend refuses an out_valid that is early or late
    assert read_info(tmp_path).cycles == stages
    require_exact(backend, network, check_observations(network.input, network.features))


SMALL = {
    "one unit": small_network([[3, -2]], [[1], [-1]], [0, 1]),
    "one unit, signs": small_network([[1, -1]], [[1], [-1]], [0, 0], signs=True),
    "no weights at all": small_network([[0, 0], [0, 0]], [[0, 0], [0, 0]], [0, 0]),
    "constant action": small_network([[0, 0], [1, 1]], [[1, 0], [0, 0], [1, 0]], [-1, 2, 1]),
    "always the last action": small_network([[1, 0], [1, 1]], [[0, 0], [0, 0]], [-1, 2]),
    "a feature without effect": small_network([[0, 1], [0, -3]], [[1, -2], [2, 1]], [1, -1]),
    "a unit that no difference needs": small_network([[1, 2], [-1, 3]], [[5, 1], [5, -1]], [0, 0]),
    "equal logits everywhere": small_network([[1, 2], [-1, 3]], [[2, 1], [2, 1], [2, 1]], [3, 3, 3]),
    "ties among three": small_network([[1, 0], [0, 1]], [[1, 0], [0, 1], [1, 0]], [0, 0, 0]),
    "ties among five": small_network([[1, 0], [0, 1]], [[1, 0], [0, 1], [1, 0], [0, 1], [1, 1]], [1, 1, 1, 1, 0]),
    "three actions, signs": small_network([[1, -1], [-1, -1]], [[1, 1], [-1, 1], [1, -1]], [0, 1, 0], signs=True),
    "twins that cancel": small_network(
        [[-1, 0], [-1, 0], [-1, 0], [0, 1]], [[-1, -1, -1, 0], [-1, 1, -1, 0], [-1, -1, 1, 0]], [0, 0, 0]
    ),
    "twins among signs": small_network(
        [[2, -2], [1, -1], [3, -3], [0, 1]], [[1, -1, 0, 0], [-1, 1, 0, 1], [0, 1, -1, 0]], [0, 0, 0], signs=True
    ),
    "a unit that is always on": small_network([[0, 0], [1, 1]], [[3, 1], [1, -1]], [0, 1], signs=True),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_on_every_observation(name: str, tmp_path: Path) -> None:
    network = SMALL[name]
    require_exact(built(network, tmp_path), network, every_observation(network.input, 2))


ROUNDED = {
    "a scaled sum of numbers that were cut": IntegerNetwork(FixedPoint(2, 0), (
        Layer(np.array([[1], [-1]]), 1.0, np.array([0, 0]), 0.25, FixedPoint(2, -2, signed=False)),
        Layer(np.array([[-1, 1]]), 1.0, np.array([0]), 0.0625, FixedPoint(2, -1, signed=False), "ROUND"),
        Layer(np.array([[0], [1]]), 1.0, np.array([0, 0]), 0.125, None),
    )),
    "biases of 30 bits": IntegerNetwork(FixedPoint(3, 3), (
        Layer(np.array([[105], [16], [20]]), 1.0, np.array([-656851312, 605923659, 55882353]), 1.0,
              FixedPoint(6, 31), "ROUND"),
        Layer(np.array([[2, 0, -1], [-3, 0, 3]]), 1.0, np.array([0, 0]), 2.0**25, None),
    )),
}


@pytest.mark.parametrize("name", ROUNDED)
def test_half_to_even(name: str, tmp_path: Path) -> None:
    network = ROUNDED[name]
    require_exact(built(network, tmp_path), network, every_observation(network.input, 1))


def test_a_flipped_weight_is_seen(tmp_path: Path) -> None:
    network = random_policy("cartpole", "binarynet", hidden=6).network
    first, second = network.layers
    weight = second.weight.copy()
    weight[0, 2] *= -1
    mutant = IntegerNetwork(network.input, (first, dataclasses.replace(second, weight=weight)))
    observations = check_observations(network.input, network.features)
    answer = built(mutant, tmp_path).infer(observations)
    assert answer.logits is not None
    assert (answer.logits != network.infer(observations)).any(axis=1).all()


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    network = random_policy("acrobot", "fp", hidden=8).network
    texts = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_rtl(network, tmp_path / name, 3)
        texts.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert texts[0] == texts[1]
    assert sorted(texts[0]) == ["policy_core.v", "policy_logits.v", "rtl.json"]
    assert str(tmp_path).encode() not in b"".join(texts[0].values())


def test_any_batch_size(tmp_path: Path) -> None:
    network = SMALL["one unit"]
    backend = built(network, tmp_path)
    every = every_observation(network.input, 2)
    for size in (0, 1, LANES - 1, LANES + 1):
        require_exact(backend, network, every[:size])
    many = np.tile(every, (70, 1))  # longer than is simulated at once
    require_exact(backend, network, many)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="make synth"):
        RtlBackend(tmp_path)
    (tmp_path / "rtl.json").write_text("{", encoding="utf-8")
    with pytest.raises(ProjectError, match="make synth"):
        NetlistBackend(tmp_path)


def test_the_simulator_clocks_a_counter(tmp_path: Path) -> None:
    source = tmp_path / "counter.v"
    source.write_text(
        "module counter(input clk, input [2:0] step, input load, output reg [7:0] count, output [7:0] next);\n"
        "initial count = 0; assign next = count - {5'd0, step}; always @(posedge clk) "
        "count <= load ? {5'd0, step} * 8'd9 : next; endmodule\n", encoding="utf-8",
    )
    elaborate([f'read_verilog "{source}"'], "counter", tmp_path / "counter.json")
    rng = np.random.default_rng(0)
    steps, loads = rng.integers(0, 8, size=(50, LANES)), rng.integers(0, 2, size=(50, LANES))
    record = Circuit.load(tmp_path / "counter.json").run(
        {"step": lanes_of(steps, 3), "load": lanes_of(loads, 1)}, ["count", "next"], 50
    )
    count = np.zeros(LANES, dtype=np.int64)
    for clock in range(50):
        count = np.where(loads[clock], 9 * steps[clock], count - steps[clock]) % 256
        assert np.array_equal(integers_of(record["count"])[clock], count)
        assert np.array_equal(integers_of(record["next"])[clock], (count - steps[clock]) % 256)


def test_the_simulator_refuses_a_loop(tmp_path: Path) -> None:
    source = tmp_path / "loop.v"
    source.write_text("module loop(input a, output y); assign y = ~(y & a); endmodule\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="loop"):
        elaborate([f'read_verilog "{source}"'], "loop", tmp_path / "loop.json")
