from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artefacts import as_artefact
from networks import small_network
from random_policies import random_policy

from hls4rl.__main__ import app
from hls4rl.artefact import digest, write_json
from hls4rl.backend import Answer, Backend
from hls4rl.checked import read_checked
from hls4rl.contract import FixedPoint, IntArray
from hls4rl.errors import ProjectError
from hls4rl.export import export_policy
from hls4rl.export.check import check_observations
from hls4rl.export.graph import read_network
from hls4rl.hls_projects.fpga.block_ram import take_output_registers
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.fpga.yosys import verilog_commands
from hls4rl.hls_projects.hls.convert import write_project
from hls4rl.hls_projects.hls.csim import build_csim
from hls4rl.hls_projects.prove import equality, exhaustion, prover, sat
from hls4rl.hls_projects.prove.claims import OPEN, PROVEN, REFUTED, Certificate, Claim, Side
from hls4rl.hls_projects.prove.design import DesignUnderProof, find_designs
from hls4rl.hls_projects.prove.equality import require_no_mismatch, run_equality
from hls4rl.hls_projects.prove.exhaustion import Gates, Reference, Software, chunk_of, enumerated, exhaust
from hls4rl.hls_projects.prove.logic import Logic, NotAPipelineError, combinational, without_registers
from hls4rl.hls_projects.prove.mutation import CAUGHT, EQUIVALENT, UNDECIDED, mutants, read_mutations, try_mutants
from hls4rl.hls_projects.prove.prover import prove, require_no_counterexample
from hls4rl.hls_projects.prove.reference import REFERENCE, reference_verilog
from hls4rl.hls_projects.rtl.folded import write_folded
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGIT_BITS, RtlInfo, write_rtl
from hls4rl.hls_projects.simulation.gates import Circuit, elaborate
from hls4rl.hls_projects.simulation.pipelined import build_netlist_model, build_rtl_model
from hls4rl.network import IntegerNetwork
from hls4rl.run import Run
from hls4rl.task import load_task
from hls4rl.train.selection import policy_inputs

