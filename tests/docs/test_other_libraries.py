"""The page on other libraries: each section's code writes a file that its command reads."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from hls4rl.options import PolicyOptions
from hls4rl.train.selection import train_seed

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "other-libraries.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in TEXT.split("\n## ")[1:]}
NAMES = {"POLICY": "policy", "ENV": "env", "NORMALISER": "normaliser", "ACTIVATION": "activation", "BITS": "bits"}


@pytest.mark.parametrize("title", [title for title, part in SECTIONS.items() if "```python" in part])
def test_what_a_section_writes_its_command_reads(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = SECTIONS[title]
    if "stable_baselines3" in part:
        pytest.importorskip("stable_baselines3", reason="pip install 'hls4rl[bench]'")
        torch.set_num_threads(1)
    code = re.search(r"```python\n(.*?)```", part, re.DOTALL)
    command = re.search(r"^make synth (.*)$", part, re.MULTILINE)
    assert code is not None
    assert command is not None
    monkeypatch.chdir(tmp_path)
    quick = code[1].replace("50_000", "300").replace("n_steps=64", "n_steps=64, seed=0")  # the same policy each time
    exec(compile(quick, title, "exec"), {"__name__": "docs"})
    words = dict(word.split("=", 1) for word in shlex.split(command[1]))
    values = {NAMES[name]: int(value) if name == "BITS" else value for name, value in words.items()}
    options = PolicyOptions(**values, settings="training.evaluation_episodes=2", root=tmp_path)  # type: ignore[arg-type]
    task, spec = options.read()
    report = json.loads(train_seed(task, spec, tmp_path).read_text(encoding="utf-8"))
    assert report["source"]["steps"] > 10
    if task.actions.is_continuous:
        assert report["source"]["mean_action_error"] < 0.1
    else:
        assert report["source"]["equal_actions"] > 0.9
