from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from chains import chain

from hls4rl.contract import CONTINUOUS, Argmax, FixedPoint, IntArray, MultiplyShift, ResultType, Table
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.flow.folded import build_folded
from hls4rl.hls_projects.fpga.block_ram import take_output_registers
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.rtl.fold_plan import plan
from hls4rl.hls_projects.rtl.fold_storage import BOOKS, NUMBERS, SIGNS, TERNARY, choose_storage
from hls4rl.hls_projects.rtl.folded import read_folded_info, write_folded
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.hls_projects.simulation.folded import (
    FoldedNetlistBackend,
    FoldedRtlBackend,
    build_netlist_model,
    build_rtl_model,
)
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, elaborate, integers_of, lanes_of
from hls4rl.network import IntegerNetwork


def observations_for(network: IntegerNetwork, count: int = 150) -> IntArray:
    kind = network.input
    random = np.random.default_rng(2).integers(kind.minimum, kind.maximum + 1, (count, network.features))
    corners = np.array([np.full(network.features, value) for value in (kind.minimum, 0, kind.maximum)])
    return np.concatenate([random, corners])


CASES: dict[str, tuple[IntegerNetwork, int, int, bool]] = {
    # network, units, how its weights are stored, whether zeros are skipped
    "numbers, one unit": (chain([5, 9, 7, 3], seed=2), 1, NUMBERS, False),
    "numbers, many weights": (chain([20, 31, 4]), 4, NUMBERS, False),
    "one layer": (chain([9, 5], 4), 2, NUMBERS, False),
    "signs": (chain([7, 9, 3], [-1, 1], signs=True), 4, SIGNS, False),
    "signs, ReLU, unsigned inputs": (chain([7, 9, 9, 3], [-1, 1], input_signed=False), 2, SIGNS, False),
    "ternary": (chain([7, 12, 4], [-1, -1, -1, 0, 1, 1, 1, 1]), 2, TERNARY, False),
    "two shared weights": (chain([6, 9, 3], [-3, 5]), 1, BOOKS, False),
    "shared weights": (chain([6, 9, 5, 3], [-17, -3, 2, 60]), 3, BOOKS, False),
    "pruned": (chain([12, 20, 10, 3], 3, zeros=0.8), 1, NUMBERS, True),
    "pruned, four units": (chain([17, 30, 20, 4], zeros=0.85), 4, NUMBERS, True),
    "pruned and shared": (chain([12, 20, 10, 3], [-9, 3, 4], zeros=0.8), 2, BOOKS, True),
    "pruned to ternary": (chain([12, 20, 3], [-1, 1], zeros=0.8), 2, TERNARY, True),
    "half to even, signed": (chain([5, 9, 9, 3], 4, signed=True, rounding="ROUND"), 2, NUMBERS, False),
    "finer biases": (chain([5, 9, 3], 4, finer=8), 2, BOOKS, False),
    "finer biases, half to even": (chain([5, 9, 3], 4, finer=8, rounding="ROUND"), 1, BOOKS, False),
    "more units than outputs": (chain([4, 20, 2], 5), 16, NUMBERS, False),
    "more units than neurons": (chain([4, 6, 2], 3), 32, NUMBERS, False),
    "one of everything": (chain([1, 1, 1], 4), 1, BOOKS, False),
    "appended bits": (chain([5, 9, 3], [-4, -2, 2, 6], bits=12), 2, BOOKS, False),
}