pytestmark = pytest.mark.xdist_group("prove")  # one build for all of them


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one small CartPole policy, as a build leaves it, but not placed."""
    task, policy = load_task("cartpole"), random_policy("cartpole", "binarynet", hidden=6)
    run, part = Run(policy.spec, tmp_path_factory.mktemp("runs")), load_part(task.hardware.part)
    for folder in (run.policy.parent, run.qonnx.parent, run.project, run.part(part.name)):
        folder.mkdir(parents=True)
    policy.save(run.policy)
    as_artefact(run.policy.parent, **policy_inputs(task, policy.spec))
    export_policy(policy, run.qonnx.parent)
    write_project(run.qonnx, task.hardware, run.project)
    build_csim(run.project)
    built = run.part(part.name)
    write_rtl(read_network(run.qonnx), built, 2)
    family = part.tools
    recipe = next(iter(family.recipes))
    synthesise([built / f"{CORE}.v"], CORE, part, built, recipe)
    write_json(built / RESULT, {"recipe": recipe})
    build_rtl_model(built)
    build_netlist_model(built, built / NETLIST, family.models)
    for folder in (run.qonnx.parent, run.project, built):
        as_artefact(folder, policy=digest(run.policy))
    return run.root


@pytest.fixture
def design(built: Path, tmp_path: Path) -> DesignUnderProof:
    """A copy to spoil."""
    shutil.copytree(built, tmp_path / "runs")
    return find_designs(tmp_path / "runs")[0]


def statuses(certificate: Certificate) -> dict[str, str]:
    return {claim.name: claim.status for claim in certificate.claims}


def mutate(design: DesignUnderProof, change: Callable[[dict[str, Any]], None]) -> None:
    """As if synthesis had made that netlist."""
    path = design.built / NETLIST
    netlist = json.loads(path.read_text(encoding="utf-8"))
    change(netlist["modules"][CORE]["cells"])
    path.write_text(json.dumps(netlist), encoding="utf-8")
    as_artefact(design.built, policy=digest(design.run.policy))


def invert_action(cells: dict[str, Any]) -> None:
    register = next(cell for name, cell in cells.items() if "model_out" in name and cell["type"] == "TRELLIS_FF")
    last = next(cell for cell in cells.values() if cell["connections"].get("Z") == register["connections"]["DI"])
    last["parameters"]["INIT"] = "".join("10"[int(bit)] for bit in last["parameters"]["INIT"])


def drop_a_register(cells: dict[str, Any]) -> None:
    name = next(name for name, cell in cells.items() if cell["type"] == "TRELLIS_FF" and "valid" not in name)
    wires = cells.pop(name)["connections"]
    for cell in cells.values():
        for pin, bits in cell["connections"].items():
            cell["connections"][pin] = wires["DI"] if bits == wires["Q"] else bits


def test_every_stage_is_proven_on_every_observation(design: DesignUnderProof) -> None:
    certificate = prove(design, 5.0)
    names = ("netlist", "rtl", "rtl-logits", "csim", "torch", "onnxruntime", "qonnx")
    assert statuses(certificate) == {f"{name} = reference": PROVEN for name in names}
    kept = json.loads(certificate.path.read_text(encoding="utf-8"))
    assert kept["verdict"] == PROVEN
    assert kept["not_proven"] == []
    assert kept["input_type"] == {"features": 4, "bits": 3, "signed": True, "observations": 4096}
    assert kept["sides"]["netlist"]["sha256"] == {f"{design.part}/{NETLIST}": digest(design.built / NETLIST)}
    assert all(claim["over"] == "all 4,096 observations of the input type" for claim in kept["claims"])
    require_no_counterexample(certificate)


def test_what_is_proven_is_not_proven_again(design: DesignUnderProof, monkeypatch: pytest.MonkeyPatch) -> None:
    prove(design, 5.0)
    monkeypatch.setattr(prover, "elaborate", lambda *_: pytest.fail("a settled claim was taken up again"))
    assert prove(design, 5.0).verdict == PROVEN


def test_a_proof_without_time_says_what_is_missing_and_goes_on(
    design: DesignUnderProof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exhaustion, "CHUNK", 512)
    certificate = prove(design, 0.0)
    first = certificate.claims[0]
    assert (first.status, first.covered) == (OPEN, 512)
    assert json.loads(certificate.path.read_text(encoding="utf-8"))["claims"][0]["over"] == "512 of 4,096 observations"
    assert "time given" in first.reason
    assert prove(design, 5.0).verdict == PROVEN


SLOWLY = """
import sys, time
from pathlib import Path
from hls4rl.hls_projects.prove import exhaustion, prover
from hls4rl.hls_projects.prove.design import find_designs

