"""A build's long steps: kept one by one, told, and left out where they take too long."""

from __future__ import annotations

from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest

from hls4rl.hls_projects.fpga import place
from hls4rl.hls_projects.fpga.nextpnr import Placement
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.steps import UNKEPT, Steps, side_by_side


def test_a_step_is_made_once_from_equal_inputs(tmp_path: Path) -> None:
    made, told = list[str](), list[str]()

    def maker(folder: Path) -> None:
        made.append("once more")
        (folder / "result").write_text(f"{len(made)}", encoding="utf-8")

    results = []
    for number, value in enumerate((1, 1, 2)):
        result = tmp_path / f"result-{number}"
        result.mkdir()
        Steps(tmp_path / "steps", told.append).make("a step", {"value": value}, maker, result)
        assert [path.name for path in result.iterdir()] == ["result"]
        results.append((result / "result").read_text(encoding="utf-8"))
    assert results == ["1", "1", "2"]
    assert told[1] == "a step: done before"
    changed = next(path for path in (tmp_path / "steps").iterdir() if (path / "result").read_text() == "1")
    (changed / "result").write_text("damaged", encoding="utf-8")
    Steps(tmp_path / "steps").make("a step", {"value": 1}, maker, tmp_path / "result-0")
    assert (tmp_path / "result-0" / "result").read_text(encoding="utf-8") == "3"
    Steps(tmp_path / "steps").clear()
    assert not (tmp_path / "steps").exists()
    UNKEPT.make("a step", {}, maker, tmp_path / "result-1")
    assert not (tmp_path / "steps").exists()


def test_a_seed_that_takes_too_long_is_left_out_and_a_stopped_build_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[tuple[int, float | None]]()
    stop_at = 3

    def placed(netlist: Path, target: Any, clock_mhz: float, seed: int, directory: Path, **given: Any) -> Placement:
        asked.append((seed, given["seconds"]))
        if seed == stop_at:
            raise KeyboardInterrupt
        if seed == 2:
            raise TimeoutExpired("nextpnr", 1.0)
        (directory / netlist.name).write_text("copied", encoding="utf-8")
        return Placement(seed, 50.0 + seed, 50.0 + seed, None, {}, {}, [], 30.0)

    monkeypatch.setattr(place, "place", placed)
    netlist, told = tmp_path / "netlist.json", list[str]()
    netlist.write_text("{}", encoding="utf-8")
    steps = Steps(tmp_path / "steps", told.append, seconds=60.0)

    def seeds(folder: str) -> list[Placement]:
        (tmp_path / folder).mkdir()
        return place.place_seeds(netlist, load_part("ecp5-25f"), 50.0, 4, tmp_path / folder, steps=steps)

    with pytest.raises(KeyboardInterrupt):
        seeds("first")
    stop_at = 0
    found = seeds("second")
    assert [item.seed for item in found] == [1, 3, 4]
    assert [seed for seed, _ in asked].count(1) == 1
    assert all(limit is not None and 80 < limit <= 90 for seed, limit in asked if seed > 1)  # thrice the first's
    assert any("seed 2: left out after 90 s" in line for line in told)


@pytest.mark.parametrize(("fmax", "counted"), [(60.0, [1, 2, 3]), (40.0, [1])])
def test_seeds_that_start_together_count_only_if_the_first_one_meets_the_clock(
    fmax: float, counted: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = set[int]()

    def placed(netlist: Path, target: Any, clock_mhz: float, seed: int, directory: Path, **_: Any) -> Placement:
        asked.add(seed)
        (directory / netlist.name).write_text("copied", encoding="utf-8")
        return Placement(seed, fmax + seed, fmax + seed, None, {}, {}, [], 30.0)

    monkeypatch.setattr(place, "place", placed)
    monkeypatch.setattr("hls4rl.hls_projects.fpga.steps.processors", lambda: 2)
    netlist = tmp_path / "netlist.json"
    netlist.write_text("{}", encoding="utf-8")
    found = place.place_seeds(netlist, load_part("ecp5-25f"), 50.0, 3, tmp_path, whole=False, together=True)
    assert [item.seed for item in found] == counted
    assert asked == {1, 2, 3}


def test_results_come_by_name_and_errors_come_through() -> None:
    assert side_by_side({"a": lambda: 1, "b": lambda: None}) == {"a": 1, "b": None}
    with pytest.raises(ZeroDivisionError):
        side_by_side({"a": lambda: 1 / 0})
