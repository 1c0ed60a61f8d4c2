"""The trainer of regulators: a model, the real gains that cost least, and integers that cost little more.

An unstable body with many joints is held up by differences of large numbers, so gains that are merely rounded let it
fall. The integers are therefore found as weights are in quantisation-aware training, by the regulator's own cost in
place of rewards: its gradient through roundings (straight-through) and through errors as large as a rounding's, a
price on magnitudes, which leaves few weights other than zero, and, for what a linear model cannot know (the landing,
the ends of actions), likeness to the real gains in the first steps of episodes. Of the integers on the way, those that
do best in episodes of the environment are kept.

Linear-quadratic regulation: Kalman, "Contributions to the theory of optimal control", 1960.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hls4rl.actions import BoxActions
from hls4rl.contract import FixedPoint, FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.policy import PolicySpec
from hls4rl.task import LQR, Task
from hls4rl.train.lqr.model import Model, linear_model
from hls4rl.train.lqr.regulator import Cost
from hls4rl.train.methods import method as create_method
from hls4rl.train.parameters import Parameters
from hls4rl.train.search.latents import Latents, digits
from hls4rl.train.search.player import EPISODES_A_SEED, VALIDATION_SEED, Player
from hls4rl.train.state import Streams, TrainingState

_MODEL_EPISODES, _MODEL_STEPS = 10, 300
"""What the model misses is seen in so many episodes, in their first steps."""
_FIRST_EPISODES, _FIRST_STEPS, _FIRST_NOISE = 16, 40, 0.05
"""The real gains are to be followed in the first steps of so many, with noise of this share of the actions' range."""
_HOPELESS = 150.0
"""Gains whose cost has a larger logarithm are too unstable for a gradient."""
_FAR = 1.5
"""Actions beyond this are as good as the end of the range, 1."""
_BATCH = 12
_FIRST_ERROR = 0.1
"""Share of a rounding's error at the first update; all of it from near the midpoint on."""
_HARD_ERROR = 0.5
"""Share of it that rounded weights bear beside."""
_VALIDATE_FROM = 0.4
"""Share of the updates before candidates are tried."""
_PATIENCE = 10
"""After so many candidates that were no better, it goes on from the best one."""
_LAST_RATE = 0.1


def run(task: Task, spec: PolicySpec, _directory: Path | None = None) -> Iterator[TrainingState]:
    """Make one regulator; yields its state at every comparison of candidates, and the last one is the best.

    Raises:
        ProjectError: the environment isn't MuJoCo's, no equilibrium is near, or its actions are no flat box.
    """
    torch.set_num_threads(1)  # matrices this small only lose by threads, and sums keep their order
    regulator = _Regulator(task, spec, linear_model(task))
    settings, started = regulator.settings, time.perf_counter()
    with contextlib.closing(regulator.player):
        for update in range(settings.updates):
            regulator.update(update / settings.updates)
            done = update + 1
            last = done == settings.updates
            if last or (done % settings.validate_every == 0 and done >= _VALIDATE_FROM * settings.updates):
                regulator.validate()
                regulator.state.seconds = time.perf_counter() - started
                yield regulator.state


@dataclass(frozen=True)
class _Scales:
    """Between the environment's units and the policy's."""

    observation: FloatArray
    """Shape (features,)."""
    middle: FloatArray
    """Of the actions' range, shape (actions,)."""
    half: FloatArray
    """Of its width, per unit of the policy's outputs; shape (actions,)."""

    @classmethod
    def of(cls, task: Task) -> _Scales:
        actions = task.actions
        if not isinstance(actions, BoxActions) or not isinstance(actions.activation, FixedPoint):
            raise ProjectError(f"task '{task.name}': a regulator needs a Box of actions; use another trainer")
        kind, low, high = actions.activation, actions.low.reshape(-1), actions.high.reshape(-1)
        return cls(task.converter.scale, (low + high) / 2, (high - low) / 2 / (kind.maximum * kind.lsb))


