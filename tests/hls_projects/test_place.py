from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from networks import small_network
from random_policies import random_policy

from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.hls_projects.flow import pipelined
from hls4rl.hls_projects.flow.pipelined import MAXIMUM_STAGES, build_for_clock, pipeline_for
from hls4rl.hls_projects.fpga import parts
from hls4rl.hls_projects.fpga.family import load_family
from hls4rl.hls_projects.fpga.nextpnr import unpack
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.fpga.wrapper import core_of
from hls4rl.hls_projects.fpga.yosys import netlist_commands
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.hls_projects.simulation.gates import elaborate
from hls4rl.hls_projects.simulation.pipelined import (
    BITSTREAM,
    SIMULATION,
    BitstreamBackend,
    NetlistBackend,
    RtlBackend,
    has_bitstream_model,
)


@pytest.mark.parametrize(("part", "task", "bitstream"), [
    ("ecp5-25f", "cartpole", "core.bit"), ("ice40-hx8k", "cartpole", "core.bin"), ("ice40-up5k", "acrobot", "core.bin"),
])
def test_a_small_policy_is_placed(part: str, task: str, bitstream: str, tmp_path: Path) -> None:
    network = random_policy(task, "binarynet", hidden=4).network
    result = build_for_clock(network, part, 20.0, 1, tmp_path)
    assert result == json.loads((tmp_path / RESULT).read_text(encoding="utf-8"))
    assert result["bitstream"] == bitstream
    assert (tmp_path / bitstream).stat().st_size > 10_000
    assert result["timing_met"]
    assert result["latency_ns"] == pytest.approx(1000 * result["cycles"] / result["fmax_mhz"], abs=0.01)
    assert 0 < result["lut"] < 300
    assert result["ff"] >= network.features * network.input.bits
    assert sum(step["delay_ns"] for step in result["critical_path"]) == pytest.approx(
        1000 / result["fmax_mhz"], rel=0.05
    )
    observations = check_observations(network.input, network.features)
    expected = network.infer(observations)
    rtl = RtlBackend(tmp_path).infer(observations)
    assert rtl.logits is not None
    assert np.array_equal(rtl.logits, expected)
    for actions in (rtl.actions, NetlistBackend(tmp_path).infer(observations).actions):
        assert np.array_equal(actions, np.argmax(expected, axis=1)[:, None])
    assert (result["not_read_back"] == "") == has_bitstream_model(tmp_path) == part.startswith("ice40")
    if not result["not_read_back"]:
        assert np.array_equal(BitstreamBackend(tmp_path).infer(observations).actions, rtl.actions)
    if part == "ice40-hx8k":
        check_flipped_bits(tmp_path, load_part(part), observations, rtl.actions)


def check_flipped_bits(built: Path, part: Part, observations: IntArray, actions: IntArray) -> None:
    """With the bits of the chip's last look-up table flipped, what is read back acts oppositely."""
    back, pins = part.tools.read_back, (built / "core.pcf").read_text(encoding="utf-8")
    text, ports = unpack(part.target, built / "core.bin", built), core_of(built / NETLIST, CORE)["ports"]
    assert back is not None
    top = back.decode(text, pins, part.place, ports, CORE)["modules"][CORE]
    drivers = {bits[0]: (name, cell) for name, cell in top["cells"].items()
               for pin, bits in cell["connections"].items() if pin in "OQ"}
    _, register = drivers[top["ports"]["action"]["bits"][0]]
    _, x, y, z = re.split("[XY_]+", drivers[register["connections"]["D"][0]][0])[:4]
    lines = text.read_text(encoding="utf-8").splitlines()
    for row in (1, 2):  # of the tile's two for this cell; its first eight bits in each are the table's
        place = lines.index(f".logic_tile {x} {y}") + 2 * int(z) + row
        bits = lines[place][36:44].translate(str.maketrans("01", "10"))
        lines[place] = lines[place][:36] + bits + lines[place][44:]
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    netlist = built / "flipped.json"
    netlist.write_text(json.dumps(back.decode(text, pins, part.place, ports, CORE)), encoding="utf-8")
    elaborate(netlist_commands(netlist, part.tools.models), CORE, built / SIMULATION / f"{BITSTREAM}.json")
    assert np.array_equal(BitstreamBackend(built).infer(observations).actions, 1 - actions)


