"""The records: their files, the table beside what others published, and what a user may ask for."""

from __future__ import annotations

import html
import json
from pathlib import Path

import numpy as np
import pytest

from hls4rl.checked import write_checked
from hls4rl.errors import ProjectError
from hls4rl.report import write_reports
from hls4rl.studies.records.verbs import PEERS, POLICIES, PUBLISHED, RECORDS, TASKS, Line, draw, records, table_of
from hls4rl.task import load_task

CHEETAH = ("halfcheetah", "HalfCheetah-v5", "17-6, 4 bits")
LINES = [
    Line(*CHEETAH, 0, 4200.0, 10.0, 100_000, 0, 1_100, 800, 20.0, 6_000, 6_000_000, "make synth …"),
    Line(*CHEETAH, 1, 4000.0, 30.0, 100_000, 0, 900, 700, 18.0, 6_000, 6_000_000, "make synth …"),
]


def test_every_record_has_its_task_s_file_and_no_other_lies_there() -> None:
    assert {path.stem for path in TASKS.glob("*.toml")} == set(RECORDS)
    for name in RECORDS:
        task = load_task(str(TASKS / f"{name}.toml"))
        assert task.name == name
        assert (task.search or task.ppo or task.lqr) is not None
    assert {path.name for path in POLICIES.glob("*.safetensors")} == {item.policy for item in RECORDS.values()} - {""}


def test_the_table_has_each_seed_their_mean_and_the_peers() -> None:
    text = table_of(LINES)
    cells = "17-6, 4 bits, seed 1 | 4,000.0 ± 30.0 | 700 | 900 | 18.0 | 100,000, 0 | 6.00"
    assert f"| HalfCheetah-v5 | ours, {cells} |" in text
    assert "| HalfCheetah-v5 | **ours, 17-6, 4 bits**, seeds: 2 | mean 4,100.0, median 4,100.0 |" in text
    assert "| HalfCheetah-v5 | KANELÉ, 8 bits | 2,790 | 2828 | | 4.5 | | |" in text
    assert "Hopper" not in text
    assert PEERS.is_file()


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    draw(LINES, tmp_path / "records.png")
    assert (tmp_path / "records.png").stat().st_size > 1000


def test_the_kept_lines_are_shown_without_training(tmp_path: Path) -> None:
    records(published=True, root=tmp_path)
    shown = json.loads((tmp_path / "records.json").read_text(encoding="utf-8"))
    assert shown["lines"] == json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert all(line["mismatches"] == 0 for line in shown["lines"])
    page = write_reports(tmp_path)
    told = json.loads(page.read_text(encoding="utf-8"))["records"]
    assert [item["environment"] for item in told] == list(dict.fromkeys(line["environment"] for line in shown["lines"]))
    cheetah = next(item for item in told if item["environment"] == "HalfCheetah-v5")
    for network in cheetah["networks"]:
        returns = [line["return_netlist"] for line in cheetah["lines"] if line["network"] == network["network"]]
        assert (network["mean"], network["seeds"]) == (pytest.approx(np.mean(returns)), len(returns))
    text = page.with_suffix(".html").read_text(encoding="utf-8")
    assert all(line["command"] in html.unescape(text) for item in told for line in item["lines"])
    assert text.count("<svg") == 3 * len(told)
    assert "KANELÉ" in page.with_suffix(".md").read_text(encoding="utf-8")


def test_damaged_records_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    write_checked(file, {"lines": [3], "peers": {"Hopper-v5": []}})
    with pytest.raises(ProjectError, match="no records of this version; run `make records` again, or remove it"):
        write_reports(tmp_path)
    records(task="hopper", published=True, root=tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("3499", "3999"), encoding="utf-8")
    with pytest.raises(ProjectError, match="not the file that was written here"):
        write_reports(tmp_path)


def test_an_unknown_record_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no record 'breakout'"):
        records(task="breakout", root=tmp_path)
