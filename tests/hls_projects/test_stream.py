from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from hls4rl.contract import FixedPoint, IntArray, Sign
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.block_ram import take_output_registers
from hls4rl.hls_projects.fpga.family import load_family
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.hls_projects.rtl.streaming import StreamInfo, read_stream_info, write_stream
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, Words, elaborate, integers_of, lanes_of
from hls4rl.hls_projects.simulation.streaming import (
    StreamNetlistBackend,
    StreamRtlBackend,
    build_netlist_model,
    build_rtl_model,
)
from hls4rl.network import IntegerNetwork, Layer

RECIPE = "adders to 4 bits in gates, no wide look-up tables"


def stream_network(
    kind: str, features: int = 40, hidden: int = 4, actions: int = 3, signs: bool = False, seed: int = 1
) -> IntegerNetwork:
    """Pong's number formats on a small scale; ``kind``: binary, ternary, clusters, or the bits of a weight."""
    rng = np.random.default_rng(seed)
    shape = (hidden, features)
    if kind == "binary":
        weight, lsb, output, output_lsb = rng.choice([-1, 1], shape), 0.25, rng.choice([-1, 1], (actions, hidden)), 0.25
    else:
        low, high = (-1, 2) if kind == "ternary" else (-128, 128) if kind == "clusters" else (
            -(1 << int(kind) - 1), 1 << int(kind) - 1)
        values = rng.choice(np.arange(low, high), min(high - low, 8 if kind == "clusters" else 256), replace=False)
        weight, lsb = values[rng.integers(len(values), size=shape)], 2.0 / high
        output, output_lsb = rng.integers(-128, 128, (actions, hidden)), 2.0**-7
    activation: FixedPoint | Sign = Sign() if signs else FixedPoint(8, 4, signed=False)
    unit = activation.lsb * output_lsb
    bias, output_bias = rng.integers(-5, 6, hidden), rng.integers(-99, 99, actions)
    return IntegerNetwork(FixedPoint(2, 2), (
        Layer(weight.astype(np.int64), lsb, bias, lsb / 2, activation),  # a finer bias than the products
        Layer(output.astype(np.int64), output_lsb, output_bias, unit, None),
    ))


def observations_for(network: IntegerNetwork, count: int = 70) -> IntArray:
    """Frames over the whole input type, sparse ones, and corners."""
    rng = np.random.default_rng(2)
    low, high, features = network.input.minimum, network.input.maximum, network.features
    dense = rng.integers(low, high + 1, (count, features))
    sparse = dense * (rng.random(dense.shape) < 0.1)
    corners = np.array([np.full(features, value) for value in range(low, high + 1)])
    return np.concatenate([dense, sparse, corners, np.eye(features, dtype=np.int64)[[0, -1]] * high])


