"""The verb ``bench-train``: the kernel against other trainers, side by side on this machine, on CartPole-v0.

The peers are stable-baselines3's A2C and PPO with their defaults, and a policy gradient on one environment in the style
of CleanRL: one script, one policy, one PyTorch forward pass a step. The kernel trains ten policies at once, as the
paper's figures need. Every trainer counts environment steps from its first one to its last update, and is timed until
the mean over its last 100 episodes reaches the task's threshold.
"""

from __future__ import annotations

import importlib
import os
import statistics
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from hls4rl.artefact import write_json
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.options import Root
from hls4rl.policy import PolicySpec
from hls4rl.processes import worker_pool
from hls4rl.run import RUNS
from hls4rl.task import Task, load_task
from hls4rl.train.vpg import kernel

HIDDEN = 64
POLICIES = 10
WINDOW = 100
WARM_UP_EPISODES = 5
"""Episodes that the single-policy loop plays before its clock starts: libraries load lazily."""
WARM_UP_STEPS = 32
"""Steps that stable-baselines3 takes before its clock starts, for the same reason."""


@dataclass(frozen=True)
class Measurement:
    """What one trainer did in the time it was given."""

    name: str
    policies: int
    steps: int
    seconds: float
    solved: int
    """Policies that reached the threshold."""
    seconds_to_solve: float | None
    """Time until the first policy (peers) or all of them (kernel) had solved the task; None if that never came."""

    @property
    def steps_per_second(self) -> float:
        """Environment steps per second, end to end."""
        return self.steps / self.seconds


class Clock:
    """Counts the steps and returns of one training run, and says when to stop."""

    def __init__(self, threshold: float, budget: float) -> None:
        self.started = time.perf_counter()
        self.steps = 0
        self.solved_after: float | None = None
        self._threshold, self._budget = threshold, budget
        self._current = 0.0
        self._returns: list[float] = []

    def step(self, reward: float, finished: bool) -> bool:
        """Take one step in; True once the task is solved or the time is up."""
        self.steps += 1
        self._current += reward
        if finished:
            self._returns.append(self._current)
            self._current = 0.0
            recent = self._returns[-WINDOW:]
            if self.solved_after is None and len(recent) == WINDOW and np.mean(recent) >= self._threshold:
                self.solved_after = self.seconds
        return self.solved_after is not None or self.seconds > self._budget

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.perf_counter() - self.started

    def measurement(self, name: str) -> Measurement:
        """The outcome of one policy."""
        return Measurement(name, 1, self.steps, self.seconds, int(self.solved_after is not None), self.solved_after)


def measure_kernel(task: Task) -> Measurement:
    """Ten policies on as many threads as there are processors; compiled beforehand, as its result stays on disk."""
    list(kernel.run(task, PolicySpec(task.name, "fp", (4,), 0)))
    specs = [PolicySpec(task.name, "fp", (HIDDEN,), seed) for seed in range(POLICIES)]
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = list(pool.map(lambda spec: _train(task, spec, started), specs))
    solved = [after for _, after in runs if after is not None]
    return Measurement(
        "hls4rl kernel", POLICIES, sum(steps for steps, _ in runs), time.perf_counter() - started, len(solved),
        max(solved) if len(solved) == POLICIES else None,
    )


def _train(task: Task, spec: PolicySpec, started: float) -> tuple[int, float | None]:
    solved_after = None
    for state in kernel.run(task, spec):
        recent = state.returns[-WINDOW:]
        if solved_after is None and len(recent) == WINDOW and np.mean(recent) >= (task.solved or np.inf):
            solved_after = time.perf_counter() - started
    return state.steps, solved_after


def measure_single(task: Task, budget: float) -> Measurement:
    """REINFORCE on one environment, one PyTorch forward pass a step."""
    torch.manual_seed(0)
    env, clock = task.make(), Clock(task.solved or np.inf, budget)
    features, actions = task.spaces
    policy = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, actions))
    optimiser = torch.optim.Adam(policy.parameters(), lr=1e-2)
    stop, episode = False, 0
    observation, _ = env.reset(seed=0)
    while not stop:
        if episode == WARM_UP_EPISODES:
            clock = Clock(task.solved or np.inf, budget)
        episode += 1
        logarithms, rewards, finished = [], [], False
        while not finished:
            logarithm = torch.log_softmax(policy(torch.as_tensor(observation)), dim=0)
            action = int(torch.multinomial(logarithm.exp(), 1))
            observation, reward, terminated, truncated, _ = env.step(action)
            logarithms.append(logarithm[action])
            rewards.append(float(reward))
            finished = terminated or truncated
            stop = clock.step(float(reward), finished)
        returns = torch.tensor(np.cumsum(rewards[::-1])[::-1].copy(), dtype=torch.float32)
        advantage = (returns - returns.mean()) / (returns.std(unbiased=False) + 1e-8)
        optimiser.zero_grad()
        loss = -(torch.stack(logarithms) * advantage).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        observation, _ = env.reset()
    return clock.measurement("single-policy loop (CleanRL style)")