def multiplied(network: IntegerNetwork, bits: int = 8, seed: int = 5) -> IntegerNetwork:
    """The same with learned scales, another one for each hidden unit, and limits that no type has."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in network.layers:
        kind = layer.activation
        if isinstance(kind, FixedPoint):
            count = len(layer.weight)
            shift = round(np.log2(kind.lsb / layer.sum_lsb(kind.lsb))) + bits
            kind = MultiplyShift(
                tuple(rng.integers(1 << bits - 1, 3 << bits - 1, count).tolist()),
                tuple(rng.integers(-4 << bits, 4 << bits, count).tolist()), shift,
                kind, kind.minimum + 3, kind.maximum - 2,
            )
        layers.append(dataclasses.replace(layer, activation=kind))
    return dataclasses.replace(network, layers=tuple(layers))


CASES["learned scales"] = multiplied(chain([5, 9, 9, 3], 4, signed=True)), 1, NUMBERS, False
CASES["learned scales, ternary, four units"] = (
    multiplied(chain([6, 9, 5, 3], [-1, -1, -1, 0, 1, 1, 1, 1])), 4, TERNARY, False)


def silenced(network: IntegerNetwork) -> IntegerNetwork:
    """The same with a first layer whose limits are both 0."""
    first, *others = network.layers
    assert isinstance(first.activation, MultiplyShift)
    kind = dataclasses.replace(first.activation, low=0, high=0)
    return dataclasses.replace(network, layers=(dataclasses.replace(first, activation=kind), *others))


CASES["always 0"] = silenced(multiplied(chain([3, 4, 3], 4))), 1, NUMBERS, False


def continuous(network: IntegerNetwork, kind: ResultType) -> IntegerNetwork:
    *hidden, last = network.layers
    return dataclasses.replace(
        network, layers=(*hidden, dataclasses.replace(last, activation=kind)), output=CONTINUOUS)


def tabled(network: IntegerNetwork) -> IntegerNetwork:
    """The same with tables of two kinds for its hidden layers."""
    layers = []
    for place, layer in enumerate(network.layers):
        kind = layer.activation
        if isinstance(kind, FixedPoint):
            input_type = FixedPoint(4 + place, kind.integer_bits)
            kind = Table.of(np.tanh if place else np.sin, input_type, FixedPoint(6 - place, 1))
        layers.append(dataclasses.replace(layer, activation=kind))
    return dataclasses.replace(network, layers=tuple(layers))


CASES["wide learned scales"] = (
    multiplied(chain([40, 31, 4], 10, input_bits=10, signed=True), bits=22), 4, NUMBERS, False)
CASES["groups"] = dataclasses.replace(chain([5, 9, 9], 4), output=Argmax((2, 5, 1, 1))), 2, NUMBERS, False
CASES["one yes or no"] = dataclasses.replace(chain([5, 9, 1], 4), output=Argmax()), 1, NUMBERS, False
CASES["continuous"] = continuous(chain([5, 9, 4], 4), FixedPoint(7, 3)), 2, NUMBERS, False
CASES["continuous, learned scales"] = multiplied(continuous(chain([5, 9, 4], 4), FixedPoint(7, 3))), 4, NUMBERS, False
CASES["tables"] = tabled(chain([5, 9, 8, 3], 4)), 2, NUMBERS, False
CASES["continuous, tables"] = (
    tabled(continuous(chain([5, 9, 8, 3], 4), FixedPoint(5, 3))), 4, NUMBERS, False)


@pytest.mark.parametrize("name", CASES)
def test_verilog_gives_the_network_s_integers(name: str, tmp_path: Path) -> None:
    network, units, kind, sparse = CASES[name]
    info = write_folded(network, tmp_path, units)
    storage = plan(network, units).storage
    assert (storage.kind, storage.gap_bits > 0) == (kind, sparse)
    assert info == read_folded_info(tmp_path)
    build_rtl_model(tmp_path)
    observations = observations_for(network)
    answer, expected = FoldedRtlBackend(tmp_path).infer(observations), network.infer(observations)
    assert np.array_equal(answer.logits, expected)  # type: ignore[arg-type]
    assert np.array_equal(answer.actions, network.output.decide(expected))
    assert info.interval <= info.cycles + (network.features == 1)


def test_zeros_take_no_clock() -> None:
    full = plan(chain([32, 32, 32, 4]), 1)
    pruned = plan(chain([32, 32, 32, 4], zeros=0.9), 1)
    left = sum(np.count_nonzero(layer.weight) for layer in pruned.network.layers)
    steps = sum(entry.steps * entry.repeats for entry in pruned.program)
    assert left <= steps < 1.1 * left + 10
    assert pruned.clocks[0] < full.clocks[0] / 5


def test_a_large_network_is_stored_in_the_fewest_bits() -> None:
    rng = np.random.default_rng(0)
    weight = rng.integers(-7, 8, (128, 4096)) * (rng.random((128, 4096)) < 0.9)

    def bits_of_it(kept: IntArray, activations: int) -> tuple[int, int]:
        found = choose_storage([kept], 8, activations)
        return found.gap_bits, found.words.size

    dense = 128 * 4096 * 4
    assert bits_of_it(weight, 0) == (0, dense)  # skipping would save clocks, and take more bits
    pruned = np.where(rng.random(weight.shape) < 0.5, weight, 0)
    gaps, size = bits_of_it(pruned, 0)
    assert gaps > 0
    assert size < dense
    assert bits_of_it(pruned, dense) == (0, dense)  # eight copies of the activations would take more than that saves


def test_each_copy_may_wait_and_give_up_when_it_likes(tmp_path: Path) -> None:
    network = chain([5, 9, 4], 4)
    info = write_folded(network, tmp_path, 2)
    build_rtl_model(tmp_path)
    circuit = Circuit.load(tmp_path / "simulation" / "rtl.json")
    rng = np.random.default_rng(3)
    observations = observations_for(network, 12)[:12]
    clocks = 6 * len(observations) * info.cycles // 10
    wants = rng.random((clocks, LANES)) < 0.8
    takes = rng.random((clocks, LANES)) < 0.3
    gives_up = rng.random((clocks, LANES)) < 0.002
    features = rng.integers(0, 1 << info.observation_bits, (clocks, LANES))
    names = ("in_ready", "out_valid", "action", "value_valid", "value")
    outputs = circuit.run({
        "restart": lanes_of(gives_up.astype(np.int64), 1), "in_valid": lanes_of(wants.astype(np.int64), 1),
        "out_ready": lanes_of(takes.astype(np.int64), 1), "observation": lanes_of(features, info.observation_bits),
    }, names, clocks)
    ready, valid = (integers_of(outputs[name]).astype(bool) for name in ("in_ready", "out_valid"))
    actions = integers_of(outputs["action"])
    answered = 0
    half = 1 << (info.observation_bits - 1)
    for lane in range(LANES):
        fed, waiting = list[int](), list[list[int]]()
        for clock in range(clocks):
            was_ready = ready[clock - 1, lane] if clock else True
            was_valid = valid[clock - 1, lane] if clock else False
            if was_valid and takes[clock, lane] and not gives_up[clock, lane]:
                expected = int(np.argmax(network.infer(np.array([waiting.pop(0)])), axis=1)[0])
                assert actions[clock - 1, lane] == expected
                answered += 1
            if gives_up[clock, lane]:
                fed, waiting = [], []
            elif wants[clock, lane] and was_ready:
                fed.append(int((features[clock, lane] + half) % (2 * half) - half))
                if len(fed) == info.features:
                    waiting.append(fed)
                    fed = []
        assert len(waiting) <= 2
    assert answered > 4 * LANES


NETLISTS = {
    "ecp5-25f": (chain([9, 20, 5]), 1, 1),
    "ecp5-25f, words of 36 bits": (chain([9, 20, 5], bits=20), 1, 2),
    "ecp5-25f, words of 18 bits": (chain([9, 20, 5], bits=16), 1, 1),
    "ice40-up5k": (chain([9, 20, 5]), 1, 1),
    "ice40-hx8k": (chain([12, 20, 3], [-1, 1], zeros=0.8), 2, 0),
}


@pytest.mark.parametrize("name", NETLISTS)
def test_the_netlist_gives_the_network_s_actions(name: str, tmp_path: Path) -> None:
    network, units, multipliers = NETLISTS[name]
    part = load_part(name.partition(",")[0])
    write_folded(network, tmp_path, units)
    synthesis = synthesise([tmp_path / f"{CORE}.v"], CORE, part, tmp_path, "carry chains")
    assert synthesis.resources["dsp"] == multipliers
    assert synthesis.resources["bram"] >= 3
    if part.family == "ecp5":
        assert take_output_registers(tmp_path / NETLIST, CORE) > 0
    observations = observations_for(network, 300)
    expected = np.argmax(network.infer(observations), axis=1)
    assert len(np.unique(expected)) > 1
    models = part.tools.models
    build_netlist_model(tmp_path, tmp_path / NETLIST, models)
    assert np.array_equal(FoldedNetlistBackend(tmp_path).infer(observations).actions[:, 0], expected)

    design = json.loads((tmp_path / NETLIST).read_text(encoding="utf-8"))
    for cell_name, cell in design["modules"][CORE]["cells"].items():
        if "weight_memory" in cell_name and cell["type"] in ("DP16KD", "SB_RAM40_4K"):
            for key, text in cell["parameters"].items():
                if key in ("INITVAL_00", "INIT_0"):
                    cell["parameters"][key] = text.translate(str.maketrans("01", "10"))
    (tmp_path / "wrong.json").write_text(json.dumps(design), encoding="utf-8")
    build_netlist_model(tmp_path, tmp_path / "wrong.json", models)
    assert not np.array_equal(FoldedNetlistBackend(tmp_path).infer(observations).actions[:, 0], expected)


def test_a_part_with_too_few_pins_gets_the_action_out_bit_by_bit(tmp_path: Path) -> None:
    network = continuous(chain([5, 9, 6], 4), FixedPoint(8, 3))
    info = write_folded(network, tmp_path, 1)
    assert info.action_bits > load_part("ice40-up5k").capacity["pins"]
    result = build_folded(network, "ice40-up5k", 20.0, 1, tmp_path, 1)
    assert result["timing_met"]
    assert result["dsp"] == 1
    observations = observations_for(network, 20)
    answer = FoldedNetlistBackend(tmp_path).infer(observations)
    assert np.array_equal(answer.actions, network.output.decide(network.infer(observations)))


MEMORY = """
module ram (
    input wire clk, input wire write, input wire [2:0] to, from, input wire [3:0] data, output reg [3:0] word
);
    reg [3:0] content [0:7];
    always @(posedge clk) begin
        if (write) content[to] <= data;
        word <= content[from];
    end
