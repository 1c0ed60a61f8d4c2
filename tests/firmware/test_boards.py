from __future__ import annotations

from pathlib import Path

import pytest

from hls4rl.errors import ProjectError
from hls4rl.firmware.bitstream import build_bitstream
from hls4rl.firmware.boards import BOARD_DIRECTORY, board_names, load_board
from hls4rl.firmware.hil import Session


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
    report = build_bitstream(session.design, load_board(name), tmp_path)
    assert report["fmax_mhz"] >= report["clock_mhz"]
    assert (tmp_path / report["bitstream"]).stat().st_size > 50_000
    assert report["load"].startswith("openFPGALoader -b ")


@pytest.mark.parametrize(("before", "after", "words"), [
    ("clock_mhz = 25 ", "clock_mhz = 3 ", "can't make 1000000 baud"),
    ("loader =", "loadr =", "unknown key 'loadr'"),
    ('family = "ecp5"', 'family = "virtex"', "unknown family 'virtex'"),
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