@dataclass
class _Best:
    """The best candidate so far."""

    numbers: torch.Tensor
    """Of the optimiser, when it was found."""
    fitness: float = -np.inf
    failures: int = 0
    """Candidates since then that were no better."""


class _Regulator:
    """One run: real weights, and the best integers so far."""

    def __init__(self, task: Task, spec: PolicySpec, model: Model) -> None:
        assert task.lqr is not None
        self.task, self.spec, self.settings, self.model = task, spec, task.lqr, model
        self._streams = Streams.of(spec.seed)
        self._scales = _Scales.of(task)
        self._contract = create_method(spec).deployed_contract(task)
        features, outputs = task.spaces
        self.player = Player(task, self._contract, ())
        self._latents = Latents(task, self._contract, (features, outputs))
        layer = self._contract.layers[0]
        assert isinstance(layer.weight, FixedPoint)
        self._weight = layer.weight
        self._cost = Cost(model, _state_cost(self.settings, model), _action_cost(task, self.settings, outputs))
        self._gains = self._cost.gains()
        self._unit = self._scales.half[:, None] * self._scales.observation * self._weight.lsb
        self._prepare()
        self._best, self._highest = _Best(self._numbers.detach().clone()), -np.inf
        self.state = TrainingState(self._parameters(), [])

    def _prepare(self) -> None:
        """Drive episodes with the real gains, and begin with these."""
        self._seen_states = np.linalg.pinv(self.model.view)
        states, following = self._driven(_MODEL_EPISODES, _MODEL_STEPS, 0.0)
        self._log_cost = self._cost.function(self._cost.disturbances(states, following, self._gains))
        first, _ = self._driven(_FIRST_EPISODES, _FIRST_STEPS, _FIRST_NOISE)
        self._first, self._wanted = torch.from_numpy(first), torch.from_numpy(self._places(first, self._gains))
        largest = self._weight.maximum
        start = np.clip(-self._gains @ self._seen_states / self._unit, -largest, largest)
        self._numbers = torch.from_numpy(start).requires_grad_(True)
        self._optimiser = torch.optim.Adam([self._numbers])
        self._noise = torch.Generator().manual_seed(self.spec.seed)
        self._by_state = torch.from_numpy(self._unit), torch.from_numpy(self.model.view)

    def _driven(self, episodes: int, steps: int, noise: float) -> tuple[FloatArray, FloatArray]:
        """States and those one step later, shape (steps, states), of episodes under the real gains.

        Args:
            noise: standard deviation of what is added to actions, as a share of half their range.
        """
        env, rng, before, after = self.task.make(), self._streams.start, [], []
        low, high = env.action_space.low, env.action_space.high  # type: ignore[attr-defined]
        for episode in range(episodes):
            state = self._state(env.reset(seed=(self._streams.environment + episode) % 2**31)[0])
            for _ in range(steps):
                drawn = noise * (high - low) / 2 * rng.standard_normal(len(self.model.rest))
                action = np.clip(self.model.rest - self._gains @ state + drawn, low, high)
                observation, _, terminated, truncated, _ = env.step(action.astype(env.action_space.dtype))
                before.append(state)
                state = self._state(observation)
                after.append(state)
                if terminated or truncated:
                    break
        env.close()
        return np.array(before), np.array(after)

    def _state(self, observation: Any) -> FloatArray:
        found: FloatArray = self._seen_states @ (self.task.flatten(observation) - self.model.observation)
        return found

    def _places(self, states: FloatArray, gains: FloatArray) -> FloatArray:
        """Actions about the resting one, in units of half their range, shape (rows, actions)."""
        return np.clip(-states @ gains.T / self._scales.half, -_FAR, _FAR)

    def _gains_of(self, numbers: torch.Tensor) -> torch.Tensor:
        """Gains by states, of weights by features in units of their last bit."""
        unit, view = self._by_state
        return -(numbers * unit) @ view

    def update(self, progress: float) -> None:
        """One step of the optimiser."""
        largest = self._weight.maximum
        error = torch.rand(_BATCH, *self._numbers.shape, generator=self._noise, dtype=torch.float64) - 0.5
        error *= min(1.0, 2 * progress + _FIRST_ERROR)
        tried = self._numbers + error
        if progress > 0.5:
            rounded = torch.clamp(torch.round(self._numbers), -largest, largest)
            hard = self._numbers + (rounded - self._numbers).detach()
            tried = torch.cat([tried[: _BATCH // 2], hard + _HARD_ERROR * error[_BATCH // 2 :]])
        gains = self._gains_of(tried)
        with torch.no_grad():
            usable = self._log_cost(gains) < _HOPELESS  # not where it has no number
        loss = self._log_cost(gains[usable]).sum() / _BATCH + self.settings.sparsity * self._numbers.abs().sum()
        loss = loss + self.settings.likeness * (self._unlike(gains[0]) + self._unlike(gains[-1]))
        self._optimiser.param_groups[0]["lr"] = self.settings.learning_rate * (1 - (1 - _LAST_RATE) * progress)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([self._numbers], 1.0)
        self._optimiser.step()
        with torch.no_grad():
            self._numbers.clamp_(-largest - 0.4, largest + 0.4)

    def _unlike(self, gains: torch.Tensor) -> torch.Tensor:
        """Mean squared difference from the real gains in the first steps."""
        places = -self._first @ gains.T / torch.from_numpy(self._scales.half)
        return (places.clamp(-_FAR, _FAR) - self._wanted).square().mean()

    def _parameters(self) -> Parameters:
        """The weights, and the biases that rest at the equilibrium, in real units."""
        weight = np.rint(self._numbers.detach().numpy()) * self._weight.lsb
        weight = np.clip(weight, -self._weight.maximum * self._weight.lsb, self._weight.maximum * self._weight.lsb)
        seen = (self.model.observation - self.task.converter.offset) * self._scales.observation
        kind = self.task.actions.activation
        assert isinstance(kind, FixedPoint)
        bias = (self.model.rest - self._scales.middle) / self._scales.half - weight @ seen + kind.lsb / 2
        return Parameters.of([weight, bias])  # half a step: the cut rounds down

    def validate(self) -> None:
        """Compare the rounded weights with the best so far; deploy them if they are better."""
        integers = self._latents.integers(self._latents.flat(self._parameters()))
        fitness = self._fitness(integers)
        if fitness > self._best.fitness:
            self._best = _Best(self._numbers.detach().clone(), fitness)
            self.state.parameters = self._latents.parameters(integers)
            self.state.deployed = self.state.parameters.policy(self.spec, self._contract), None
            return
        self._best.failures += 1
        if self._best.failures % _PATIENCE == 0:
            with torch.no_grad():
                self._numbers.copy_(self._best.numbers)

    def _fitness(self, integers: IntArray) -> float:
        """Mean return less the price of digits; no more episodes are played than show that it isn't the best."""
        count, price, total = self.settings.validation_episodes, self.settings.price * digits(integers), 0.0
        start = VALIDATION_SEED + self.spec.seed * EPISODES_A_SEED
        for episode in range(count):
            value, steps = self.player.play(integers, start + episode)
            self.state.returns.append(value)
            self.state.steps += steps
            self.state.ends.append(self.state.steps)
            total += value
            self._highest = max(self._highest, value)
            if (total + (count - episode - 1) * self._highest) / count - price <= self._best.fitness:
                return -np.inf
        return total / count - price


def _state_cost(settings: LQR, model: Model) -> FloatArray:
    cost = np.full(model.transition.shape[0], settings.velocity_cost)
    cost[: model.positions] = 1.0
    return cost


def _action_cost(task: Task, settings: LQR, outputs: int) -> FloatArray:
    if len(settings.action_cost) not in (1, outputs):
        raise ProjectError(
            f"task '{task.name}': lqr.action_cost has {len(settings.action_cost)} numbers; give one, or one for each "
            f"of the {outputs} actions"
        )
    return np.broadcast_to(np.array(settings.action_cost, dtype=np.float64), (outputs,)).copy()
