"""The trainer by random search: every rollout plays the integer policy itself.

A generation draws directions, plays an episode a step ahead and a step back along each, and moves the latent numbers
(:mod:`hls4rl.train.search.algorithms`). Rounding makes the landscape rough, so that returns jump from one generation to
the next: noise and step shrink in a straight line, the latents' running mean is tried beside them, and what is kept is
the candidate that did best in many fresh validation episodes, never the last one.

It may go on from a policy: an imported one, rounded (``POLICY``); one that was trained after a teacher (``TEACHER``);
or, with ``search.warm_start``, one that PPO trains first, which takes it far in few episodes. The search then plays
what is deployed, without noise in its actions, and mends what rounding and drawing had hidden.

A run keeps its state in ``checkpoint.safetensors``; a killed run goes on from there and ends in the same bytes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import Contract, FloatArray, IntArray
from hls4rl.policy import PolicySpec
from hls4rl.task import PPO, Search, Task
from hls4rl.train.calibration import deployed
from hls4rl.train.checkpoint import below
from hls4rl.train.keeper import Keeper
from hls4rl.train.methods import method as create_method
from hls4rl.train.parameters import Parameters
from hls4rl.train.ppo import trainer as ppo
from hls4rl.train.search.algorithms import ALGORITHMS, Generation, Memory, arrays, restored
from hls4rl.train.search.latents import Latents, digits
from hls4rl.train.search.player import EPISODES_A_SEED, TRIAL_SEED, VALIDATION_SEED, Player
from hls4rl.train.state import TrainingState

CHECKPOINT_SECONDS = 20.0


def run(task: Task, spec: PolicySpec, directory: Path | None = None) -> Iterator[TrainingState]:
    """Train one policy; yields its state after every generation, and the last one is the result.

    Args:
        task: with a ``[search]`` section, or its defaults are taken.
        spec: the policy.
        directory: the run's folder, for checkpoint and curve, those of a warm start in ``ppo/``; None keeps nothing.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind, or the method has other weights.
    """
    keeper = None if directory is None else Keeper(directory, _inputs(task, spec))
    first = None
    for first in _before(task, spec, directory):
        yield first
    search = _Search(task, spec, first)
    with contextlib.closing(search.player):
        if keeper is not None:
            keeper.load(search)
        started = time.perf_counter() - search.state.seconds
        while not search.finished:
            search.generation()
            search.state.seconds = time.perf_counter() - started
            if keeper is not None and keeper.keep(search, 0.0 if search.finished else CHECKPOINT_SECONDS):
                keeper.write_curve(search.state)
            yield search.state
        yield search.state


def _before(task: Task, spec: PolicySpec, directory: Path | None) -> Iterator[TrainingState]:
    """Train what the search goes on from, if it does not begin with nothing."""
    if task.source is not None and task.source.distil:
        from hls4rl.train import distillation  # here, because torch takes seconds to load

        yield from distillation.run(task, spec)
    elif task.source is not None:
        from hls4rl.train.pretrained.imported import import_policy

        policy, saturated = import_policy(task, spec)
        yield TrainingState(Parameters.of_policy(policy), [], deployed=(policy, saturated))
    elif task.search is not None and task.search.warm_start:
        yield from ppo.run(task, spec, None if directory is None else directory / "ppo")


def _inputs(task: Task, spec: PolicySpec) -> dict[str, Any]:
    warm = task.search is not None and task.search.warm_start and task.source is None
    return {
        "environment": [task.environment, task.environment_options, list(task.wrappers)],
        "observation": asdict(task.resolved.observation), "action": asdict(task.action),
        "network": asdict(task.network), "search": asdict(task.search or Search()),
        "episodes": task.training.episodes, "spec": spec.to_json(),
        **({"training": asdict(task.training), "ppo": asdict(task.ppo or PPO())} if warm else {}),
        **({} if task.source is None else {"source": task.source.digest, "distil": task.source.distil}),
    }


@dataclass
class _Best:
    """The best candidate so far, by its validation episodes."""

    integers: IntArray
    fitness: float = -np.inf
    found: list[dict[str, Any]] = field(default_factory=list)
    """One entry each time a better one was found: episodes so far, mean return, digits."""


class _Search:
    """One run: latents, their running mean, and the best integers so far."""

    def __init__(self, task: Task, spec: PolicySpec, first: TrainingState | None) -> None:
        """Begin with the policy that ``first`` was trained to, which is the first candidate, or with none."""
        self.task, self.spec, self.settings = task, spec, task.search or Search()
        self.method = create_method(spec)
        self.contract, self.saturated = self._formats(first)
        features, outputs = task.spaces
        self.latents = Latents(task, self.contract, (features, *spec.hidden, outputs))
        self.player = Player(task, self.contract, spec.hidden)
        self.memory = Memory.of(self.latents.length)
        self.generations, self.halfway, self.starts_warm = 0, False, first is not None
        self.mean = self._drawn() if first is None else self._clipped(self.latents.flat(self._learnt(first)))
        self.average = self.mean.copy()
        self.best = _Best(self.latents.integers(self.mean))
        self.state = TrainingState(self.latents.parameters(self.best.integers), [])
        if first is not None:
            self.state.steps, self.state.seconds = first.steps, first.seconds
        self._deploy()

    def _formats(self, first: TrainingState | None) -> tuple[Contract, list[dict[str, Any]] | None]:
        """Of what is searched and deployed; where the task leaves them open, those that ``first``'s numbers ask for,
        and what these cut off."""
        if first is None:
            return self.method.deployed_contract(self.task), None
        policy, saturated = first.deployed or deployed(self.task, self.spec, first.parameters)
        return policy.contract, saturated

    def _learnt(self, first: TrainingState) -> Parameters:
        return first.parameters if first.deployed is None else Parameters.of_policy(first.deployed[0])

    def _drawn(self) -> FloatArray:
        rng = np.random.default_rng([self.spec.seed, 0])
        # A single layer may start at zero; with hidden units behind it nothing would ever come through.
        spread = self.settings.noise if self.spec.hidden else 0.0
        return self._clipped(rng.standard_normal(self.latents.length) * 2 * spread)

    def _clipped(self, latents: FloatArray) -> FloatArray:
        return np.clip(latents, -self.latents.limits, self.latents.limits)

    def _deploy(self) -> None:
        """Let the state be the best candidate, in the formats that it was found in."""
        self.state.parameters = self.latents.parameters(self.best.integers)
        self.state.deployed = self.state.parameters.policy(self.spec, self.contract), self.saturated

    @property
    def finished(self) -> bool:
        """Whether all episodes are played."""
        return len(self.state.returns) >= self.task.training.episodes

    def generation(self) -> None:
        """Play one generation, learn from it, and now and then compare candidates."""
        self._switch()
        if self.starts_warm and not self.generations:
            self._validate()
        settings, rng = self.settings, np.random.default_rng([self.spec.seed, 1, self.generations])
        warmth = 1.0 - (1.0 - settings.annealing) * len(self.state.returns) / self.task.training.episodes
        directions = rng.standard_normal((settings.directions, self.latents.length)) * self._free()
        fitness = np.empty((settings.directions, 2))
        for row, direction in enumerate(directions):
            seed = int(rng.integers(2**31))
            for column, sign in enumerate((1.0, -1.0)):
                fitness[row, column] = self._rollout(self.mean + sign * settings.noise * warmth * direction, seed)
        generation = Generation(directions, fitness)
        self.mean += ALGORITHMS[settings.algorithm](settings, generation, settings.step * warmth, self.memory)
        np.clip(self.mean, -self.latents.limits, self.latents.limits, out=self.mean)
        self.average += (1.0 - settings.averaging) * (self.mean - self.average)
        self.generations += 1
        if self.generations % settings.validate_every == 0 or self.finished:
            self._validate()

    def _rollout(self, latents: FloatArray, seed: int) -> float:
        """Fitness of one episode of training."""
        integers = self.latents.integers(latents)
        value, steps = self.player.play(integers, seed)
        self.state.returns.append(value)
        self.state.steps += steps
        self.state.ends.append(self.state.steps)
        return value - self.settings.survival_bonus * steps - self._price(integers)

    def _price(self, integers: IntArray) -> float:
        return self.settings.price * digits(integers) if self.settings.price else 0.0

    def _validate(self) -> None:
        """Compare the latents and their running mean with the best so far, first by a few episodes."""
        few, many = self.settings.trial_episodes, self.settings.validation_episodes
        for latents in (self.mean, self.average):
            integers = self.latents.integers(latents)
            if np.array_equal(integers, self.best.integers) and np.isfinite(self.best.fitness):
                continue
            if self._fitness(integers, few, TRIAL_SEED) <= self.best.fitness:
                continue
            fitness = self._fitness(integers, many, VALIDATION_SEED)
            if fitness > self.best.fitness:
                self.best.integers, self.best.fitness = integers, fitness
                mean = fitness + self._price(integers)
                self.best.found.append(
                    {"episodes": len(self.state.returns), "validation_return": mean, "digits": digits(integers)}
                )
        self._deploy()

    def _fitness(self, integers: IntArray, episodes: int, first_seed: int) -> float:
        """Mean return of fresh episodes, less the price of the digits."""
        start = first_seed + self.spec.seed * EPISODES_A_SEED
        returns = [self.player.play(integers, start + episode)[0] for episode in range(episodes)]
        return float(np.mean(returns)) - self._price(integers)

    def _switch(self) -> None:
        """Half-way, prune as the method has it; what was best before has too many weights and no longer counts."""
        if self.halfway or not self.method.switches:
            return
        if len(self.state.returns) < self.task.training.episodes * self.task.midpoint:
            return
        self.halfway = True
        source = self.best.integers.astype(np.float64)
        parameters = self.latents.real(np.where(np.abs(self.average) > 0, self.average, 1e-3 * source))
        self.method.at_midpoint(parameters, np.random.default_rng([self.spec.seed, 2]))
        self.mean = self.latents.flat(parameters)
        self.average, self.memory = self.mean.copy(), Memory.of(self.latents.length)
        self.best = _Best(self.latents.integers(self.mean))

    def _free(self) -> FloatArray:
        """1 for what may still move, 0 for pruned weights; shape (length,)."""
        if self.method.kept is None:
            return np.ones(self.latents.length)
        free = [
            array for kept, (_, biases) in zip(self.method.kept, self.latents.slices(), strict=True)
            for array in (kept.reshape(-1).astype(np.float64), np.ones(biases.stop - biases.start))
        ]
        return np.concatenate(free)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state that is arrays, by name."""
        return {
            "mean": self.mean, "average": self.average, "best": self.best.integers,
            "returns": np.array(self.state.returns), "ends": np.array(self.state.ends, dtype=np.int64),
            **{f"memory.{name}": array for name, array in arrays(self.memory).items()},
            **{f"method.{name}": array for name, array in self.method.arrays().items()},
        }

    def checkpoint(self) -> dict[str, Any]:
        """The rest of the state, as plain JSON values."""
        return {
            "generations": self.generations, "halfway": self.halfway, "seconds": self.state.seconds,
            "steps": self.state.steps, "found": self.best.found,
            "fitness": self.best.fitness if np.isfinite(self.best.fitness) else None,
        }

    def restore(self, kept: Mapping[str, NDArray[Any]], rest: Mapping[str, Any]) -> None:
        """Go back to what :meth:`arrays` and :meth:`checkpoint` answered."""
        self.mean, self.average = kept["mean"].copy(), kept["average"].copy()
        self.memory = restored(below("memory.", kept))
        self.method.restore(below("method.", kept))
        fitness = -np.inf if rest["fitness"] is None else rest["fitness"]
        self.best = _Best(kept["best"].copy(), fitness, list(rest["found"]))
        self.generations, self.halfway = rest["generations"], rest["halfway"]
        self.state = TrainingState(
            self.latents.parameters(self.best.integers), kept["returns"].tolist(), rest["steps"], rest["seconds"],
            ends=kept["ends"].tolist(),
        )
        self._deploy()
