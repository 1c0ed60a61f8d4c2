"""The trainer after a teacher (DAgger, Ross et al. 2011): the student plays, the teacher labels, the student learns.

In the first round the teacher plays, so that good states are seen; then the student, in the formats that it is built
in, so that it learns what to do where *it* gets. All that was seen is learnt from: cross-entropy on the teacher's
greedy choices, or squared error on its continuous actions. From the midpoint on the network has its deployed formats
(straight-through gradients), and what is kept is the round that did best in validation episodes of the integers; one
that does as well there as the teacher ends the training. A student of the teacher's own form starts as the teacher,
rounded, and has its deployed formats throughout; it is never less than that in the validation episodes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hls4rl.contract import Contract, FixedPoint, FloatArray, Table
from hls4rl.gym_loop import play
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import Policy, PolicySpec
from hls4rl.task import Task
from hls4rl.train.calibration import deployed
from hls4rl.train.methods import method as create_method
from hls4rl.train.network import PolicyNetwork
from hls4rl.train.parameters import Parameters
from hls4rl.train.pretrained.comparison import play_float
from hls4rl.train.pretrained.float_policy import Fitted
from hls4rl.train.pretrained.imported import METHOD, fitted_of, import_policy
from hls4rl.train.state import Streams, TrainingState
from hls4rl.train.vpg.distribution import likelihood_and_entropy
from hls4rl.train.vpg.objective import gradients_of, parameters_of, quantised
from hls4rl.train.vpg.rollout import activate

CALIBRATION_STEPS = 8000
"""At most, of all that was seen: what formats are chosen by."""
NUM_ENVS = 16
"""Environments that step side by side."""
VALIDATION_SEED = 30_000_000
"""First environment seed of the episodes that rounds are compared by; no other episodes have them."""


def run(task: Task, spec: PolicySpec, _directory: Path | None = None) -> Iterator[TrainingState]:
    """Train one policy after ``task.source``; yields its state after every round, and the last one is the best.

    Raises:
        ProjectError: the teacher does not fit the environment, or that cannot be made.
    """
    torch.set_num_threads(1)  # networks this small only lose by threads, and sums keep their order
    student, settings = _student(task, spec), task.distillation
    playground = _Playground(student.teacher, Streams.of(spec.seed).environment)
    state, started = TrainingState(student.parameters, []), time.perf_counter()
    best, enough = -np.inf, play_float(student.teacher, settings.validation_episodes, VALIDATION_SEED).mean_return
    if student.is_deployable:
        state.deployed = student.deployed()
        best = _validate(task, state.deployed[0])
    seen, labels = list[FloatArray](), list[NDArray[Any]]()
    for round_ in range(settings.rounds):
        observations, decided, returns = playground.collect(settings.steps, student.act if round_ else None)
        seen.append(observations)
        labels.append(decided)
        student.learn(np.concatenate(seen), np.concatenate(labels), round_)
        score = -np.inf
        if student.is_deployable or 2 * (round_ + 1) >= settings.rounds:
            made = student.deployed()
            score = _validate(task, made[0])
            if score > best:
                best, state.deployed = score, made
        state.returns += returns
        state.steps += len(observations)
        state.seconds = time.perf_counter() - started
        yield state
        if score >= enough:
            break
    playground.close()
    yield state


def _student(task: Task, spec: PolicySpec) -> _Student:
    """One of the teacher's own form and method starts as the teacher, rounded."""
    if spec.method == METHOD and spec.hidden == fitted_of(task).policy.hidden:
        return _Rounded(task, spec)
    return _Student(task, spec)


