from __future__ import annotations

from pathlib import Path

import pytest
from random_run import random_observations

from hls4rl.artefact import digest
from hls4rl.backend import Backend
from hls4rl.errors import ProjectError
from hls4rl.firmware import protocol
from hls4rl.firmware.bitstream import build_bitstream
from hls4rl.firmware.boards import BOARD_DIRECTORY, board_names, load_board
from hls4rl.firmware.design import Netlist
from hls4rl.firmware.hil import Session
from hls4rl.firmware.model import CLOCKS_PER_BIT, BoardModel, compile_board, exchange
from hls4rl.firmware.protocol import Action
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.fpga.wrapper import core_of, synthesise_around
from hls4rl.hls_projects.fpga.yosys import netlist_commands
from hls4rl.hls_projects.rtl.pipelined import CORE


@pytest.mark.parametrize("name", board_names())
def test_shipped_boards_are_whole(name: str) -> None:
    board = load_board(name)
    sites = [pin.site for pin in board.pins.values()]
    assert len(set(sites)) == len(sites)
    assert board.sources
    assert board.clocks_per_bit >= 4


@pytest.mark.xdist_group("bitstream")
@pytest.mark.parametrize("name", ["icebreaker", "colorlight-i5"])
def test_bitstreams_meet_their_board_s_clock(name: str, session: Session, tmp_path: Path) -> None:
    board, core = load_board(name), tmp_path / "core"
    netlist = synthesised(session, load_part(board.part), core)
    report = build_bitstream(session.design, netlist, board, tmp_path)
    assert report["fmax_mhz"] >= report["clock_mhz"]
    assert (tmp_path / report["bitstream"]).stat().st_size > 50_000
    assert report["load"].startswith("openFPGALoader -b ")
    assert report["core"] == {"part": board.part, "recipe": netlist.recipe, "netlist": digest(netlist.file)}
    placed, proven = core_of(tmp_path / NETLIST, CORE), core_of(netlist.file, CORE)
    assert {**placed, "attributes": None} == {**proven, "attributes": None}, "the core that is placed is the one proven"


def test_the_link_around_a_netlist_answers_as_the_policy(session: Session, policy: Backend, tmp_path: Path) -> None:
    part, design = load_part("ice40-up5k"), session.design  # all of whose cells have models for simulation
    core = synthesised(session, part, tmp_path / "core")
    top = tmp_path / "board.v"
    top.write_text(design.top(CLOCKS_PER_BIT), encoding="utf-8")
    netlist = synthesise_around(core.file, CORE, [top, *design.link], "board", part, tmp_path, core.recipe, pads=True)
    board = BoardModel(compile_board(netlist_commands(netlist, part.tools.models), [netlist], tmp_path))
    observations = random_observations(50)
    packed = protocol.pack_observations(observations, design.bits)
    exchange(board, protocol.DELIMITER)
    frames = exchange(board, protocol.infer_requests(list(range(50)), packed)).split(protocol.DELIMITER)
    answers = [protocol.read_answer(frame)[1] for frame in frames if frame]
    actions = [answer.action for answer in answers if isinstance(answer, Action)]
    assert actions == policy.infer(observations).actions[:, 0].tolist()


def synthesised(session: Session, part: Part, directory: Path) -> Netlist:
    """The core of the session's policy in cells of ``part``."""
    directory.mkdir()
    recipe = next(iter(part.tools.recipes))
    synthesise([session.design.core], CORE, part, directory, recipe)
    return Netlist(directory / NETLIST, part, recipe)


@pytest.mark.parametrize(("before", "after", "words"), [
    ("clock_mhz = 25 ", "clock_mhz = 3 ", "can't make 1000000 baud"),
    ("loader =", "loadr =", "unknown key 'loadr'"),
    ('part = "ecp5-85f"', 'part = "virtex"', "unknown part 'virtex'"),
    ('part = "ecp5-85f"', 'part = "xc7"', "boards with xilinx parts are not built here"),
    ('led = { site = "B2" }', "", "correct led"),
    ('pull = "up"', 'pull = "sideways"', "pins.rx.pull is 'sideways'"),
    ('site = "G2"', "", "'pins.clk.site' is missing"),
    ("[pins]", "[pins", "not valid TOML"),
])
def test_a_board_file_with_a_mistake(before: str, after: str, words: str, tmp_path: Path) -> None:
    text = (BOARD_DIRECTORY / "ulx3s.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ProjectError, match=words):
        load_board(str(path))
