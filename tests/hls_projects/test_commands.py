"""What the commands print and leave, where that is more than calling what other tests call."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import pytest
from typer.testing import CliRunner

from hls4rl.__main__ import app
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.parts import part_names
from hls4rl.studies.matrix import draw_matrix


def summary(method: str, hidden: int, **changes: object) -> dict[str, object]:
    figures = {"lut": 100 * hidden, "latency_ns": 9.5, "return_netlist": 199.6}
    return {"task": "cartpole", "part": "ecp5-25f", "method": method, "hidden": hidden} | figures | changes


def test_the_matrix_shows_what_was_placed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "none")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # else the file has the time of day, which may be 08:32:…
    rows = [
        summary("fp", 16), summary("binarynet", 64, return_netlist=-87.2),
        summary("pruning", 16, latency_ns=None),  # a part whose cells are counted only
        summary("fp", 32, task="acrobot", lut=None, part="xc7"),
    ]
    draw_matrix(rows, tmp_path / "matrix.svg")
    text = (tmp_path / "matrix.svg").read_text(encoding="utf-8")
    for shown in ("cartpole (ecp5-25f)", "acrobot", "16: 200", "64: -87", "binarynet"):
        assert f">{shown}<" in text, shown
    assert "pruning" not in text
    assert "32:" not in text


def test_the_matrix_is_a_png_too(tmp_path: Path) -> None:
    draw_matrix([summary("fp", 16)], tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")


def test_the_parts_are_listed_with_what_can_be_had() -> None:
    answer = CliRunner().invoke(app, ["parts"])
    assert answer.exit_code == 0
    for name in part_names():
        assert f" {name} " in answer.output
    assert "bitstream" in answer.output
    assert "counts only" in answer.output


@pytest.mark.parametrize(("arguments", "words"), [
    (["synth", "--onnx", "nowhere.onnx", "--root", "{root}"], "nowhere.onnx: no such file"),
    (["synth", "--onnx", "model.onnx", "--part", "abacus", "--root", "{root}"], "abacus"),
])
def test_a_wrong_way_to_ask_for_a_model_is_told(arguments: list[str], words: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, [item.format(root=tmp_path) for item in arguments])
    assert isinstance(answer.exception, ProjectError)
    assert words in str(answer.exception)
    assert not list(tmp_path.iterdir())
