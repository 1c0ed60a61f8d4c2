"""The trainer for observations of thousands of pixels that are almost all zero, as difference frames are.

Policy gradient on whole rallies (:mod:`hls4rl.train.pixels.rallies`): play every game some steps, standardise the
discounted returns of the rallies that ended, and learn from them in ``update_epochs`` of ``num_minibatches`` each. A
step counts only while the probability of its action has moved less than ``clip_coef`` in the direction of its advantage
(Schulman et al., "Proximal Policy Optimization Algorithms", 2017, eq. 7); there is no critic. With one epoch of one
minibatch this is plain policy gradient (paper eq. 4).

fp, compression and pruning are trained alike up to the midpoint, in real numbers (paper algorithms 2 and 3): that half
is trained once, in a folder of its own, and each of them goes on from there.

Towards the end of a run (``pixels.annealing``) the policy grows sure of itself, so that the deployed one, which takes
the likeliest action, does as well as the one that draws: Pong repeats itself, and a greedy policy that loses one rally
may lose all 21 in the same way.

A run keeps its state in ``checkpoint.safetensors`` at least every minute, games in mid-air included. A killed run goes
on from there and ends in the same bytes as one that was never stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hls4rl.artefact import exclusive
from hls4rl.contract import Binary, Contract, FloatArray, IntArray
from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.checkpoint import below
from hls4rl.train.keeper import Keeper
from hls4rl.train.methods import method as create_method
from hls4rl.train.methods.base import real_contract
from hls4rl.train.parameters import Parameters
from hls4rl.train.pixels.arcade import require_fit
from hls4rl.train.pixels.rallies import RolloutBatch
from hls4rl.train.pixels.sparse import Frames, adam, columns_first, flat, forward, gradients, quantise_all
from hls4rl.train.pixels.workers import RolloutWorkers
from hls4rl.train.state import Streams, TrainingState
from hls4rl.train.vpg.advantage import SMALLEST_VARIANCE
from hls4rl.train.vpg.kernel import Formats, dot

CHECKPOINT_SECONDS = 30.0
"""Time between two checkpoints; one batch takes a second or two more."""

SLOWEST = 1e-3
"""Least factor on the learning rate where it follows the divergence; the greatest is 1."""

LATER = frozenset({
    "episodes", "midpoint", "annealing", "shared_learning_rate", "latent_limit", "late_rate", "reset_at_midpoint"
})
"""Settings that mean nothing before the midpoint, or not to those who share what comes before it."""


def run(task: Task, spec: PolicySpec, directory: Path | None = None) -> Generator[TrainingState, None, None]:
    """Train one policy; yields its state after every batch, and the last one is the result.

    Args:
        task: with a ``[pixels]`` section.
        spec: the policy.
        directory: the run's folder, for checkpoint and curve; None keeps nothing.

    Raises:
        ProjectError: the task's environment cannot be made, is of another kind, or cannot keep its state.
    """
    require_fit(task)
    trainer = _Trainer(task, spec)
    keeper = None if directory is None else Keeper(directory, _inputs(task, spec))
    # With more threads the sums of matrix products, and so the bytes, would depend on the machine.
    with contextlib.closing(trainer.workers), threadpool_limits(1):
        if keeper is not None:
            keeper.load(trainer)
        if not trainer.halfway:
            yield from _first_half(trainer, directory, keeper)
            trainer.pass_midpoint()
        yield from _until(trainer, task.training.episodes, keeper)
        yield trainer.state  # also if the run had ended before


def _first_half(trainer: _Trainer, directory: Path | None, keeper: Keeper | None) -> Iterator[TrainingState]:
    """Train to the midpoint; methods that share this half keep it in a folder that they share, too."""
    task, spec = trainer.task, trainer.spec
    midpoint = _midpoint(task)
    if directory is None or not trainer.method.starts_real:
        yield from _until(trainer, midpoint, keeper)
        return
    place = directory.parent / "first-half" / f"h{spec.shape}-s{spec.seed}"
    with exclusive(place):
        shared = Keeper(place, _inputs(task, spec, shared=True))
        shared.load(trainer)
        yield from _until(trainer, midpoint, shared)


def _until(trainer: _Trainer, episodes: int, keeper: Keeper | None) -> Iterator[TrainingState]:
    started = time.perf_counter() - trainer.state.seconds
    while len(trainer.state.returns) < episodes:
        trainer.play_and_learn()
        trainer.state.seconds = time.perf_counter() - started
        if keeper is not None:
            keeper.write_curve(trainer.state)
            keeper.keep(trainer, 0.0 if len(trainer.state.returns) >= episodes else CHECKPOINT_SECONDS)
        yield trainer.state


def _midpoint(task: Task) -> int:
    """Episodes before compression and pruning switch."""
    return round(task.training.episodes * task.midpoint)


def _inputs(task: Task, spec: PolicySpec, shared: bool = False) -> dict[str, Any]:
    """What a training state depends on; the half that methods share depends on fewer of the settings."""
    assert task.pixels is not None
    later = LATER if shared else frozenset()
    kept = {**asdict(task.training), **asdict(task.pixels)}
    return {
        "environment": [task.environment, task.environment_options],
        "observation": asdict(task.observation),
        "network": None if shared else asdict(task.network),
        "settings": {key: value for key, value in kept.items() if key not in later | {"seeds"}},
        "first_half": _midpoint(task),
        "spec": {"hidden": spec.shape, "seed": spec.seed} if shared else spec.to_json(),
    }


class _Trainer:
    """One run: games, parameters, optimiser and method."""

    def __init__(self, task: Task, spec: PolicySpec) -> None:
        assert task.pixels is not None
        self.task, self.spec, self.pixels = task, spec, task.pixels
        self.streams, self.method = Streams.of(spec.seed), create_method(spec)
        features, actions = task.spaces
        (hidden,) = spec.hidden
        parameters = Parameters.uniform((features, hidden, actions), self.streams.start)
        self.method.initialise(parameters, task.training.output_gain)
        self.state = TrainingState(columns_first(parameters), [])
        self._gradient = columns_first(parameters)  # one for all updates: fresh memory is slow
        self.workers = RolloutWorkers(task, self.pixels.num_envs, hidden, self.streams.actions)
        self.halfway, self._pace = False, 1.0
        self._forget()
        self._follow(real_contract(task, spec) if self.method.starts_real else self.method.training_contract(task))

    def play_and_learn(self) -> None:
        """Play every game some steps, and learn from the rallies that ended."""
        quantise_all(self.state.parameters, self._formats, self.workers.network)
        batch = self.workers.play(self.pixels.num_steps, self._formats)
        self.state.steps += self.pixels.num_envs * self.pixels.num_steps
        self.state.returns += batch.scores.tolist()
        self.state.ends += [self.state.steps] * len(batch.scores)
        if len(batch.actions):
            self._learn(batch)

    def pass_midpoint(self) -> None:
        """Switch as the method has it."""
        self.halfway = True
        if self.method.switches:
            self.method.at_midpoint(self.state.parameters, self.streams.start)
            self._follow(self.method.training_contract(self.task))
        if self.method.switches or self.task.training.reset_at_midpoint:
            self._forget()

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state that is arrays, by name."""
        kept = {"parameters": self.state.parameters, "first": self._first, "second": self._second}
        return {
            **{f"{kind}.{index}": flat(array) for kind, arrays in kept.items() for index, array in enumerate(arrays)},
            **{f"method.{name}": array for name, array in self.method.arrays().items()},
            **{f"game.{name}": array for name, array in self.workers.arrays().items()},
            "returns": np.array(self.state.returns), "ends": np.array(self.state.ends, dtype=np.int64),
        }

    def checkpoint(self) -> dict[str, Any]:
        """The rest of the state, as plain JSON values."""
        return {
            "halfway": self.halfway, "pace": self._pace, "updates": self._updates,
            "steps": self.state.steps, "seconds": self.state.seconds,
            "streams": [stream.bit_generator.state for stream in (self.streams.start, self.streams.actions)],
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
        """Go back to what :meth:`arrays` and :meth:`state` answered."""
        self.method.restore(below("method.", arrays))
        self.halfway, self._pace, self._updates = state["halfway"], state["pace"], state["updates"]
        if self.halfway and self.method.switches:
            self._follow(self.method.training_contract(self.task))
        kept = {"parameters": self.state.parameters, "first": self._first, "second": self._second}
        for kind, places in kept.items():
            for index, place in enumerate(places):
                flat(place)[:] = arrays[f"{kind}.{index}"]
        self.state.returns, self.state.ends = arrays["returns"].tolist(), arrays["ends"].tolist()
        self.state.steps, self.state.seconds = state["steps"], state["seconds"]
        self.workers.restore(below("game.", arrays))
        for stream, kept_state in zip((self.streams.start, self.streams.actions), state["streams"], strict=True):
            stream.bit_generator.state = kept_state

    def _follow(self, contract: Contract) -> None:
        """Compute with the number formats of ``contract`` from here on."""
        self._formats = Formats.of(contract)
        binary = isinstance(contract.layers[0].weight, Binary)
        self._limit = self.pixels.latent_limit if binary else None

    def _forget(self) -> None:
        """Start the optimiser's state afresh."""
        self._first, self._second = (columns_first(self.state.parameters.zeros()) for _ in range(2))
        self._updates = 0

    def _rate(self) -> float:
        training = self.task.training
        rate = dataclasses.replace(training, late_rate=1.0).rate(self.spec.hidden, len(self.state.returns))
        if self.halfway:
            rate *= training.late_rate * (self.pixels.shared_learning_rate if self.method.shares_weights else 1.0)
        return rate * self._warmth() * self._pace

    def _warmth(self) -> float:
        """1, and towards the end of the run a straight line from there to 0."""
        episodes = self.task.training.episodes
        return min(1.0, max(0.0, (episodes - len(self.state.returns)) / max(1.0, episodes * self.pixels.annealing)))

    def _learn(self, batch: RolloutBatch) -> None:
        """Learn from a batch a few times over, each time in a few minibatches."""
        count, moved = len(batch.actions), 0.0
        advantages = (batch.returns - batch.returns.mean()) / np.sqrt(batch.returns.var() + SMALLEST_VARIANCE)
        for _ in range(self.pixels.update_epochs):
            for rows in np.array_split(self.streams.actions.permutation(count), self.pixels.num_minibatches):
                moved += self._update(
                    batch.frames.take(rows), batch.actions[rows], batch.log_probabilities[rows], advantages[rows]
                )
        self._follow_divergence(moved / (self.pixels.update_epochs * self.pixels.num_minibatches))

    def _update(
        self, frames: Frames, actions: IntArray, log_probabilities: FloatArray, advantages: FloatArray
    ) -> float:
        """One update from some steps; ``advantages`` are standardised over the batch.

        Returns:
            How far the policy has moved from the one that played: the mean Kullback-Leibler divergence, as the steps
            that were drawn estimate it (J. Schulman, "Approximating KL Divergence", 2020: its third estimator).
        """
        network = self.workers.network  # which nobody reads while no game is played
        quantise_all(self.state.parameters, self._formats, network)
        passes = forward(self._formats, network, frames)
        difference = passes.logarithm[np.arange(len(actions)), actions] - log_probabilities
        ratio = np.exp(difference)
        advantage = advantages * ratio
        advantage[np.where(advantage > 0, ratio > 1 + self.pixels.clip_coef, ratio < 1 - self.pixels.clip_coef)] = 0.0
        gradient = self._gradient
        entropy = self.task.training.entropy if self._warmth() == 1.0 else 0.0
        gradients(self._formats, network, frames, actions, advantage, passes, entropy, gradient)
        _shorten(gradient, self.pixels.max_grad_norm)
        self.method.after_backward(gradient)
        self._updates += 1
        rate = self._rate()
        for latent, slope, first, second in zip(
            self.state.parameters, gradient, self._first, self._second, strict=True
        ):
            adam(flat(latent), flat(slope), flat(first), flat(second), rate, self._updates)
        self.method.after_step(self.state.parameters)
        if self._limit is not None:
            for weight in self.state.parameters.weights:
                np.clip(weight, -self._limit, self._limit, out=weight)
        return float((ratio - 1.0 - difference).mean())

    def _follow_divergence(self, divergence: float) -> None:
        """Adapt the learning rate to how far the last batch moved the policy, where the task asks for it."""
        target = self.pixels.target_kl
        if target and divergence > 2 * target:
            self._pace = max(self._pace / 1.5, SLOWEST)
        elif target and divergence < target / 2:
            self._pace = min(self._pace * 1.5, 1.0)


def _shorten(gradient: Parameters, longest: float) -> None:
    """Scale all of ``gradient`` down to a Euclidean length of ``longest``, if it is longer."""
    rows = [flat(array).reshape(1, -1) for array in gradient]
    length = math.sqrt(sum(dot(row, 0, row, 0) for row in rows))
    if length > longest:
        for array in gradient:
            array *= longest / length