class _Student:
    """The network, and how it learns."""

    is_deployable = False
    """Whether it has its deployed formats from the first round on."""
    rate = 1.0
    """Factor on the learning rate."""

    def __init__(self, task: Task, spec: PolicySpec) -> None:
        self.task, self.spec, self.teacher = task, spec, fitted_of(task)
        self._streams, self._method = Streams.of(spec.seed), create_method(spec)
        features, outputs = task.spaces
        self._sizes = (features, *spec.hidden, outputs)
        self._load(self._method.training_contract(task), Parameters.uniform(self._sizes, self._streams.start))
        self._method.initialise(self.parameters, 1.0)

    def _load(self, contract: Contract, parameters: Parameters) -> None:
        self._network = PolicyNetwork(contract, self._sizes).double()
        self.parameters = parameters_of(self._network)
        for array, value in zip(self.parameters, parameters, strict=True):
            array[...] = value
        self._optimiser = torch.optim.Adam(self._network.parameters(), lr=0.0)

    def act(self, observations: FloatArray) -> FloatArray:
        """The network's outputs, shape (rows, outputs), for the environment's floats, shape (rows, features)."""
        values = self.task.training_view(observations)
        latent = quantised(self._network)
        for weight, bias, kind in zip(latent.weights, latent.biases, self._network.contract.layers, strict=True):
            values = activate(values @ weight.T + bias, kind.activation)
        return values

    def learn(self, seen: FloatArray, labels: NDArray[Any], round_: int) -> None:
        """One round's updates."""
        settings, self._seen = self.task.distillation, seen
        if 2 * round_ >= settings.rounds > 2 * (round_ - 1) and not self.is_deployable:
            self._method.at_midpoint(self.parameters, self._streams.start)
            self._load(self.deployed()[0].contract, self.parameters.copy())
        inputs, targets = torch.from_numpy(self.task.training_view(seen)), torch.from_numpy(labels)
        total = settings.rounds * settings.updates
        for update in range(settings.updates):
            progress = (round_ * settings.updates + update) / total
            self._optimiser.param_groups[0]["lr"] = self.rate * settings.learning_rate * (1.0 - 0.99 * progress)
            rows = self._streams.actions.integers(len(seen), size=min(settings.batch, len(seen)))
            self._optimiser.zero_grad()
            self._loss(inputs[rows], targets[rows]).backward()  # type: ignore[no-untyped-call]
            self._method.after_backward(gradients_of(self._network))
            self._optimiser.step()
            self._method.after_step(self.parameters)

    def deployed(self) -> tuple[Policy, list[dict[str, Any]] | None]:
        """What would be deployed now; see :func:`hls4rl.train.calibration.deployed`."""
        seen = self._seen[:: -(-len(self._seen) // CALIBRATION_STEPS)]
        return deployed(self.task, self.spec, self.parameters.copy(), seen)

    def _loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        contract = self._network.contract
        if not self.task.actions.is_continuous:
            likelihood, _ = likelihood_and_entropy(contract.output, self._network(inputs), targets.numpy(), 0.0)
            return -likelihood.mean()
        # Sums beyond an end of the range are as good as that end, and would have no gradient behind the cut.
        sums, kind = self._sums(inputs), contract.layers[-1].activation
        if isinstance(kind, Table):
            outputs: torch.Tensor = self._network(inputs)
            return (outputs - targets).square().mean()
        error = sums - targets - (kind.lsb / 2 if isinstance(kind, FixedPoint) else 0.0)  # the cut rounds down
        beyond = ((targets >= 1.0) & (error > 0)) | ((targets <= -1.0) & (error < 0))
        return torch.where(beyond, 0.0, error).square().mean()

    def _sums(self, inputs: torch.Tensor) -> torch.Tensor:
        """The last layer's, before its activation."""
        values: Any = self._network.observation(inputs)
        for layer, activation in zip(self._network.layers[:-1], self._network.activations[:-1], strict=True):
            values = activation(layer(values))
        found = self._network.layers[-1](values)
        sums: torch.Tensor = found.value if hasattr(found, "value") else found
        return sums


class _Rounded(_Student):
    """Starts as the teacher, rounded, and keeps the formats that were chosen for that."""

    is_deployable, rate = True, 0.1

    def __init__(self, task: Task, spec: PolicySpec) -> None:
        super().__init__(task, spec)
        policy, self._saturated = import_policy(task, spec)
        self._load(policy.contract, Parameters.of_policy(policy))

    def deployed(self) -> tuple[Policy, list[dict[str, Any]] | None]:
        """See :class:`_Student`."""
        return self.parameters.policy(self.spec, self._network.contract), self._saturated


def _validate(task: Task, policy: Policy) -> float:
    """Mean return of its integers."""
    backend, episodes = IntegerBackend(policy.network), task.distillation.validation_episodes
    return play(task, backend, episodes, VALIDATION_SEED).mean_return


class _Playground:
    """Environments that go on from one round to the next."""

    def __init__(self, teacher: Fitted, seed: int) -> None:
        self._teacher, task = teacher, teacher.task
        self._envs = [task.make() for _ in range(NUM_ENVS)]
        self._floats = np.stack([task.flatten(env.reset(seed=seed + place)[0]) for place, env in enumerate(self._envs)])
        self._returns = np.zeros(NUM_ENVS)

    def collect(self, steps: int, student: Any) -> tuple[FloatArray, NDArray[Any], list[float]]:
        """Play ``steps`` steps.

        Args:
            student: see :meth:`_Student.act`; None: the teacher plays.

        Returns:
            What was seen, shape (steps, features), what the teacher decided there, and the returns of the episodes
            that ended.
        """
        seen, labels, ended = [], [], list[float]()
        for _ in range(max(1, steps // NUM_ENVS)):
            decided = self._teacher.decide(self._floats)
            seen.append(self._floats.copy())
            labels.append(decided)
            played = decided if student is None else self._decision(student(self._floats))
            for place, env in enumerate(self._envs):
                self._step(place, env, played[place], ended)
        return np.concatenate(seen), np.concatenate(labels), ended

    def _decision(self, outputs: FloatArray) -> NDArray[Any]:
        return np.asarray(outputs if self._teacher.task.actions.is_continuous
                          else self._teacher.task.actions.output.decide(outputs))  # type: ignore[arg-type]

    def _step(self, place: int, env: Any, decision: NDArray[Any], ended: list[float]) -> None:
        observation, reward, terminated, truncated, _ = env.step(self._teacher.taken(decision))
        self._returns[place] += float(reward)
        if terminated or truncated:
            ended.append(float(self._returns[place]))
            self._returns[place] = 0.0
            observation, _ = env.reset()
        self._floats[place] = self._teacher.task.flatten(observation)

    def close(self) -> None:
        """Close the environments."""
        for env in self._envs:
            env.close()
