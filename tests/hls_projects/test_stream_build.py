from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import stripes
from rich.console import Console

from hls4rl.errors import ProjectError
from hls4rl.export.graph import read_network
from hls4rl.hls_projects.build import Result, synthesise
from hls4rl.hls_projects.evaluate import evaluate, require_equal
from hls4rl.hls_projects.executors import EXECUTORS
from hls4rl.hls_projects.flow.streaming import build_stream
from hls4rl.hls_projects.prove.design import DesignUnderProof, find_designs
from hls4rl.hls_projects.simulation.streaming import StreamRtlBackend
from hls4rl.hls_projects.summary import print_summary
from hls4rl.policy import PolicySpec
from hls4rl.report import write_reports
from hls4rl.report.collect import UNITS_SHOWN
from hls4rl.run import Run
from hls4rl.studies.explore.search import explore
from hls4rl.task import Task, load_task

TOML = """
environment = "hls4rl-tests/Stripes-v0"
[observation]
scale = [1]
bits = 2
integer_bits = 2
[network]
weight_integer_bits = 1
activation_integer_bits = 4
[training]
episodes = 30
evaluation_episodes = 3
[hardware]
part = "ecp5-25f"
clock_mhz = 90
strategy = "Resource"
reuse_factor = 64
inputs_per_clock = 4
place_seeds = 1
"""
SPEC = PolicySpec("stripes", "compression", 10, 0)  # 3-bit indices into 8 weights; more units than the page shows
pytestmark = pytest.mark.xdist_group("stream_build")  # built once, on one worker


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    path = tmp_path_factory.mktemp("task") / "stripes.toml"
    path.write_text(TOML, encoding="utf-8")
    return load_task(str(path))


@pytest.fixture(scope="module")
def built(task: Task, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Run]:
    """The whole flow from 256 features to a bitstream."""
    root = tmp_path_factory.mktemp("runs")
    return synthesise(task, SPEC, root=root), Run(SPEC, root)


def test_a_wide_observation_ends_in_a_placed_core(built: tuple[Result, Run]) -> None:
    result, run = built
    summary = result.summary
    assert summary["mismatches"] == 0
    assert summary["return_software"] == summary["return_csim"]
    words = stripes.FEATURES // 4
    assert words < summary["cycles"] < words + 40
    assert summary["fmax_mhz"] >= 90
    assert summary["bram"] > 0
    assert summary["inferences_per_second"] == round(1e6 * summary["fmax_mhz"] / words)
    assert summary["memory_bits"] >= 3 * 10 * stripes.FEATURES
    assert summary["energy_pj"] < summary["energy_on_chip_pj"] < summary["energy_float32_dram_pj"]
    assert (run.part("ecp5-25f") / "core.bit").stat().st_size > 100_000
    for key, name in (("return_rtl", "rtl"), ("return_netlist", "netlist")):
        assert summary[key] is None
        assert summary["skipped"][key].startswith("36 frames"), name  # all there are: 3 episodes of 12 steps


def test_the_summary_tells_what_memory_costs(built: tuple[Result, Run], capsys: pytest.CaptureFixture[str]) -> None:
    print_summary(built[0].summary, Console(width=120))
    printed = capsys.readouterr().out
    for text in ("memory bits", "in block RAM", "36 frames of the software's games", "float32, weights in DRAM"):
        assert text in printed


def test_gates_answer_a_sample_and_the_rest_drive(
    task: Task, built: tuple[Result, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXECUTORS, "rtl", dataclasses.replace(EXECUTORS["rtl"], sampled=20))
    software, csim, rtl = evaluate(task, built[1], "ecp5-25f", ("torch", "csim", "rtl"), 2)
    require_equal([software, csim, rtl])
    assert software.returns == csim.returns
    assert (software.steps, csim.steps, rtl.steps) == (2 * stripes.STEPS, 2 * stripes.STEPS, 20)
    assert (rtl.returns, rtl.mean_return) == ([], None)


def test_a_wrong_weight_in_block_ram_is_caught(
    task: Task, built: tuple[Result, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = built[1]
    backend = StreamRtlBackend(run.part("ecp5-25f"))
    (memory, *_) = sorted(backend._core._circuit.roms, key=lambda rom: -rom.content.size)
    memory.content[:] ^= 1
    monkeypatch.setitem(EXECUTORS, "rtl", dataclasses.replace(EXECUTORS["rtl"], open=lambda files: backend))
    with pytest.raises(ProjectError, match=r"rtl: \d+ of 12 steps differ from torch"):
        require_equal(evaluate(task, run, "ecp5-25f", ("rtl",), 1))


def test_the_flow_not_taken_is_told(task: Task, tmp_path: Path, built: tuple[Result, Run]) -> None:
    narrow = dataclasses.replace(task, hardware=dataclasses.replace(task.hardware, inputs_per_clock=0))
    with pytest.raises(ProjectError, match=r"256 features by 256 units .* set hardware.inputs_per_clock"):
        synthesise(narrow, dataclasses.replace(SPEC, hidden=256), root=tmp_path)
    with pytest.raises(ProjectError, match=r"a streaming core, whose answer .* BACKEND=rtl"):
        DesignUnderProof(built[1], "ecp5-25f")
    assert find_designs(built[1].root) == []
    with pytest.raises(ProjectError, match="streams its observations"):
        explore(task, "stripes.toml", seconds=1.0, root=tmp_path)
    network = read_network(built[1].qonnx)
    with pytest.raises(ProjectError, match="built for ECP5 parts, not for ice40-up5k"):
        build_stream(network, "ice40-up5k", 50.0, 1, tmp_path, 4)


def test_the_result_names_the_stream_s_figures(built: tuple[Result, Run]) -> None:
    report = json.loads((built[1].report / "ooc_synth_and_timing.json").read_text(encoding="utf-8"))
    assert (report["interval"], report["inputs_per_clock"], report["weight_bits"]) == (64, 4, 3)
    assert np.isclose(report["latency_ns"], 1000 * report["cycles"] / report["fmax_mhz"], atol=0.01)


def test_the_page_shows_pictures_and_counts(built: tuple[Result, Run]) -> None:
    root = built[1].root
    write_reports(root)
    page = json.loads((root / "stripes" / "report.json").read_text(encoding="utf-8"))["policies"][0]
    assert np.shape(page["weights"]["layers"][0]["weight"]) == (UNITS_SHOWN, stripes.FEATURES)
    assert np.shape(page["episode"]["observations"]) == (stripes.STEPS, 2)
    assert page["episode"]["observations"][0][0] >= 32  # the stripe
    rtl = next(item for item in page["verification"] if item["backend"] == "rtl")
    assert (rtl["episodes"], rtl["mean_return"], rtl["steps"]) == (0, None, 36)
    html = (root / "stripes" / "report.html").read_text(encoding="utf-8")
    assert all(f"unit {unit}" in html for unit in page["weights"]["units"])
    assert len(html) < 3_000_000
    assert not [line for line in page["commands"] if "make prove" in line["command"]]  # it would be refused
