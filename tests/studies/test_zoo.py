"""The verb zoo: agents of a folder, each through import, in one table that grows and goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pretrained_files import DISCRETE, named, network, write_sb3
from typer.testing import CliRunner

import hls4rl
from hls4rl.__main__ import app
from hls4rl.errors import ProjectError
from hls4rl.studies.zoo import find_agents, newest, published_returns


def test_a_readme_s_table_is_read() -> None:
    text = """
| file | network | environment | mean | std |
|---|---|---|--:|--:|
| ppo/Acrobot-v1 (norm) | tanh 64-64 | Acrobot-v1 | −71.4 | 9.5 |
| ppo/Walker2d-v3 (norm) | tanh 64-64 | – | – | – |
| ars/Hopper-v3 (norm) | linear 11→3 | Hopper-v5 | **3,290** | 4.5 |
"""
    assert published_returns(text) == {"ppo/Acrobot-v1": "-71.4 ± 9.5 (std)", "ars/Hopper-v3": "3290 ± 4.5 (std)"}


def test_environments_are_gymnasiums_newest() -> None:
    assert newest("CartPole-v0") == "CartPole-v1"
    assert newest("NoSuchThing-v0") == "NoSuchThing-v0"


def test_every_agent_has_a_row_and_a_second_call_makes_nothing_again(tmp_path: Path) -> None:
    folder, root = tmp_path / "agents", tmp_path / "runs"
    (folder / "ppo").mkdir(parents=True)
    model = network([4, 5, 4, 2])
    parts = ("mlp_extractor.policy_net", slice(0, 4)), ("action_net", slice(4, 5))
    write_sb3(folder / "ppo" / "CartPole-v0.zip", "stable_baselines3.common.policies", "ActorCriticPolicy",
              named(model, *parts), DISCRETE)
    (folder / "ppo" / "Odd-v0.zip").write_bytes(b"nothing")
    (tmp_path / "README.md").write_text("| ppo/CartPole-v0 | x | 9.5 | 0.7 |\n", encoding="utf-8")
    words = ["zoo", "--policies", str(folder), "--episodes", "4", "--root", str(root)]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    rows = {row["name"]: row for row in json.loads((root / "zoo" / "zoo.json").read_text(encoding="utf-8"))["agents"]}
    assert [item.name for item in find_agents(folder, {})] == list(rows)
    row = rows["ppo/CartPole-v0"]
    assert (row["environment"], row["network"], row["published"]) == ("CartPole-v1", "tanh 5-4", "9.5 ± 0.7 (std)")
    assert "±" in row["float_return"]
    assert set(row["rounded"]) == {"16", "8"}
    assert row["core"].startswith("about ")
    assert "Odd-v0.zip" in rows["ppo/Odd-v0"]["error"]
    made = {path: path.stat().st_mtime_ns for path in root.rglob("policy.safetensors")}
    assert len(made) == 2
    assert CliRunner().invoke(app, words).exit_code == 0
    assert made == {path: path.stat().st_mtime_ns for path in root.rglob("policy.safetensors")}
    assert (root / "zoo" / "zoo.md").read_text(encoding="utf-8").count("\n") == 4


def test_a_student_of_few_units_and_a_task_file_beside_the_agent(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    hls4rl.save_policy(network([4, 2]), tmp_path / "a" / "mine.safetensors")
    (tmp_path / "a" / "mine.toml").write_text(
        'environment = "CartPole-v1"\nenvironment_options = { max_episode_steps = 20 }\n[distillation]\nrounds = 1\n'
        "steps = 64\nupdates = 5\nvalidation_episodes = 1\n", encoding="utf-8",
    )
    words = ["zoo", "--policies", str(tmp_path), "--episodes", "2", "--hidden", "3", "--root", str(tmp_path / "runs")]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    found = json.loads((tmp_path / "runs" / "zoo" / "zoo.json").read_text(encoding="utf-8"))
    row = found["agents"][0]
    assert (row["name"], row["environment"], row["error"]) == ("a/mine", "CartPole-v1", "")
    assert "±" in row["student"]
    assert "ns" in row["student"]
    assert found["columns"][-1] == "student of 3 units, 8 bits; its core"


def test_an_empty_folder_and_unknown_builds_are_refused(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["zoo", "--policies", str(tmp_path), "--root", str(tmp_path)])
    assert isinstance(answer.exception, ProjectError)
    assert "no agents" in str(answer.exception)
    (tmp_path / "ppo").mkdir()
    (tmp_path / "ppo" / "CartPole-v1.zip").write_bytes(b"x")
    answer = CliRunner().invoke(app, ["zoo", "--policies", str(tmp_path), "--build", "a/b", "--root", str(tmp_path)])
    assert isinstance(answer.exception, ProjectError)
    assert "a/b" in str(answer.exception)


@pytest.mark.parametrize("name", ["zoo", "synth"])
def test_the_help_tells_of_it(name: str) -> None:
    answer = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert ("--policies" if name == "zoo" else "--policy") in answer.output
