"""The crown: every method × task × backend gives the same integers for the same observations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.export.check import check_observations
from hls4rl.gym_loop import play
from hls4rl.hls_projects import synthesise
from hls4rl.hls_projects.evaluate import differing
from hls4rl.hls_projects.executors import BACKENDS, open_backend
from hls4rl.policy import Policy, PolicySpec, load_policy
from hls4rl.run import Run
from hls4rl.task import Task, load_task, with_settings
from hls4rl.train.methods import PAPER_METHODS
from hls4rl.train.network import TorchBackend

TASKS = ("cartpole", "acrobot")
DESIGNS = [
    pytest.param((task, method), id=f"{task}-{method}", marks=pytest.mark.xdist_group(f"{task}-{method}"))
    for task in TASKS for method in PAPER_METHODS
]


@dataclasses.dataclass(frozen=True)
class Design:
    task: Task
    run: Run
    visited: IntArray


@pytest.fixture(scope="module")
def design(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Design:
    """A policy trained for a moment and built whole, place and route included."""
    name, method = request.param
    task = with_settings(load_task(name), "training", episodes=20, validation_episodes=2)
    task = with_settings(task, "hardware", place_seeds=1)
    spec = PolicySpec(name, method, hidden=4, seed=1)
    root = tmp_path_factory.mktemp("runs")
    synthesise(task, spec, root=root, episodes=2)
    run = Run(spec, root)
    seen: list[IntArray] = []
    play(task, open_backend("torch", run, task.hardware.part), 5, 0, watch=lambda rows, _: seen.append(rows))
    return Design(task, run, np.concatenate(seen))


def inputs(design: Design) -> IntArray:
    kind, features = design.task.observation.type, design.task.spaces[0]
    return np.concatenate([design.visited, check_observations(kind, features)])


@pytest.mark.parametrize("design", DESIGNS, indirect=True)
@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != "torch"])
def test_every_backend_gives_the_reference_integers(design: Design, backend: str) -> None:
    observations = inputs(design)
    expected = open_backend("torch", design.run, design.task.hardware.part).infer(observations)
    answer = open_backend(backend, design.run, design.task.hardware.part).infer(observations)
    assert not differing(answer, expected).any()
    assert (answer.logits is None) == (backend == "netlist")


@pytest.mark.parametrize("design", DESIGNS, indirect=True)
def test_one_flipped_weight_is_caught(design: Design) -> None:
    observations = inputs(design)
    expected = flipped(load_policy(design.run.policy), observations)
    for backend in BACKENDS:
        answer = open_backend(backend, design.run, design.task.hardware.part).infer(observations)
        assert differing(answer, expected).any(), backend


def flipped(policy: Policy, observations: IntArray) -> Answer:
    """What the policy would answer with one weight's sign flipped: the first flip that changes an action."""
    original = TorchBackend(policy).infer(observations)
    for layer in (1, 0):
        for index in np.ndindex(policy.weights[layer].shape):
            weights = [weight.copy() for weight in policy.weights]
            weights[layer][index] = -weights[layer][index] if weights[layer][index] > 0 else 0.5 - weights[layer][index]
            answer = TorchBackend(dataclasses.replace(policy, weights=tuple(weights))).infer(observations)
            if (answer.actions != original.actions).any():
                return answer
    raise AssertionError("no single flipped weight changes an action: choose another policy for this test")
