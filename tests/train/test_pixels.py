"""Pong's difference frames: the published preprocessing, three ways from the emulator."""

from __future__ import annotations

import numpy as np
import pytest
from ale_py.vector_env import AtariVectorEnv
from numpy.typing import NDArray

from hls4rl.task import load_task
from hls4rl.train.pixels.pong import ACTIONS, FRAME_SKIP, PIXELS, PongPixels, lit

STEPS = 1300
"""More than the longest game that a player who only guesses makes of it."""


def actions() -> NDArray[np.int64]:
    return np.random.default_rng(5).integers(len(ACTIONS), size=STEPS)


def test_frames_are_those_of_the_published_preprocessing() -> None:
    env = PongPixels(render_mode="rgb_array")
    observation, _ = env.reset(seed=1)
    before = published(env.render())
    assert not observation.any()
    for step, action in enumerate(actions()):
        observation, _, over, _, _ = env.step(action)
        now = published(env.render())
        assert np.array_equal(observation, now - before), step
        before = now
        if over:
            break
    assert over
    env.close()


def published(screen: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Karpathy's own description: crop, every second pixel, the two background reds to 0 and the rest to 1."""
    field = screen[35:195][::2, ::2, 0].astype(np.float64)
    field[(field == 144) | (field == 109)] = 0
    field[field != 0] = 1
    return field.ravel()


def test_frames_rewards_and_ends_are_those_of_the_vector_emulator() -> None:
    env, vector = PongPixels(), AtariVectorEnv(
        "pong", 1, num_threads=1, img_height=210, img_width=160, stack_num=1, frameskip=FRAME_SKIP, maxpool=False,
        noop_max=0, use_fire_reset=False, reward_clipping=False,
    )
    env.reset(seed=0, options={"start_frames": 0})
    screens, _ = vector.reset(seed=7)
    before, total = objects(screens), 0.0
    for step, action in enumerate(actions()):
        observation, reward, over, _, _ = env.step(action)
        screens, rewards, overs, _, _ = vector.step(np.array([ACTIONS[action]]))
        assert (reward, over) == (rewards[0], overs[0])
        total += reward
        if over:  # no action follows on this frame, and the vector emulator stops within it
            break
        now = objects(screens)
        assert np.array_equal(observation, now.astype(float) - before), step
        before = now
    assert over
    assert -21 <= total <= 21
    env.close()


def objects(screens: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """What is neither of the two grey levels of the playing field; the vector emulator knows no colours."""
    field = screens[0, 0, 35:195:2, ::2]
    return ((field != 87) & (field != 107)).ravel()


def test_paddles_and_ball_are_seen_and_nothing_else() -> None:
    env = PongPixels()
    env.reset(seed=0, options={"start_frames": 0})
    for _ in range(20):
        env.step(np.int64(0))
    field = lit(env.emulator.getScreen()).reshape(80, 80)
    columns = sorted(set(np.nonzero(field)[1].tolist()))
    assert field[:, 8:10].sum() == field[:, 70:72].sum() == 16, "two paddles of 2×8 pixels"
    assert field[:, [column for column in columns if column not in (8, 9, 70, 71)]].sum() == 2, "a ball of 1×2"
    env.close()


def test_the_task_sees_two_bit_integers() -> None:
    task = load_task("pong")
    env = task.make()
    env.reset(seed=3)
    seen = set()
    for action in actions()[:200]:
        observation, *_ = env.step(action)
        seen |= set(np.unique(task.integers(observation)).tolist())
    env.close()
    assert task.spaces == (PIXELS, 3)
    assert seen == {-1, 0, 1}
    assert (task.observation.type.minimum, task.observation.type.lsb) == (-2, 1.0)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_fixes_the_game_and_seeds_differ(seed: int) -> None:
    def opening(seed: int) -> NDArray[np.float32]:
        env = PongPixels()
        env.reset(seed=seed)
        frames = [env.step(action)[0] for action in actions()[:40]]
        env.close()
        return np.array(frames)

    assert np.array_equal(opening(seed), opening(seed))
    assert not np.array_equal(opening(seed), opening(seed + 1))


def test_a_game_does_not_depend_on_the_one_before() -> None:
    first, second = PongPixels(), PongPixels()
    second.reset(seed=4)
    for action in actions()[:333]:
        second.step(action)
    for env in (first, second):
        env.reset(seed=1)
    for action in actions()[:200]:
        assert np.array_equal(first.step(action)[0], second.step(action)[0])
    first.close()
    second.close()
