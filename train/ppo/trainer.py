"""The trainer by proximal policy optimisation (Schulman et al., 2017), with the names and defaults of CleanRL and SB3.

The actor acts and learns in the formats that are deployed, from the first step or from ``ppo.quantise_at`` on, behind
the task's own converter; the critic is a float network on normalised observations. Rewards are divided by the running
deviation of their discounted sums. A truncated episode's last reward has the discounted value of where it led added.

A run keeps its state in ``checkpoint.safetensors`` now and then. Simulators cannot keep theirs, so that every
environment begins a new episode there (the one under way counts as truncated): a killed run goes on from the checkpoint
and ends in the same bytes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hls4rl.contract import Argmax, Contract, FloatArray
from hls4rl.policy import PolicySpec
from hls4rl.task import PPO, Task
from hls4rl.train.calibration import is_calibrated
from hls4rl.train.checkpoint import below
from hls4rl.train.keeper import Keeper
from hls4rl.train.methods import method as create_method
from hls4rl.train.methods.base import Method
from hls4rl.train.parameters import Parameters
from hls4rl.train.ppo import learner
from hls4rl.train.ppo.layout import critic_layout, layout_of
from hls4rl.train.ppo.objective import Head
from hls4rl.train.ppo.running import Running
from hls4rl.train.ppo.workers import RolloutWorkers, Shape
from hls4rl.train.state import TrainingState

ROLLOUTS_A_BLOCK = 16
"""Rollouts between two checkpoints, at which all episodes begin anew."""
_OUTPUT_GAIN = 0.01
"""Of the actor's first output weights, so that the first policy is near its middle (CleanRL, SB3)."""


def run(task: Task, spec: PolicySpec, directory: Path | None = None) -> Iterator[TrainingState]:
    """Train one policy; yields its state after every rollout, and the last one is the result.

    Args:
        task: with a ``[ppo]`` section, or its defaults are taken.
        spec: the policy.
        directory: the run's folder, for the checkpoint; None keeps nothing.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind, or a process has ended.
    """
    inputs = {
        "environment": [task.environment, task.environment_options, list(task.wrappers)],
        "observation": asdict(task.resolved.observation), "action": asdict(task.action),
        "network": asdict(task.network), "training": asdict(task.training), "ppo": asdict(task.ppo or PPO()),
        "spec": spec.to_json(),
    }
    keeper = None if directory is None else Keeper(directory, inputs)
    with threadpool_limits(1), contextlib.closing(_Training(task, spec)) as training:
        if keeper is not None:
            keeper.load(training)
        started = time.perf_counter() - training.state.seconds
        yield training.state
        while not training.finished:
            training.rollout()
            training.state.seconds = time.perf_counter() - started
            if keeper is not None and (training.finished or training.rollouts % ROLLOUTS_A_BLOCK == 0):
                keeper.keep(training, 0.0)
                keeper.write_curve(training.state)
            yield training.state


