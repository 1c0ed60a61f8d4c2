"""A key's old name gives an error that says the new one, and that one exists."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hls4rl import task as task_file
from hls4rl.errors import ProjectError
from hls4rl.renamed import RENAMED
from hls4rl.task import TASK_DIRECTORY, change, load_task

SECTIONS = {"pixels": task_file.Pixels, "hardware": task_file.Hardware}


@pytest.mark.parametrize("old", RENAMED)
def test_an_old_key_is_answered_with_the_new_one(old: str, tmp_path: Path) -> None:
    section, _, key = old.partition(".")
    new_section, _, new_key = RENAMED[old].partition(".")
    assert new_key in {item.name for item in dataclasses.fields(SECTIONS[new_section])}
    path = tmp_path / "old.toml"
    text = (TASK_DIRECTORY / "pong.toml").read_text(encoding="utf-8")
    path.write_text(text.replace(f"[{section}]", f"[{section}]\n{key} = 1", 1), encoding="utf-8")
    with pytest.raises(ProjectError, match=f"'{old}' is now called '{RENAMED[old]}'"):
        load_task(str(path))
    with pytest.raises(ProjectError, match=f"'{old}' is now called '{RENAMED[old]}'"):
        change(load_task("pong"), f"{old}=1")
