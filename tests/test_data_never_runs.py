"""Names and texts that end in the input of another program mean themselves there, or are refused at the door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hls4rl.__main__ import app
from hls4rl.errors import ProjectError
from hls4rl.firmware.boards import load_board
from hls4rl.hls_projects.fpga.yosys import quoted, run_yosys
from hls4rl.report.write import _render, code, escaped

PROJECT = Path(__file__).resolve().parent.parent
BOARD = (PROJECT / "firmware" / "boards" / "ulx3s.toml").read_text(encoding="utf-8")
ODD = "it's $(touch ran) `touch ran`; #1 & 50% {x} ü (2) !x ~ a|b"
"""A folder's name that is fine."""


@pytest.mark.parametrize("character", ['"', "\\", "*", "?", "[", "]", "\n", "\x1b"])
def test_a_root_that_tools_read_as_more_than_a_name_is_refused(character: str, tmp_path: Path) -> None:
    root = tmp_path / f"a{character}b"
    answer = CliRunner().invoke(app, ["train", "--root", str(root)])
    assert isinstance(answer.exception, ProjectError)
    assert "take another folder" in str(answer.exception)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ProjectError, match="take another folder"):
        quoted(root / "core.v")


def test_yosys_takes_an_odd_folder_for_what_it_is(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir()
    (folder / "a.v").write_text("module a (input x, output y); assign y = x; endmodule\n", encoding="utf-8")
    run_yosys([f"read_verilog {quoted(folder / 'a.v')}", "write_json a.json"], folder, folder / "yosys.log")
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "a.v", "yosys.log"]
    assert [path.name for path in tmp_path.iterdir()] == [ODD]


@pytest.mark.parametrize("setting", [
    'hardware.hls_part="[exec touch ran]"', 'hardware.hls_part="xc7z020\\nexec touch ran"', 'hardware.part="../../x"',
    'hardware.hls_backend="Vitis; touch ran"', 'hardware.hls_part="$::env(HOME)"',
])
def test_a_setting_that_ends_in_tcl_is_refused(setting: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["train", "--set", setting, "--root", str(tmp_path)])
    assert isinstance(answer.exception, ProjectError)
    assert setting.partition("=")[0] in str(answer.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("before", "after", "key"), [
    ('"--85k"', '"--run"', "device"), ('"--85k"', '"--pre-pack=touch.py"', "device"),
    ('"CABGA381"', '"a b"', "device"), ('site = "G2"', "site = 'G2\"; FREQUENCY'", "pins.clk.site"),
    ('"ulx3s"', '"x; touch ran"', "loader"), ('"ulx3s"', '"$(touch ran)"', "loader"),
    ('"ulx3s"', '"ulx3s"\nname = "../x"', "name"), ('"ulx3s"', '"ulx3s"\npacker = ["--spimode", "/x"]', "packer"),
])
def test_a_board_that_says_more_than_names_is_refused(before: str, after: str, key: str, tmp_path: Path) -> None:
    assert before in BOARD
    file = tmp_path / "mine.toml"
    file.write_text(BOARD.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ProjectError, match=rf"mine.toml: {key} "):
        load_board(str(file))


def test_a_page_shows_html_and_markdown_and_runs_neither() -> None:
    bad = "<script>alert(1)</script> [x](javascript:1) | `a` **b**\n# c"
    point = {"label": bad, "front": True, "equals": 0, "return": 1.0, "lut": 1, "latency_ns": 1, "energy_pj": 1.0,
             "command": "make synth SET='a`b|c`'"}
    model = {"model": bad, "environment": bad, "part": "xc7", "greedy_return": None, "observations": 1, "mismatches": 0,
             "lut": 1, "ff": 1, "dsp": 0, "bram": 0, "fmax_mhz": None, "cycles": 1, "latency_ns": None}
    line = {"network": bad, "seed": bad, "return_netlist": 1.0, "interval": 1.0, "lut6": 1, "lut4": 1,
            "latency_ns": bad, "mismatches": 0, "steps_compared": 1, "command": "make records SET='a`b|c`'"}
    network = {"network": bad, "seeds": 1, "mean": 1.0, "median": 1.0}
    record = {"environment": bad, "networks": [network], "lines": [line],
              "peers": [{"name": bad, "return": 1, "lut6": bad, "note": bad}]}
    content: dict[str, Any] = {"rows": [], "imported": [model], "records": [record], "tasks": [{
        "task": "mine", "environment": bad, "policies": 1, "trials": 1, "smallest": None, "fastest": None,
        "leanest": None, "points": [point],
    }]}
    text = _render("overview.md.j2", content, {}, lambda _, shown: shown)
    assert "<script" not in text
    assert "[x](" not in text
    assert "\n# c" not in text
    assert text.count("``make synth SET='a`b\\|c`'``") == 1
    for column, count in (("make synth", 7), ("| xc7 |", 12), ("make records", 9)):
        row = next(line for line in text.splitlines() if column in line)
        assert row.replace("\\|", "").count("|") == count


def test_plain_words_stay_plain() -> None:
    assert escaped("ALE/Pong-v5: 3.5 % of fixed_point (a, b); −1") == "ALE/Pong-v5: 3.5 % of fixed_point (a, b); −1"
    assert code("make synth ENV=pong") == "`make synth ENV=pong`"
