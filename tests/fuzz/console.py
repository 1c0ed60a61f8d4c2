"""Pong's compiled console beside ALE, which shares no code with it: memory, screen, differences, rewards, ends."""

from __future__ import annotations

import ctypes
import time

import numpy as np
from numpy.typing import NDArray

from hls4rl.train.pixels.console.arcade import PongArcade
from hls4rl.train.pixels.console.library import console_library
from hls4rl.train.pixels.pong import PIXELS, START_FRAMES, PongPixels

STEPS = 1_000_000
PADDLE, BALL = 51, 54
"""Bytes of the console's memory: how far up the player's paddle and the ball are."""


def against_ale(fraction: float, seed: int) -> dict[str, int]:
    """A million steps of four pictures; after each, all that there is to see is the same.

    Raises:
        AssertionError: something is not.
    """
    return {**compared(max(1, round(STEPS * fraction)), seed), **rates()}


def rates(steps: int = 4_000, games: int = 16) -> dict[str, int]:
    """Frames of four pictures that ALE and the compiled console play in a second of one processor, at random."""
    rng, env, arcade = np.random.default_rng(0), PongPixels(), PongArcade(games)
    env.reset(seed=0)
    started = time.process_time()
    for action in rng.integers(3, size=steps):
        if any(env.step(action)[2:4]):
            env.reset()
    ale, started = time.process_time() - started, time.process_time()
    for game in range(games):
        arcade.start(game, game, 0)
    for _ in range(steps // games):  # too few for a game to end
        arcade.step(rng.integers(3, size=games))
    ours = time.process_time() - started
    env.close()
    return {"ale_frames_per_second": round(steps / ale), "console_frames_per_second": round(steps / ours)}


def compared(steps: int, seed: int) -> dict[str, int]:
    """Play ``steps`` steps on both; answers games, points and steps.

    Every second game is played at random, and every other by one who follows the ball most of the time and wins.
    """
    rng, env, (arcade, ram, screen) = np.random.default_rng(seed), PongPixels(), painted()
    games = points = step = 0
    while step < steps:
        start, follows, over = int(rng.integers(START_FRAMES + 1)), games % 2, False
        env.reset(seed=games, options={"start_frames": start})
        arcade.start(0, games, start)
        while not over and step < steps:
            action = int(rng.integers(3))
            if follows and rng.random() < 0.9:
                action = 0 if ram[PADDLE] == ram[BALL] else 1 if ram[PADDLE] > ram[BALL] else 2
            seen, reward, over, cut, _ = env.step(np.int64(action))
            frames, rewards, overs = arcade.step(np.array([action]))
            dense = np.zeros(PIXELS)
            dense[frames.places] = frames.values
            assert np.array_equal(env.emulator.getRAM(), ram), f"memory, game {games}, step {step}"
            assert np.array_equal(env.emulator.getScreen().ravel(), screen), f"screen, game {games}, step {step}"
            assert np.array_equal(seen, dense), f"difference, game {games}, step {step}"
            assert (reward, over or cut) == (rewards[0], overs[0]), f"reward or end, game {games}, step {step}"
            over, points, step = over or cut, points + int(reward != 0), step + 1
        games += 1
    env.close()
    return {"games": games, "points": points, "steps": step}


def painted() -> tuple[PongArcade, NDArray[np.uint8], NDArray[np.uint8]]:
    """One game that paints its screen, views of its console's memory, shape (128,), and screen, shape (33600,)."""
    library, arcade = console_library(), PongArcade(1)
    (console,) = arcade.consoles
    library.console_paint(console)

    def view(function: str, size: int) -> NDArray[np.uint8]:
        address = ctypes.cast(getattr(library, function)(console), ctypes.POINTER(ctypes.c_uint8))
        return np.ctypeslib.as_array(address, (size,))

    return arcade, view("console_ram", 128), view("console_screen", 210 * 160)
