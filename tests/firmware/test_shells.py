from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hls4rl.contract import CONTINUOUS, FixedPoint
from hls4rl.errors import ProjectError
from hls4rl.firmware.shells import Shell
from hls4rl.firmware.shells.bench import ShellBackend, Trouble, build_bench
from hls4rl.firmware.shells.shell import FOLDED, UNROLLED, shell_of
from hls4rl.firmware.shells.verbs import try_transactions
from hls4rl.firmware.shells.write import header, top_verilog, write_shell
from hls4rl.hls_projects.rtl.folded import write_folded
from hls4rl.network import IntegerNetwork, Layer

pytestmark = pytest.mark.xdist_group("firmware")
KIND = FixedPoint(6, 3)


def continuous() -> IntegerNetwork:
    rng = np.random.default_rng(2)
    layers = (
        Layer(rng.integers(-8, 8, (4, 5)), 0.125, rng.integers(-9, 9, 4), 2.0**-6, FixedPoint(6, 3, signed=False)),
        Layer(rng.integers(-8, 8, (2, 4)), 0.125, rng.integers(-9, 9, 2), 2.0**-6, KIND),
    )
    return IntegerNetwork(KIND, layers, CONTINUOUS)


def a_shell(bus: str, widths: tuple[int, ...] = (2, 3), features: int = 5, bits: int = 6) -> Shell:
    return Shell(bus, Path("policy_core.v"), (), UNROLLED, features, bits, features, widths, False, 3, 0x1234)


# The three buses around other cores, and 10^5 transactions: make bench-shells.
def test_a_folded_continuous_core_answers_through_axi_lite_whatever_happens_on_the_bus(tmp_path: Path) -> None:
    network, rtl = continuous(), tmp_path / "rtl"
    rtl.mkdir()
    write_folded(network, rtl, 1)
    backend = ShellBackend(shell_of(rtl, "axil", 0xABCD), build_bench(shell_of(rtl, "axil", 0xABCD), tmp_path / "axil"))
    found = try_transactions(backend, network, 1500)
    assert found["mismatches"] == 0
    assert found["resets"] > 3
    assert found["damaged"] > 3
    wrong = replace(network, layers=(network.layers[0], replace(network.layers[1], bias=network.layers[1].bias + 8)))
    assert try_transactions(backend, wrong, 100)["mismatches"] > 0
    with pytest.raises(ValueError, match="shape"):
        backend.exchange(np.zeros((3, 4), dtype=np.int64))
    backend.trouble = Trouble(reset_every=1)  # so that it never comes to an answer
    with pytest.raises(ProjectError, match="clock"):
        backend.exchange(np.zeros((1, 5), dtype=np.int64))
    backend.close()


def test_lanes_are_whole_bytes_and_streams_powers_of_two() -> None:
    stream = a_shell("axis")
    assert (stream.lane_bits, stream.lanes, stream.in_bits, stream.observation_beats) == (8, 5, 64, 1)
    assert (stream.action_lane, stream.out_bits) == (8, 16)
    wide = a_shell("axis", features=100, bits=12)
    assert (wide.lane_bits, wide.lanes, wide.in_bits, wide.observation_beats) == (16, 64, 1024, 2)
    registers = a_shell("axil", features=5, bits=12)
    assert (registers.lanes, registers.observation_beats) == (2, 3)
    folded = replace(registers, kind=FOLDED, word_features=1)
    assert (folded.lanes, folded.observation_beats, folded.drain) == (1, 5, 1)
    assert a_shell("wishbone", (4,) * 17).address_bits == 6


def test_every_answer_on_its_way_has_a_place_in_the_queue() -> None:
    for cycles in (1, 4, 5, 13, 24):
        assert 1 << replace(a_shell("axis"), cycles=cycles).depth_bits >= cycles + 4


def test_an_unknown_bus_is_refused_by_name() -> None:
    with pytest.raises(ProjectError, match=r"--bus 'avalon'.*axis, axil, wishbone"):
        a_shell("avalon")


def test_what_is_written_holds_together(tmp_path: Path) -> None:
    core = tmp_path / "policy_core.v"
    core.write_text("module policy_core; endmodule\n")
    for bus, files in (("axis", 0), ("axil", 1), ("wishbone", 2)):
        place = tmp_path / bus
        place.mkdir()
        shell = replace(a_shell(bus), core=core)
        made = write_shell(shell, place)
        assert all((place / name).is_file() for name in made["verilog"])
        assert len(list(place.glob("policy.h")) + list(place.glob("policy_litex.py"))) == files
        assert "$" not in "".join(path.read_text() for path in place.glob("policy.h"))
        assert f"shell_{bus} #(" in top_verilog(shell)
    compile((tmp_path / "wishbone" / "policy_litex.py").read_text(), "policy_litex.py", "exec")
    assert "#define POLICY_BEATS 2u" in header(replace(a_shell("axil"), core=core))
