"""The compiled console of Pong: equal to ALE, which is another program; what it does not know stops it."""

from __future__ import annotations

import numpy as np
import pytest
from fuzz.console import compared
from numpy.typing import NDArray

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.task import Task, change, load_task
from hls4rl.train.pixels.arcade import GymArcade, open_arcade
from hls4rl.train.pixels.console.arcade import PongArcade
from hls4rl.train.pixels.console.translate import SIZE, translate
from hls4rl.train.pixels.sparse import Frames

PACE = {"frameskip": [2, 5], "repeat_action_probability": 0.25}
"""As Gym's Pong-v0 had it."""


Stepped = tuple[Frames, FloatArray, NDArray[np.bool_]]


def same(one: Stepped, other: Stepped) -> bool:
    frames = all(np.array_equal(ours, theirs) for ours, theirs in zip(one[0], other[0], strict=True))
    return frames and np.array_equal(one[1], other[1]) and np.array_equal(one[2], other[2])


def test_memory_screen_and_differences_are_ales() -> None:
    assert compared(1500, 1)["games"] == 2, "across the end of a game"


def test_chance_is_the_environments(pong: Task) -> None:
    pong.environment_options.update(PACE)
    one, other = PongArcade(2, **PACE), GymArcade(pong, 2)
    rng = np.random.default_rng(2)
    for game in range(2):
        assert np.array_equal(one.start(game, game)[0], other.start(game, game)[0])
    seen = 0
    for _ in range(150):
        actions = rng.integers(3, size=2)
        ours, theirs = one.step(actions), other.step(actions)
        assert same(ours, theirs)
        seen += len(ours[0].places)
    assert seen > 1000


def test_a_game_goes_on_from_its_snapshot() -> None:
    arcade, rng = PongArcade(2, **PACE), np.random.default_rng(3)
    for game in range(2):
        arcade.start(game, 5 + game)
    actions = rng.integers(3, size=(200, 2))
    for step in actions[:100]:
        arcade.step(step)
    kept = [arcade.snapshot(game) for game in range(2)]
    first = [arcade.step(step) for step in actions[100:]]
    for game in range(2):
        arcade.restore(game, kept[game])
    for step, before in zip(actions[100:], first, strict=True):
        assert same(arcade.step(step), before)


def test_a_changed_observation_is_not_the_consoles(pong: Task) -> None:
    assert isinstance(open_arcade(pong, 1), PongArcade)
    assert isinstance(open_arcade(change(pong, "observation.scale=[0.25]")[0], 1), GymArcade)


@pytest.fixture
def pong() -> Task:
    return load_task("pong")


def test_what_is_not_documented_is_refused_where_it_is_reached() -> None:
    program = bytearray(SIZE)
    program[0x7FC:] = bytes([0x00, 0xF0, 0x00, 0xF0])  # reset and BRK
    program[:3] = bytes([0xA9, 7, 0x02])  # LDA #7, and an opcode that halts a 6502
    text = translate(bytes(program))
    assert "L_f000: t += 2; a = n = z = uint8_t(7); goto L_f002;" in text
    assert "L_f002: REFUSE(0xf002);" in text


def test_another_cartridge_is_refused() -> None:
    with pytest.raises(ProjectError, match="4096 bytes"):
        translate(bytes(4096))


def test_a_pace_that_cannot_be_is_refused() -> None:
    with pytest.raises(ProjectError, match="frameskip of 0"):
        PongArcade(1, frameskip=0)
    with pytest.raises(ProjectError, match="plays 8 at most"):
        PongArcade(1, frameskip=9)
