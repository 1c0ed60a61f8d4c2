"""What the grid measures of a policy of Pong, and how long it takes.

The emulator leaves one thing to chance, the frames without an action at a game's start: greedy play has 31 games, and
all of them are played. Drawn actions and the paper's pace (:mod:`hls4rl.train.pixels.pong`) get as many.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import Policy, PolicySpec
from hls4rl.task import Task
from hls4rl.train.methods import METHODS
from hls4rl.train.parameters import Parameters
from hls4rl.train.pixels import trainer
from hls4rl.train.pixels.console.arcade import PongArcade
from hls4rl.train.pixels.pong import START_FRAMES
from hls4rl.train.pixels.rallies import draw
from hls4rl.train.pixels.sparse import Frames, columns_first, forward, quantise_all
from hls4rl.train.selection import EVALUATION_SEED
from hls4rl.train.vpg.kernel import Formats

PAPERS_PACE: dict[str, Any] = {"frameskip": [2, 5], "repeat_action_probability": 0.25}
GAMES = START_FRAMES + 1
FRAMES = 2600
"""Steps of a game, about, over a whole training."""
CHECKED = 64
"""Steps whose actions are compared with the integer network's."""


def measures(task: Task, policy: Policy) -> dict[str, Any]:
    """Mean returns of the deployed policy: greedy, drawn, and greedy at the paper's pace."""
    found = {
        "deployed": returns(task, policy, {}, sampled=False), "sampled": returns(task, policy, {}, sampled=True),
        "papers_pace": returns(task, policy, PAPERS_PACE, sampled=False),
    }
    return {name: round(float(values.mean()), 2) for name, values in found.items()}


def returns(task: Task, policy: Policy, pace: dict[str, Any], *, sampled: bool) -> FloatArray:
    """The return of each game, by its frames without an action; shape (31,)."""
    arcade, formats = PongArcade(GAMES, **pace), Formats.of(policy.contract)
    rng = np.random.default_rng(policy.spec.seed)
    latent = Parameters(policy.weights, policy.biases)  # type: ignore[arg-type]  # single precision, as in training
    network, backend = columns_first(latent), IntegerBackend(policy.network)
    quantise_all(columns_first(latent), formats, network)
    frames = Frames.of([arcade.start(game, EVALUATION_SEED + game, game) for game in range(GAMES)])
    total, overs, step = np.zeros(GAMES), np.zeros(GAMES, dtype=np.bool_), 0
    while not overs.all():
        passes = forward(formats, network, frames)
        actions = passes.logarithm.argmax(axis=1)
        if step < CHECKED and (backend.infer(frames.dense(task.features)).actions[:, 0] != actions).any():
            raise ProjectError(f"{policy.spec.directory_name}: its passes differ from its integers; please report it")
        if sampled:
            actions = draw(passes.policy, rng.random(GAMES))
        frames, rewards, overs = arcade.step(actions)
        total, step = total + rewards, step + 1
    return total


def estimate(specs: Sequence[PolicySpec], task: Task, workers: int | None) -> str:
    """How long training ``specs`` takes here, by what a few batches take now."""
    with contextlib.closing(trainer.run(task, specs[0])) as run:
        _, start, _, end = (time.perf_counter() for _ in itertools.islice(run, 4))
    rate = 2 * task_batch(task) / (end - start)
    shared = 1.0 - (task.midpoint or 0.0)
    frames = FRAMES * task.training.episodes * sum(shared if METHODS[spec.method].switches else 1.0 for spec in specs)
    return (
        f"{len(specs)} policies, {frames / 1e6:.1f} M frames: {frames / rate / 3600:.1f} hours here, at "
        f"{rate:,.0f} frames a second on {workers or os.cpu_count()} processors"
    )


def task_batch(task: Task) -> int:
    """Frames between two updates of the policy that plays."""
    assert task.pixels is not None
    return task.pixels.num_envs * task.pixels.num_steps
