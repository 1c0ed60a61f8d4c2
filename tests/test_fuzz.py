"""A slice of `make fuzz` for every commit: the same properties, fewer cases."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.conversion import PROPERTIES
from fuzz.imports import fuzz_imports
from fuzz.parsers import SHARES, fuzz_parser
from fuzz.run import run_property

CASES = {
    "QONNX, ONNX Runtime and fractions": 40, "RTL traces": 30, "Verilog gates": 2, "hls4ml C simulation": 1,
    "imported models": 30,
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_a_slice_of_each_property(name: str) -> None:
    assert run_property(name, CASES[name])["cases"] >= CASES[name]


@pytest.mark.parametrize("name", SHARES)
def test_a_slice_of_each_parser_s_damage(name: str, tmp_path: Path) -> None:
    count = 3 * SHARES[name]
    for start in (1, 2):  # one after another in one process, as `make fuzz` does
        found = fuzz_parser(name, tmp_path, count, start)
        assert found["read"] + found["refused"] == count


def test_a_slice_of_the_imported_graphs(tmp_path: Path) -> None:
    counts = fuzz_imports(range(1_000_000, 1_000_080), tmp_path)
    assert counts["graphs"] == 80
    assert counts["built"] > 20
    assert counts["refused"] > 10


def test_the_fuzz_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.parsers.load_task", lambda path: Path(path).read_text(encoding="utf-8"))
    with pytest.raises(AssertionError, match="task file: UnicodeDecodeError"):
        fuzz_parser("task file", tmp_path, 500)
    assert (tmp_path / "crash-task-file").is_file()
