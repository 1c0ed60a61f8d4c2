"""The reference trainer: Brevitas modules, autograd and Gymnasium. It is the specification of training.

One episode, one update. The compiled kernel (:mod:`hls4rl.train.vpg.kernel`) means the same and is tested against this.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import torch

from hls4rl.policy import PolicySpec
from hls4rl.task import Task
from hls4rl.train.methods import method as create_method
from hls4rl.train.network import PolicyNetwork
from hls4rl.train.parameters import Parameters
from hls4rl.train.state import Streams, TrainingState
from hls4rl.train.vpg.advantage import Baseline, advantages
from hls4rl.train.vpg.objective import parameters_of, quantised, update
from hls4rl.train.vpg.rollout import play_episode


def run(task: Task, spec: PolicySpec, _directory: Path | None = None) -> Iterator[TrainingState]:
    """Train one policy; yields its state after every episode, and the last one is the result.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind.
    """
    torch.set_num_threads(1)  # networks this small only lose by threads, and sums keep their order
    settings, streams, method = task.training, Streams.of(spec.seed), create_method(spec)
    features, outputs = task.spaces
    sizes = (features, *spec.hidden, outputs)
    network = PolicyNetwork(method.training_contract(task), sizes).double()
    if settings.raw_observations:
        network.observation = torch.nn.Identity()
    _load(network, Parameters.uniform(sizes, streams.start))
    state = TrainingState(parameters_of(network), [])
    method.initialise(state.parameters, settings.output_gain)
    optimiser = _optimiser(network, settings.optimiser)
    baseline = Baseline(settings.baseline_rate)
    env = task.make()
    env.reset(seed=streams.environment)
    started = time.perf_counter()
    for episode in range(settings.episodes):
        if (method.switches or settings.reset_at_midpoint) and episode == settings.episodes // 2:
            method.at_midpoint(state.parameters, streams.start)
            optimiser = _optimiser(network, settings.optimiser)
        deviation = task.action.deviation_at(episode / max(1, settings.episodes - 1))
        trajectory = play_episode(env, task, network.contract, quantised(network), streams.actions, deviation)
        advantage = advantages(settings.advantage, baseline, trajectory.rewards, settings.discount)
        optimiser.param_groups[0]["lr"] = settings.rate(spec.hidden, episode)
        update(network, optimiser, method, trajectory, advantage, settings.entropy)
        state.returns.append(float(trajectory.rewards.sum()))
        state.steps += len(trajectory.rewards)
        state.seconds = time.perf_counter() - started
        yield state
    env.close()


def _optimiser(network: PolicyNetwork, name: str) -> torch.optim.Optimizer:
    kinds: dict[str, type[torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    return kinds[name](network.parameters(), lr=0.0)  # type: ignore[call-arg]


def _load(network: PolicyNetwork, parameters: Parameters) -> None:
    for tensor, array in zip(parameters_of(network), parameters, strict=True):
        tensor[...] = array