endmodule
"""


@pytest.mark.parametrize("same", [True, False])
def test_memories_keep_what_each_copy_writes(same: bool, tmp_path: Path) -> None:
    (tmp_path / "ram.v").write_text(MEMORY, encoding="utf-8")
    elaborate([f'read_verilog "{tmp_path / "ram.v"}"'], "ram", tmp_path / "ram.json", roms=True)
    rng = np.random.default_rng(1)
    shape = (60, 1 if same else LANES)
    to, source, write = (np.broadcast_to(rng.integers(0, top, shape), (60, LANES)) for top in (8, 8, 2))
    data = rng.integers(0, 16, (60, LANES))
    words = Circuit.load(tmp_path / "ram.json").run(
        {"to": lanes_of(to, 3), "from": lanes_of(source, 3), "write": lanes_of(write, 1), "data": lanes_of(data, 4)},
        ["word"], 60,
    )["word"]
    seen, content = integers_of(words), np.full((LANES, 8), -1)
    known = 0
    for clock in range(60):
        for lane in range(LANES):
            at, place = source[clock, lane], to[clock, lane]
            collides = write[clock, lane] and at == place
            if content[lane, at] >= 0:
                known += 1
                assert seen[clock, lane] == (15 - content[lane, at] if collides else content[lane, at])
            if write[clock, lane]:
                content[lane, place] = data[clock, lane]
    assert known > 1000


def test_refuses_what_the_core_does_not_compute(tmp_path: Path) -> None:
    network = chain([5, 9, 3], 4)
    for units in (0, -1, 257):
        with pytest.raises(ProjectError, match=r"1 to 256 units"):
            write_folded(network, tmp_path, units)
    bare = dataclasses.replace(network, layers=(dataclasses.replace(network.layers[0], activation=None),
                                                network.layers[1]))
    with pytest.raises(ProjectError, match="has no activation"):
        write_folded(bare, tmp_path, 1)
    with pytest.raises(ProjectError, match="no folded core here"):
        read_folded_info(tmp_path)
