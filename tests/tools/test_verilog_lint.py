from __future__ import annotations

from pathlib import Path

import pytest

from hls4rl.firmware.design import VERILOG
from tools.verilog_lint import verilator


@pytest.mark.parametrize(("old", "new", "told"), [
    ("wire [7:0]  inverted", "wire [6:0]  inverted", "WIDTHTRUNC"),
    (".busy(crc_busy), .good()", ".good()", "PINMISSING"),
    ("wire sent =", "wire spare = settled; wire sent =", "UNUSEDSIGNAL"),
    ("wire sent =", "wire late; wire sent = late &&", "UNDRIVEN"),
])
def test_a_fault_is_told(old: str, new: str, told: str, tmp_path: Path) -> None:
    text = (VERILOG / "frame_sender.v").read_text("utf-8")
    others = [VERILOG / "crc32.v", VERILOG / "uart_transmitter.v"]
    assert old in text
    faulty = tmp_path / "frame_sender.v"
    faulty.write_text(text.replace(old, new), "utf-8")
    assert not verilator()(tmp_path, "frame_sender", [VERILOG / "frame_sender.v", *others], ())
    assert told in verilator()(tmp_path, "frame_sender", [faulty, *others], ())