def measure_baselines3(algorithm: str, task: Task, budget: float) -> Measurement:
    """stable-baselines3's ``algorithm`` with its defaults on one environment.

    Raises:
        ProjectError: stable-baselines3 isn't installed.
    """
    try:
        library: Any = importlib.import_module("stable_baselines3")
        callbacks: Any = importlib.import_module("stable_baselines3.common.callbacks")
    except ImportError as error:
        raise ProjectError("the benchmark needs stable-baselines3; pip install stable-baselines3") from error
    clock = Clock(task.solved or np.inf, budget)

    class Watch(callbacks.BaseCallback):  # type: ignore[misc]
        def _on_step(self) -> bool:
            return not clock.step(float(self.locals["rewards"][0]), bool(self.locals["dones"][0]))

    model = getattr(library, algorithm)("MlpPolicy", _plain(task), seed=0, device="cpu", verbose=0)
    model.learn(WARM_UP_STEPS)
    clock.started = time.perf_counter()
    model.learn(10**9, callback=Watch())
    return clock.measurement(f"stable-baselines3 {algorithm}")


def _plain(task: Task) -> gym.Env[Any, Any]:
    warnings.filterwarnings("ignore")
    return task.make()


def _peer(index: int, task: Task, budget: float) -> Measurement:
    torch.set_num_threads(1)
    peers: list[Callable[[], Measurement]] = [
        lambda: measure_single(task, budget),
        lambda: measure_baselines3("A2C", task, budget),
        lambda: measure_baselines3("PPO", task, budget),
    ]
    return peers[index]()


@dataclass(frozen=True)
class Turn:
    """All trainers once, the kernel right after its peers."""

    own: Measurement
    peers: list[Measurement]

    @property
    def ratio(self) -> float:
        """The kernel's steps per second over those of the fastest peer."""
        return self.own.steps_per_second / max(item.steps_per_second for item in self.peers)

    @property
    def is_first(self) -> bool:
        """Whether ten policies of the kernel had solved the task before any peer had."""
        solved = [item.seconds_to_solve for item in self.peers if item.seconds_to_solve is not None]
        return self.own.seconds_to_solve is not None and self.own.seconds_to_solve < min(solved, default=np.inf)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        measured = [{**asdict(item), "steps_per_second": item.steps_per_second} for item in (self.own, *self.peers)]
        return {"ratio": self.ratio, "ten_policies_before_first_peer": self.is_first, "measurements": measured}


def bench_train(
    seconds: Annotated[float, typer.Option(min=1, help="Longest time of each peer, a turn.")] = 120.0,
    turns: Annotated[int, typer.Option(min=1, help="Of all trainers.")] = 3,
    root: Root = RUNS,
) -> None:
    """Environment steps per second and time to solve CartPole-v0: the kernel against other trainers.

    They take turns. Each peer runs alone, in a process of its own, until it solves the task or its time is up. What is
    quoted is the median of the turns with their range.
    """
    task, found = load_task("cartpole"), list[Turn]()
    with worker_pool(1) as pool:
        for _ in range(turns):
            peers = [pool.submit(_peer, index, task, seconds).result() for index in range(3)]
            found.append(Turn(measure_kernel(task), peers))
            _show(found[-1])
    ratios = [turn.ratio for turn in found]
    Console().print(
        f"{statistics.median(ratios):,.0f} times the steps per second of the fastest peer (median of {turns}; "
        f"{min(ratios):,.0f} to {max(ratios):,.0f})"
    )
    path = root / "bench-train.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {
        "task": task.name, "hidden": HIDDEN, "processors": os.cpu_count(),
        "ratio_steps_per_second": {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)},
        "turns": [turn.to_json() for turn in found],
    })
    print_result(path)


def _show(turn: Turn) -> None:
    table = Table("trainer", "policies", "steps/s", "solved", "seconds to solve")
    for item in (turn.own, *turn.peers):
        after = "–" if item.seconds_to_solve is None else f"{item.seconds_to_solve:.2f}"
        table.add_row(item.name, str(item.policies), f"{item.steps_per_second:,.0f}", str(item.solved), after)
    Console().print(table)