def test_the_pipeline_grows_until_the_clock_is_met(tmp_path: Path) -> None:
    network = random_policy("cartpole", "binarynet", hidden=4).network
    part = load_part("ecp5-25f")
    assert 1 <= pipeline_for(network, 1.0, part) < pipeline_for(network, 150.0, part) <= MAXIMUM_STAGES
    result = build_for_clock(network, "ecp5-25f", 150.0, 1, tmp_path)
    stages = [item["stages"] for item in result["tries"]]
    assert stages == sorted(set(stages))
    assert result["cycles"] == stages[-1]
    assert result["timing_met"] == (result["fmax_mhz"] >= 150.0)
    assert result["timing_met"] or len(stages) > 1


def test_a_pipeline_whose_netlist_promises_a_miss_is_not_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_policy("cartpole", "fp", hidden=8, bits=4).network
    monkeypatch.setattr(pipelined, "pipeline_for", lambda *_: 1)
    monkeypatch.setattr(pipelined, "_AHEAD", range(10**9))  # the next one is synthesised beside the first
    result = build_for_clock(network, "ecp5-25f", 80.0, 1, tmp_path)
    first, *_, last = result["tries"]
    assert first["fmax_mhz"] is None
    assert first["promised_mhz"] < 1.02 * 80
    assert 80 <= last["fmax_mhz"] == result["fmax_mhz"]
    assert abs(last["promised_mhz"] / last["fmax_mhz"] - 1) < 0.2
    alone = build_for_clock(network, "ecp5-25f", 80.0, 1, tmp_path, stages=last["stages"])
    assert {**alone, "tries": None} == {**result, "tries": None}
    core = build_for_clock(network, "ecp5-25f", 80.0, 1, tmp_path, stages=1)  # the promise was kept
    assert core["fmax_mhz"] < 80


def test_no_clock_is_above_the_part_s_limit(tmp_path: Path) -> None:
    wire = small_network([[1, 0], [0, 1]], [[1, 0], [0, 1]], [0, 0])  # hardly more than a wire
    result = build_for_clock(wire, "ecp5-25f", 20.0, 1, tmp_path, stages=4)
    assert result["fmax_nextpnr_mhz"] > 257 == result["fmax_mhz"]
    assert result["fmax_capped_by"] == "the primary clock tree, grade 6"
    assert result["latency_ns"] == round(1000 * 4 / 257, 2)
    assert result["tries"][0]["fmax_mhz"] == 257
    with pytest.raises(ProjectError, match="a clock of 200 MHz is more than ice40-up5k is made for: 185 MHz, by"):
        build_for_clock(wire, "ice40-up5k", 200.0, 1, tmp_path)


@pytest.mark.parametrize(("family", "device", "cells", "mhz"), [
    ("ecp5", "--85k --speed 8", (), 370), ("ecp5", "--85k --speed 7", ("LUT4",), 303), ("ecp5", "--85k", (), 257),
    ("ecp5", "--85k --speed 8", ("MULT18X18D", "DP16KD"), 225), ("ecp5", "--85k --speed 8", ("DP16KD",), 272),
    ("ice40", "--hx8k --package ct256", (), 275), ("ice40", "--up5k", ("SB_MAC16",), 185), ("xilinx", "", (), None),
])
def test_the_limits_of_the_data_sheets(family: str, device: str, cells: tuple[str, ...], mhz: float | None) -> None:
    limit = load_family(family).clock_limit(device.split(), cells)
    assert (limit and limit.mhz) == mhz


def test_a_part_that_is_only_counted(tmp_path: Path) -> None:
    result = build_for_clock(small_network([[1, 2], [-3, 1]], [[1, 2], [2, -1]], [0, 0]), "xc7", 50.0, 3, tmp_path)
    assert result["fmax_mhz"] is None
    assert result["latency_ns"] is None
    assert result["bitstream"] is None
    assert result["result"] == "counts only, no timing"
    assert result["lut"] > 0


def test_a_design_too_large_for_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = (parts.PART_DIRECTORY / "ice40-up5k.toml").read_text(encoding="utf-8")
    folder, work = tmp_path / "parts", tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    (folder / "tiny.toml").write_text(shipped.replace("lut = 5280", "lut = 30"), encoding="utf-8")
    monkeypatch.setattr(parts, "PART_DIRECTORY", folder)
    network = random_policy("acrobot", "binarynet", hidden=6).network
    with pytest.raises(ProjectError, match=r"design too large for its part tiny: \d+ LUT of 30; take fewer"):
        build_for_clock(network, "tiny", 10.0, 1, work)
    assert list(work.iterdir()) == []