NETWORKS = {
    "binary, ReLU": (stream_network("binary"), 4),
    "binary, signs": (stream_network("binary", signs=True), 4),
    "one input a word": (stream_network("binary", features=9, hidden=3, actions=2), 1),
    "clusters, last word not full": (stream_network("clusters", features=38, actions=4), 4),
    "ternary, seven inputs a word": (stream_network("ternary", features=70, signs=True), 7),
    "eight bits": (stream_network("8", features=24), 3),
    "eight bits, two banks": (stream_network("8", features=48, hidden=11), 3),
    "clusters, two banks": (stream_network("clusters", features=100, hidden=13), 7),
    "unsigned pixels": (dataclasses.replace(stream_network("2"), input=FixedPoint(1, 1, signed=False)), 4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_verilog_gives_the_network_s_integers(name: str, tmp_path: Path) -> None:
    network, inputs_per_clock = NETWORKS[name]
    write_stream(network, tmp_path, inputs_per_clock)
    build_rtl_model(tmp_path)
    observations = observations_for(network)
    answer, expected = StreamRtlBackend(tmp_path).infer(observations), network.infer(observations)
    assert answer.logits is not None
    assert np.array_equal(answer.logits, expected)
    assert np.array_equal(answer.actions, np.argmax(expected, axis=1)[:, None])
    assert len(np.unique(answer.logits, axis=0)) > 5


def test_words_may_come_late_and_frames_be_given_up(tmp_path: Path) -> None:
    network = stream_network("clusters", features=32)
    info = write_stream(network, tmp_path, 4)
    build_rtl_model(tmp_path)
    frames = observations_for(network, 20)[:20]
    rng = np.random.default_rng(3)
    clocks = 2 * (len(frames) + 8) * info.words
    pixels, valid, restart = (np.zeros((clocks, LANES), dtype=np.int64) for _ in range(3))
    packed = ((frames.reshape(len(frames), info.words, 4) & 3) << (2 * np.arange(4))).sum(axis=2)
    for lane in range(LANES):  # each lane stalls and gives up at clocks of its own
        words: list[int | None] = []
        for frame in packed:
            if rng.random() < 0.3:
                words += [*frame[:rng.integers(info.words)], None]
            words += list(frame)
        gaps = rng.random(clocks) < 0.3
        times = np.flatnonzero(~gaps)[:len(words)]
        for time, word in zip(times, words, strict=True):
            pixels[time, lane], valid[time, lane], restart[time, lane] = word or 0, word is not None, word is None
    names = ("out_valid", "action", "logits")
    circuit = Circuit.load(tmp_path / "simulation" / "rtl.json")
    outputs = circuit.run(
        {"restart": lanes_of(restart, 1), "in_valid": lanes_of(valid, 1), "observation": lanes_of(pixels, 8)},
        names, clocks,
    )
    expected = network.infer(frames)
    seen, actions = integers_of(outputs["out_valid"]), integers_of(outputs["action"])
    first = integers_of(outputs["logits"][:, :info.logit_bits]) % (1 << info.logit_bits)
    for lane in range(LANES):
        times = np.flatnonzero(seen[:, lane])
        assert np.array_equal(actions[times, lane], np.argmax(expected, axis=1))
        assert np.array_equal(first[times, lane], expected[:, 0] % (1 << info.logit_bits))


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> tuple[IntegerNetwork, Path, StreamInfo]:
    """A synthesised core whose frames are so long that a memory's word has 18 bits: wider ones keep no register."""
    directory = tmp_path_factory.mktemp("stream")
    network = stream_network("clusters", features=600, hidden=3)
    info = write_stream(network, directory, 1, lanes=1)
    synthesise([directory / f"{CORE}.v"], CORE, load_part("ecp5-25f"), directory, RECIPE)
    return network, directory, info


def test_the_netlist_with_its_block_rams_gives_the_network_s_actions(
    placed: tuple[IntegerNetwork, Path, StreamInfo]
) -> None:
    network, directory, info = placed
    assert take_output_registers(directory / NETLIST, CORE) == 3 * info.weight_bits
    assert take_output_registers(directory / NETLIST, CORE) == 0
    observations = observations_for(network, 30)
    expected = network.act(observations)
    build_netlist_model(directory, directory / NETLIST, load_family("ecp5").models)
    assert np.array_equal(StreamNetlistBackend(directory).infer(observations).actions, expected)
    assert len(np.unique(expected)) > 1

    design = json.loads((directory / NETLIST).read_text(encoding="utf-8"))
    memories = [cell for cell in design["modules"][CORE]["cells"].values() if cell["type"] == "DP16KD"]
    assert any(cell["parameters"][f"REGMODE_{port}"] == "OUTREG" for cell in memories for port in "AB")
    for cell in memories:
        for name, text in cell["parameters"].items():
            if name.startswith("INITVAL_0"):  # the first quarter of what each block RAM holds
                cell["parameters"][name] = text.translate(str.maketrans("01", "10"))
    (directory / "wrong.json").write_text(json.dumps(design), encoding="utf-8")
    build_netlist_model(directory, directory / "wrong.json", load_family("ecp5").models)
    assert not np.array_equal(StreamNetlistBackend(directory).infer(observations).actions, expected)


MEMORY = """
module rom (input wire clk, input wire [2:0] address, output reg [3:0] word);
    reg [3:0] content [0:5];
    initial $readmemh("content.hex", content);
    always @(posedge clk) word <= content[address];
endmodule
"""


def test_each_lane_reads_its_own_address(tmp_path: Path) -> None:
    (tmp_path / "rom.v").write_text(MEMORY, encoding="utf-8")
    (tmp_path / "content.hex").write_text("3\nf\n0\n9\n6\na\n", encoding="utf-8")
    elaborate([f'read_verilog "{tmp_path / "rom.v"}"'], "rom", tmp_path / "rom.json", roms=True)
    addresses = np.random.default_rng(1).integers(0, 8, (9, LANES))
    addresses[4] = 3
    words: Words = Circuit.load(tmp_path / "rom.json").run({"address": lanes_of(addresses, 3)}, ["word"], 9)["word"]
    assert np.array_equal(integers_of(words), np.array([3, 15, 0, 9, 6, 10, 0, 0])[addresses])


def test_a_memory_with_two_ports_that_write_is_refused(tmp_path: Path) -> None:
    read = "word <= content[address];"
    assert read in MEMORY
    writes = f"begin {read} content[0] <= address; content[address] <= 5; end"
    (tmp_path / "rom.v").write_text(MEMORY.replace(read, writes), encoding="utf-8")
    (tmp_path / "content.hex").write_text("3\nf\n0\n9\n6\na\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="has other ports than"):
        elaborate([f'read_verilog "{tmp_path / "rom.v"}"'], "rom", tmp_path / "rom.json", roms=True)


def test_refuses_what_the_core_does_not_compute(tmp_path: Path) -> None:
    network = stream_network("binary")
    hidden, output = network.layers
    wrong = {
        "one hidden layer": dataclasses.replace(network, layers=(hidden,)),
        "rounding mode FLOOR": dataclasses.replace(
            network, layers=(dataclasses.replace(hidden, rounding="ROUND"), output)),
        "not of 3": dataclasses.replace(network, input=FixedPoint(3, 3)),
        "one action": dataclasses.replace(network, layers=(
            hidden, dataclasses.replace(output, weight=output.weight[:1], bias=output.bias[:1]))),
    }
    for message, case in wrong.items():
        with pytest.raises(ProjectError, match=message):
            write_stream(case, tmp_path, 4)
    for inputs_per_clock, message in ((0, "do not come 0 per clock"), (40, "do not come 40"), (20, "shorter than the")):
        with pytest.raises(ProjectError, match=message):
            write_stream(network, tmp_path, inputs_per_clock)
    with pytest.raises(ProjectError, match="no streaming core here"):
        read_stream_info(tmp_path)