exhaustion.CHUNK, exhaustion._SAVE_SECONDS = 64, 0.0
quick = exhaustion.Software.answer
exhaustion.Software.answer = lambda self, chunk: time.sleep(0.02) or quick(self, chunk)
prover.prove(find_designs(Path(sys.argv[1]))[0], 5.0)
"""


def test_a_killed_proof_goes_on_where_it_was(design: DesignUnderProof, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = design.proof / "progress.json"

    def covered() -> dict[str, int]:
        return {key: item["covered"] for key, item in read_checked(progress, "").items()}

    command = [sys.executable, "-c", SLOWLY, str(design.run.root)]
    with subprocess.Popen(command) as process:
        while process.poll() is None and not (progress.exists() and 0 < min(covered().values()) < 4096):
            time.sleep(0.05)
        process.kill()
    before, asked = covered(), list[int]()
    assert 0 < min(before.values()) < 4096
    honest = Software.answer

    def watched(self: Software, chunk: exhaustion.Chunk) -> Answer:
        asked.append(len(chunk.observations))
        return honest(self, chunk)

    monkeypatch.setattr(exhaustion, "CHUNK", 64)
    monkeypatch.setattr(Software, "answer", watched)
    certificate = prove(design, 5.0)
    assert certificate.verdict == PROVEN
    assert sum(asked) == sum(claim.total - before[claim.key] for claim in certificate.claims)


@pytest.mark.parametrize("change", [invert_action, drop_a_register])
def test_a_wrong_netlist_is_refuted_by_an_observation(design: DesignUnderProof, change: Any) -> None:
    mutate(design, change)
    certificate = prove(design, 5.0)
    assert statuses(certificate)["netlist = reference"] == REFUTED
    assert statuses(certificate)["rtl = reference"] == PROVEN
    found = certificate.claims[0].counterexample
    assert found is not None
    expected = int(design.network.act(np.array([found["observation"]]))[0, 0])
    assert (found["left"]["action"], found["right"]["action"]) == ([1 - expected], [expected])
    with pytest.raises(ProjectError, match=r"netlist = reference is refuted by the observation \[-?\d"):
        require_no_counterexample(certificate)


def test_the_command_prints_the_certificate_and_fails_on_a_wrong_netlist(
    design: DesignUnderProof, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prove", "--env", "cartpole", "--hidden", "6", "--seed", "1", "--root", str(design.run.root)]
    app(arguments, standalone_mode=False)
    last = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(Path(last).read_text(encoding="utf-8"))["verdict"] == PROVEN
    mutate(design, invert_action)
    with pytest.raises(ProjectError, match="netlist = reference is refuted"):
        app(arguments, standalone_mode=False)


def test_gates_are_proven_by_sat_where_not_all_can_be_tried(
    design: DesignUnderProof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prover, "ENUMERABLE_BITS", 0)
    monkeypatch.setattr(prover, "SAMPLE", 1 << 16)
    certificate = prove(design, 5.0)
    found = statuses(certificate)
    assert found.pop("netlist = rtl") == found.pop("rtl = reference") == PROVEN
    assert set(found.values()) == {OPEN}
    assert "csim = reference" in found
    assert certificate.verdict == OPEN
    mutate(design, invert_action)
    (spoilt,) = find_designs(design.run.root)
    assert statuses(prove(spoilt, 5.0))["netlist = rtl"] == REFUTED


def test_a_design_without_its_policy_is_named(design: DesignUnderProof) -> None:
    design.run.policy.unlink()
    with pytest.raises(ProjectError, match=r"policy\.safetensors: no such policy; train it again"):
        find_designs(design.run.root)


def test_mutants_are_caught_or_equivalent(design: DesignUnderProof) -> None:
    result = read_mutations(try_mutants(design, 8, 5.0))
    assert result["tried"] == 8 == result[CAUGHT] + result[EQUIVALENT]
    assert result[CAUGHT] >= 4
    assert result[UNDECIDED] == 0
    caught = next(item for item in result["mutants"] if item["fate"] == CAUGHT and isinstance(item["by"], list))
    path, netlist = design.built / NETLIST, json.loads((design.built / NETLIST).read_text(encoding="utf-8"))
    change = caught["cell"], caught["change"]
    mutant = next(item for item in mutants(netlist, 0) if (item.cell, item.detail) == change)
    path.write_text(json.dumps(mutant.netlist), encoding="utf-8")
    assert statuses(prove(design, 5.0))["netlist = reference"] == REFUTED


def test_a_folded_core_is_proven_and_its_faults_are_found(design: DesignUnderProof) -> None:
    shutil.rmtree(design.built)
    design.built.mkdir()
    part = load_part(design.part)
    write_folded(design.network, design.built, 2)
    synthesise([design.built / f"{CORE}.v"], CORE, part, design.built, "carry chains")
    take_output_registers(design.built / NETLIST, CORE)
    write_json(design.built / RESULT, {"recipe": "carry chains"})
    as_artefact(design.built, policy=digest(design.run.policy))
    (folded,) = find_designs(design.run.root)
    certificate = prove(folded, 5.0)
    assert set(statuses(certificate).values()) == {PROVEN}
    assert {"netlist = reference", "rtl = reference", "rtl-logits = reference"} < set(statuses(certificate))
    assert any("weights.hex" in name for name in certificate.claims[1].left.files)
    result = read_mutations(try_mutants(folded, 6, 5.0))
    assert result["tried"] == 6 == result[CAUGHT] + result[EQUIVALENT]
    assert result[CAUGHT] >= 2

    def turn_a_constant(cells: dict[str, Any]) -> None:
        memory = next(cell for name, cell in cells.items() if "constant_memory" in name and cell["type"] == "DP16KD")
        content = memory["parameters"]["INITVAL_00"]
        memory["parameters"]["INITVAL_00"] = content[:-3] + "10"[int(content[-3])] + content[-2:]

    mutate(folded, turn_a_constant)
    (spoilt,) = find_designs(design.run.root)
    again = prove(spoilt, 5.0)
    assert statuses(again)["netlist = reference"] == REFUTED
    assert statuses(again)["rtl = reference"] == PROVEN


def test_all_executors_agree_on_visited_and_random_observations(design: DesignUnderProof, tmp_path: Path) -> None:
    path = tmp_path / "equality.json"
    result = run_equality([design], 1000, path)
    assert result == read_checked(path, "")
    standing = next(iter(result["policies"].values()))
    assert min(standing["on_policy"], standing["random"]) >= 500
    assert result["mismatches"] == 0
    require_no_mismatch(result, path)
    assert run_equality([design], 1000, path)["policies"] == result["policies"]


def test_a_lying_executor_is_told(design: DesignUnderProof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Liar:
        name = "netlist"

        def infer(self, observations: IntArray) -> Answer:
            return Answer(np.full(len(observations), 7), None)

    honest = equality.open_backend

    def opened(name: str, *rest: Any) -> Backend:
        return Liar() if name == "netlist" else honest(name, *rest)

    monkeypatch.setattr(equality, "open_backend", opened)
    result = run_equality([design], 100, tmp_path / "equality.json")
    assert result["mismatches"] == result["observations"]
    with pytest.raises(ProjectError, match=r"'executor': 'netlist', 'observation': \["):
        require_no_mismatch(result, tmp_path / "equality.json")


def test_no_policies_to_compare(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no built policy found"):
        run_equality([], 100, tmp_path / "equality.json")


TWELVE_BITS = small_network([[1, 2, -1], [-3, 1, 2]], [[1, 2], [2, -1], [1, 1]], [0, 0, 0])
"""Three features of four bits: 4,096 observations."""
EVERY = enumerated(TWELVE_BITS.input, 3, 0, 4096).observations


class Witness:
    """The network as an executor that says who asked what, and lies where it is told to."""

    name = "witness"

    def __init__(self, seen: list[tuple[int, IntArray]], lies: Callable[[IntArray, IntArray], None]) -> None:
        self._seen, self._lies, self._thread = seen, lies, threading.get_ident()

    def infer(self, observations: IntArray) -> Answer:
        assert threading.get_ident() == self._thread
        self._seen.append((self._thread, observations))
        logits = TWELVE_BITS.infer(observations)
        self._lies(observations, logits)
        return Answer.of_logits(logits)


def exhausted(
    monkeypatch: pytest.MonkeyPatch, lies: Callable[[IntArray, IntArray], None], covered: int = 0
) -> tuple[Claim, list[tuple[int, IntArray]]]:
    """The claim of a witness, tried by four threads in chunks of 64, and what it was asked."""
    monkeypatch.setattr(exhaustion, "CHUNK", 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    seen = list[tuple[int, IntArray]]()
    claim = Claim(Side("left", "", {}), Side("right", "", {}), "logits and action", "", "", 4096, covered=covered)
    exhaust(
        [(claim, Software(lambda: Witness(seen, lies)))], Reference(TWELVE_BITS), TWELVE_BITS.input, 3,
        time.monotonic() + 60, lambda: None,
    )
    return claim, seen


@pytest.mark.parametrize("kind", [FixedPoint(4, 4), FixedPoint(4, 2, signed=False)])
def test_all_observations_are_enumerated_as_numbers_and_as_bits(kind: FixedPoint) -> None:
    chunks = [enumerated(kind, 3, start, 1024) for start in range(0, 4096, 1024)]
    rows = np.concatenate([chunk.observations for chunk in chunks])
    assert (rows.min(), rows.max()) == (kind.minimum, kind.maximum)
    assert len(np.unique(rows, axis=0)) == 4096
    assert all(np.array_equal(chunk.stimulus, chunk_of(chunk.observations, kind).stimulus) for chunk in chunks)


@pytest.mark.parametrize("covered", [0, 64, 1000])
def test_every_observation_is_asked_once_and_by_several_threads(
    monkeypatch: pytest.MonkeyPatch, covered: int
) -> None:
    claim, seen = exhausted(monkeypatch, lambda *_: time.sleep(0.002), covered)
    assert (claim.status, claim.covered) == (PROVEN, 4096)
    rows = sorted(tuple(row) for _, rows in seen for row in rows.tolist())
    assert rows == sorted(tuple(row) for row in EVERY[covered // 64 * 64:].tolist())
    assert len({thread for thread, _ in seen}) == 4


def test_the_first_wrong_observation_is_told_whichever_thread_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def lie(observations: IntArray, logits: IntArray) -> None:
        for place in (700, 710, 800):  # the first two in one chunk, which comes late
            logits[(observations == EVERY[place]).all(axis=1), 1] -= 1
        if (observations == EVERY[700]).all(axis=1).any():
            time.sleep(0.2)

    claim, seen = exhausted(monkeypatch, lie)
    assert claim.status == REFUTED
    assert claim.covered == 700 // 64 * 64
    right = TWELVE_BITS.infer(EVERY[700:701])[0].tolist()
    action = int(np.argmax(right))
    assert claim.counterexample == {
        "observation": EVERY[700].tolist(),
        "left": {"action": [action], "logits": [right[0], right[1] - 1, right[2]]},
        "right": {"action": [action], "logits": right},
    }
    assert any((EVERY[800] == row).all() for _, rows in seen for row in rows)
    assert len(seen) < 4096 // 64  # a settled claim isn't asked on


def test_an_executor_that_fails_ends_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(observations: IntArray, _: IntArray) -> None:
        if (observations == EVERY[700]).all(axis=1).any():
            raise ProjectError("no answer")

    with pytest.raises(ProjectError, match="no answer"):
        exhausted(monkeypatch, fail)


def info_of(network: IntegerNetwork) -> RtlInfo:
    types = network.action_types
    widths = tuple(kind.bits for kind in types)
    return RtlInfo(network.features, network.input.bits, network.outputs, widths, types[0].signed, 1)


NETWORKS = [
    random_policy("acrobot", "fp", hidden=3).network,
    random_policy("acrobot", "binarynet", hidden=4).network,
    random_policy("cartpole", "binaryconnect", hidden=4).network,
    random_policy("cartpole", "compression", bits=16, hidden=1).network,
    small_network([[1, 2], [-3, 1]], [[1, 2], [2, -1], [1, 2]], [0, 0, 0]),  # logits that tie
]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_reference_in_verilog_is_the_network(network: IntegerNetwork, tmp_path: Path) -> None:
    source = tmp_path / "reference.v"
    source.write_text(reference_verilog(network, LOGIT_BITS), encoding="utf-8")
    elaborate(verilog_commands([source]), REFERENCE, tmp_path / "reference.json")
    logic = combinational(Circuit.load(tmp_path / "reference.json"), ["action", "logits"])
    chunk = chunk_of(check_observations(network.input, network.features), network.input)
    answer, expected = Gates(logic, info_of(network)).answer(chunk), Reference(network).answer(chunk)
    assert np.array_equal(answer.actions, expected.actions)
    assert answer.logits is not None
    assert np.array_equal(answer.logits, expected.logits)


def test_sat_finds_the_one_observation_that_differs(tmp_path: Path) -> None:
    network = small_network([[1, 2], [-3, 1]], [[1, 2], [2, -1]], [0, 0])
    write_rtl(network, tmp_path, 1)
    text = (tmp_path / f"{CORE}.v").read_text(encoding="utf-8")
    trap = (
        "reg now = 0, was = 0;\n    always @(posedge clk) begin now <= observation == 8'd37; was <= now; end\n    "
        "assign action = was ^ "
    )
    wrong = text.replace("assign action = ", trap, 1)
    (tmp_path / "wrong.v").write_text(wrong, encoding="utf-8")
    logics = []
    for name in (f"{CORE}.v", "wrong.v"):
        elaborate(verilog_commands([tmp_path / name]), CORE, tmp_path / "model.json")
        logics.append(without_registers(Circuit.load(tmp_path / "model.json"), 1, ["action"]))
    assert sat.compare(logics[0], logics[0], "action", 60.0).equal
    found = sat.compare(*logics, "action", 60.0)
    assert not found.equal
    assert found.observation is not None
    assert int((found.observation.astype(int) << np.arange(8)).sum()) == 37


GOOD = "a <= observation; b <= a; action <= b;"
NO_PIPELINES = {
    "two observations at once": ("a <= observation; b <= a; action <= b ^ a;", "valid[2]"),
    "a register that feeds itself": ("a <= observation; b <= a; action <= action ^ b;", "valid[2]"),
    "one register too few": ("a <= observation; action <= a;", "valid[2]"),
    "out_valid too early": (GOOD, "valid[1]"),
    "out_valid upside down": (GOOD, "!valid[2]"),
    "out_valid that is up at the start": (f"late <= started; {GOOD}", "valid[2] | !late"),
}


@pytest.mark.parametrize("name", NO_PIPELINES)
def test_what_is_no_pipeline_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotAPipelineError):
        pipeline(*NO_PIPELINES[name], tmp_path)


def test_a_pipeline_with_a_constant_register_is_a_function(tmp_path: Path) -> None:
    logic = pipeline("a <= observation; b <= a ^ {2{started}}; action <= b;", "valid[2]", tmp_path)
    gates = Gates(logic, RtlInfo(1, 2, 4, (2,), False, 1))
    answer = gates.answer(chunk_of(np.array([[-1], [-2], [0], [1]]), FixedPoint(2, 2)))
    assert answer.actions[:, 0].tolist() == [0, 1, 3, 2]


def test_a_constant_that_comes_too_late_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotAPipelineError, match="constant comes later"):
        pipeline("late <= started; a <= observation; b <= a ^ {2{late}}; action <= b;", "valid[2]", tmp_path)


def pipeline(body: str, out_valid: str, directory: Path) -> Logic:
    """Three registers on the way of two bits, two cycles; ``started`` is 0 until the first clock."""
    (directory / "core.v").write_text(
        "module core (input clk, input in_valid, input [1:0] observation, output out_valid, output reg [1:0] action);\n"
        "reg [1:0] a, b; reg started = 0, late = 0; reg [2:0] valid = 0;\n"
        f"assign out_valid = {out_valid};\n"
        "always @(posedge clk) begin\n"
        f"    valid <= {{valid[1:0], in_valid}}; started <= 1; {body} end\nendmodule\n", encoding="utf-8",
    )
    elaborate(verilog_commands([directory / "core.v"]), "core", directory / "core.json")
    return without_registers(Circuit.load(directory / "core.json"), 2, ["action"])
