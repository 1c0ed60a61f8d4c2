"""No key of a task file takes a value that means nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile.tasks import Key, cases, keys, try_value

from hls4rl.errors import ProjectError
from hls4rl.task import Search, change, load_task


@pytest.mark.parametrize("key", keys(), ids=lambda key: key.name)
def test_a_key_refuses_what_is_no_value_of_it(key: Key, tmp_path: Path) -> None:
    values = [value for tried, value in cases() if tried == key]
    wrong = {value: fault for value in values if (fault := try_value(key, value, tmp_path))}
    assert wrong == {}


def test_the_trial_can_fail(tmp_path: Path) -> None:
    assert try_value(Key("training.episodes", int), "7", tmp_path) == "accepted"
    assert try_value(Key("training.nosuch", int), "7", tmp_path) == ""  # an unknown key is named, too


def test_every_key_is_tried() -> None:
    names = {key.name for key in keys()}
    some = {"solved", "observation.active", "training.evaluation_episodes", "pixels.clip_coef", "hardware.hls_part"}
    assert some <= names
    assert len(cases()) > 500


def test_a_change_adds_the_section_of_a_trainer_that_the_file_does_not_have() -> None:
    task, variant = change(load_task("cartpole"), "search.noise=0.3")
    assert task.search == Search(noise=0.3)
    assert variant not in ("", change(load_task("cartpole"), "ppo.num_envs=4")[1])
    with pytest.raises(ProjectError, match="no section 'pixels'; sections are observation, action, network, tr"):
        change(load_task("cartpole"), "pixels.num_envs=2")