class _Training:
    """One run between two rollouts."""

    def __init__(self, task: Task, spec: PolicySpec) -> None:
        self.task, self.spec, self.settings, self.method = task, spec, task.ppo or PPO(), create_method(spec)
        features, outputs = task.spaces
        self._sizes = (features, *spec.hidden, outputs)
        output = task.actions.output
        groups = output.sizes(outputs) if isinstance(output, Argmax) else ()
        dimensions = len(groups) or outputs
        head = Head(np.array(groups, dtype=np.int64), outputs)
        actor = layout_of(self._contract(0.0), self._sizes)
        critic = critic_layout(features, self.settings.critic_hidden)
        deviations = 0 if groups else outputs
        places = np.cumsum([actor.length, deviations, critic.length])
        self.networks = learner.Networks(actor, critic, head, places)
        shape = Shape(self.settings.num_steps, self.settings.num_envs, features, dimensions, int(places[1]))
        self.numbers = self._first_numbers(np.random.default_rng([spec.seed, 0]))
        self.first, self.second, self.updates = np.zeros_like(self.numbers), np.zeros_like(self.numbers), 0
        self._optimiser = learner.Optimiser(self.numbers, self.first, self.second)
        self.seen, self.rewards = Running.of(features), Running.of(1)
        self.sums: FloatArray = np.zeros(self.settings.num_envs)
        self.rollouts, self.halfway = 0, False
        self.state = TrainingState(self._parameters(), [], total_steps=self.settings.total_timesteps)
        self._memory = learner.Memory.of(self.networks, self._minibatch)
        self.workers = RolloutWorkers(task, shape, head, spec.seed)

    def close(self) -> None:
        """End the processes."""
        self.workers.close()

    @property
    def finished(self) -> bool:
        """Whether all time steps are played."""
        return self.state.steps >= self.settings.total_timesteps

    def rollout(self) -> None:
        """Play one rollout and learn from it."""
        progress = self.state.steps / self.settings.total_timesteps
        self._switch(progress)
        self.networks = self.networks._replace(actor=layout_of(self._contract(progress), self._sizes))
        fresh = self.rollouts if self.rollouts % ROLLOUTS_A_BLOCK == 0 else None
        if fresh is not None:
            self.sums[:] = 0
        actor = learner.rounded(self.networks, self.numbers)[: self.networks.places[1]]
        self.workers.shared.numbers[:] = actor
        episodes = self.workers.play(self.networks.actor, fresh)
        self.rollouts += 1
        if self.rollouts % ROLLOUTS_A_BLOCK == 0:
            self._truncate()
        batch = self._batch(actor)
        rate = self.task.training.learning_rate * (1 - progress if self.settings.anneal_lr else 1)
        self._learn(batch, rate)
        for step, total in episodes:
            self.state.returns.append(total)
            self.state.ends.append(self.state.steps + (step + 1) * self.settings.num_envs)
        self.state.steps += self.settings.num_steps * self.settings.num_envs

    @property
    def _minibatch(self) -> int:
        return self.settings.num_steps * self.settings.num_envs // self.settings.num_minibatches

    def _contract(self, progress: float) -> Contract:
        """Formats of the actor; where the data are to choose them, only the last policy has any."""
        if progress < self.settings.quantise_at or is_calibrated(self.task, self.spec):
            return self.method.training_contract(self.task)
        return self.method.deployed_contract(self.task)

    def _first_numbers(self, rng: np.random.Generator) -> NDArray[np.float32]:
        numbers = np.zeros(int(self.networks.places[2]), dtype=np.float32)
        actor, deviations, critic = np.split(numbers, self.networks.places[:2])
        for layout, gain, part in ((self.networks.actor, _OUTPUT_GAIN, actor), (self.networks.critic, 1.0, critic)):
            weights = layout.split(part)[::2]
            for layer, weight in enumerate(weights):
                weight[:] = _orthogonal(weight.shape, gain if layer == len(weights) - 1 else 2**0.5, rng)
        deviations[:] = np.log(self.task.action.deviation)
        self.method.initialise(Parameters.of(self.networks.actor.split(actor)), 1.0)
        return numbers

    def _parameters(self) -> Parameters:
        """Views of the actor's latent numbers."""
        return Parameters.of(self.networks.actor.split(self.numbers[: self.networks.places[0]]))

    def _truncate(self) -> None:
        """End the episodes that are under way, as their time limit would."""
        shared = self.workers.shared
        going = shared.ends[-1] == 0
        shared.ends[-1, going] = 2
        shared.after[-1, going] = shared.last[going]

    def _batch(self, actor: NDArray[np.float32]) -> learner.Batch:
        """The rollout as the learner takes it, with advantages and returns."""
        shared, networks, settings = self.workers.shared, self.networks, self.settings
        gamma = self.task.training.discount
        flat = shared.observations.reshape(-1, shared.observations.shape[2])
        self.seen.update(flat)
        normalised = self.seen.normalised(flat)
        critic = self.numbers[networks.places[1] :]
        values = learner.values_of(networks.critic, critic, normalised).reshape(shared.rewards.shape).astype(np.float64)
        ends = (shared.ends > 0).astype(np.int64)
        rewards = shared.rewards.copy()
        if settings.norm_reward:
            self.rewards.update(learner.discounted(rewards, ends, self.sums, gamma).reshape(-1, 1))
            rewards = np.clip(rewards / self.rewards.deviation, -10, 10)
        cut = shared.ends == 2
        if cut.any():
            after = learner.values_of(networks.critic, critic, self.seen.normalised(shared.after[cut]))
            rewards[cut] += gamma * after[:, 0]
        last = learner.values_of(networks.critic, critic, self.seen.normalised(shared.last))[:, 0].astype(np.float64)
        advantages = learner.advantages(rewards, values, last, ends, gamma, settings.gae_lambda)
        seen = np.asarray(self.task.training_view(flat), dtype=np.float32)
        outputs = learner.values_of(networks.actor, actor, seen)
        actions = shared.actions.reshape(len(flat), -1).astype(np.float32)
        log_std = actor[networks.places[0] :]
        return learner.Batch(
            seen, normalised, actions, learner.likelihoods(networks.head, outputs, log_std, actions),
            advantages.reshape(-1).astype(np.float32), (advantages + values).reshape(-1).astype(np.float32),
        )

    def _learn(self, batch: learner.Batch, rate: float) -> None:
        """All epochs over one batch."""
        settings, rng = self.settings, np.random.default_rng([self.spec.seed, 1, self.rollouts])
        numbers = learner.Coefficients(
            settings.clip_coef, self.task.training.entropy, settings.vf_coef, settings.max_grad_norm, settings.norm_adv
        )
        for _ in range(settings.update_epochs):
            order = rng.permutation(len(batch.seen))
            if self._intervenes:
                for start in range(0, len(order) - self._minibatch + 1, self._minibatch):
                    self._update(batch, order[start : start + self._minibatch], numbers, rate)
            else:
                self.updates = learner.epoch(
                    self.networks, self._optimiser, batch, order, self._minibatch, numbers, rate, self.updates,
                    self._memory,
                )

    @property
    def _intervenes(self) -> bool:
        """Whether the method has something to do in the middle of an update."""
        kind = type(self.method)
        return (
            kind.after_backward is not Method.after_backward or kind.after_step is not Method.after_step
            or bool(np.isfinite(self.method.latent_limits).any())
        )

    def _update(
        self, batch: learner.Batch, chosen: NDArray[np.int64], coefficients: learner.Coefficients, rate: float
    ) -> None:
        """One update, as :func:`learner.epoch` does it, with what the method does in between."""
        networks, memory = self.networks, self._memory
        learner.gradient(networks, self.numbers, batch, chosen, coefficients, memory)
        self.method.after_backward(Parameters.of(networks.actor.split(memory.gradient[: networks.places[0]])))
        self.updates += 1
        learner.adam(networks, self._optimiser, memory.gradient, self.updates, rate, coefficients.max_grad_norm)
        self.method.after_step(self.state.parameters)

    def _switch(self, progress: float) -> None:
        """Half-way, what the method changes (paper algorithms 2 and 3); the optimiser starts afresh."""
        if self.halfway or not self.method.switches or progress < self.task.midpoint:
            return
        self.halfway = True
        self.method.at_midpoint(self.state.parameters, np.random.default_rng([self.spec.seed, 2]))
        self.first[:], self.second[:], self.updates = 0, 0, 0

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state that is arrays, by name."""
        return {
            "numbers": self.numbers, "first": self.first, "second": self.second,
            "returns": np.array(self.state.returns), "ends": np.array(self.state.ends, dtype=np.int64),
            **{f"seen.{name}": array for name, array in self.seen.arrays().items()},
            **{f"rewards.{name}": array for name, array in self.rewards.arrays().items()},
            **{f"method.{name}": array for name, array in self.method.arrays().items()},
        }

    def checkpoint(self) -> dict[str, Any]:
        """The rest of the state, as plain JSON values."""
        return {
            "rollouts": self.rollouts, "updates": self.updates, "halfway": self.halfway, "steps": self.state.steps,
            "seconds": self.state.seconds,
        }

    def restore(self, kept: Mapping[str, NDArray[Any]], rest: Mapping[str, Any]) -> None:
        """Go back to what :meth:`arrays` and :meth:`checkpoint` answered."""
        self.numbers[:], self.first[:], self.second[:] = kept["numbers"], kept["first"], kept["second"]
        self.seen, self.rewards = (Running.restored(below(f"{name}.", kept)) for name in ("seen", "rewards"))
        self.method.restore(below("method.", kept))
        self.rollouts, self.updates, self.halfway = rest["rollouts"], rest["updates"], rest["halfway"]
        self.state.returns, self.state.ends = kept["returns"].tolist(), kept["ends"].tolist()
        self.state.steps, self.state.seconds = rest["steps"], rest["seconds"]


def _orthogonal(shape: tuple[int, ...], gain: float, rng: np.random.Generator) -> FloatArray:
    """Rows or columns at right angles, of length ``gain`` (Saxe et al., 2014)."""
    rows, columns = max(shape), min(shape)
    found, triangle = np.linalg.qr(rng.standard_normal((rows, columns)))
    found = found * np.sign(np.diag(triangle))
    oriented: FloatArray = gain * (found if shape[0] >= shape[1] else found.T)
    return oriented
