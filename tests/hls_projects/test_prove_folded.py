"""What symbolic execution says of folded cores, judged by the network's integers, the gate simulator, and faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from chains import chain
from test_folded import continuous, multiplied, tabled

from hls4rl.contract import FixedPoint
from hls4rl.hls_projects.prove.exhaustion import Gates, chunk_of, enumerated
from hls4rl.hls_projects.prove.folded import folded_function
from hls4rl.hls_projects.prove.folded_stream import folded_counterexample
from hls4rl.hls_projects.prove.functions import rtl_circuit
from hls4rl.hls_projects.prove.logic import NotAFunctionError
from hls4rl.hls_projects.prove.symbols import UNKNOWN, Graph, both, chosen, different, inverted
from hls4rl.hls_projects.rtl.folded import FoldedInfo, write_folded
from hls4rl.hls_projects.rtl.pipelined import LOGITS
from hls4rl.hls_projects.simulation.folded import FoldedRtlBackend, build_rtl_model
from hls4rl.hls_projects.simulation.gates import Circuit

SMALL = chain([3, 5, 4, 3], 4, input_bits=4)
CASES = {
    "numbers, one unit": (SMALL, 1),
    "one feature, more units than neurons": (chain([1, 3, 3], 4), 8),
    "pruned, two units": (chain([3, 12, 8, 3], zeros=0.8, input_bits=4), 2),
    "tables, two units": (tabled(chain([3, 5, 5, 3], 4, input_bits=4)), 2),
    "continuous, learned scales": (multiplied(continuous(chain([3, 5, 2], 4, input_bits=4), FixedPoint(7, 3))), 2),
}


def test_gates_of_the_graph_are_gates() -> None:
    """All values of two variables and the constants, in every place of every gate, and what is unknown."""
    graph = Graph(2)
    words = {0: 0b0000, 1: 0b1111, 2: 0b1010, 4: 0b1100, 3: 0b0101, 5: 0b0011}

    def word(literal: int) -> int:
        logic = graph.logic(2, {"out": np.array([literal], dtype=np.int32)})
        stimulus = np.array([[0b1010, 0b1100]], dtype=np.uint64)
        return int(logic.evaluate(stimulus, ["out"])["out"][0, 0]) & 15

    for a, left in words.items():
        assert word(inverted(a)) == 15 - left
        for b, right in words.items():
            assert word(both(graph.arrays, a, b)) == left & right
            assert word(different(graph.arrays, a, b)) == left ^ right
            for s, select in words.items():
                assert word(chosen(graph.arrays, a, b, s)) == (left & ~select | right & select)
    assert both(graph.arrays, 0, UNKNOWN) == chosen(graph.arrays, 0, UNKNOWN, 0) == 0
    assert {both(graph.arrays, 2, UNKNOWN), different(graph.arrays, 1, UNKNOWN), chosen(graph.arrays, 0, 1, UNKNOWN),
            chosen(graph.arrays, 2, UNKNOWN, 4), inverted(UNKNOWN)} == {UNKNOWN}
    with pytest.raises(ValueError, match="what was there before"):
        word(UNKNOWN)


@pytest.mark.parametrize("name", CASES)
def test_a_folded_core_is_its_network_for_all_time(name: str, tmp_path: Path) -> None:
    network, units = CASES[name]
    info = write_folded(network, tmp_path, units)
    logic = folded_function(logits_core(tmp_path, info), info, ["action", "logits"])
    chunk = enumerated(network.input, network.features, 0, 1 << network.features * network.input.bits)
    answer, logits = Gates(logic, info).answer(chunk), network.infer(chunk.observations)
    assert np.array_equal(answer.logits, logits)  # type: ignore[arg-type]
    assert np.array_equal(answer.actions, network.output.decide(logits))
    build_rtl_model(tmp_path)
    some = np.random.default_rng(1).choice(chunk.observations, 64)
    simulated = FoldedRtlBackend(tmp_path).infer(some)
    proven = Gates(logic, info).answer(chunk_of(some, network.input))
    assert np.array_equal(simulated.logits, proven.logits)  # type: ignore[arg-type]
    assert np.array_equal(simulated.actions, proven.actions)


FAULTS = {
    # what is replaced in the Verilog, by what; what the proof says of it
    "features that nobody offered": ("in_valid && loading", "loading", "belong to no observation"),
    "an answer that does not wait": ("(answered && !out_ready)", "1'b0", "goes away"),
    "a start that does not wait": ("start = loaded && !pending", "start = loaded", ""),
    "a sum that is not cleared": ("if (summed || restart) sum <= 0", "if (restart) sum <= 0", ""),
    "results that outlive a restart": (
        "scaled_here <= here && !restart", "scaled_here <= here", "what was there before"),
    "an answer that depends on the clock": (
        "assign action = choice", "reg odd = 0; always @(posedge clk) odd <= !odd; assign action = choice ^ odd",
        "what was there before|the same function"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_refused_and_shown(fault: str, tmp_path: Path) -> None:
    old, new, said = FAULTS[fault]
    info = write_folded(SMALL, tmp_path, 2)
    path = tmp_path / f"{LOGITS}.v"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
    circuit = logits_core(tmp_path, info)
    with pytest.raises(NotAFunctionError, match=said):
        folded_function(circuit, info, ["action", "logits"])
    assert folded_counterexample(circuit, SMALL, info) is not None


def test_a_right_core_shows_nothing_in_streams(tmp_path: Path) -> None:
    info = write_folded(SMALL, tmp_path, 2)
    assert folded_counterexample(logits_core(tmp_path, info), SMALL, info) is None


def logits_core(directory: Path, info: FoldedInfo) -> Circuit:
    return rtl_circuit(directory / f"{LOGITS}.v", info, directory / "model.json")
