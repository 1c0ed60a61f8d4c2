"""The verb ``bench-ppo``: TRAINER=ppo beside stable-baselines3's PPO and the bare environment, on this machine.

Both have the same hyperparameters (stable-baselines3's defaults, eight environments, ReLUs, observations and rewards
normalised) and learn for the same time; ours in the formats that are deployed, its peer in floats. They take turns, so
that what else the machine does falls on all alike, and what is quoted is the median of the turns with their range.
"""

from __future__ import annotations

import importlib
import os
import statistics
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from hls4rl.artefact import write_json
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.options import Root
from hls4rl.policy import PolicySpec
from hls4rl.processes import worker_pool
from hls4rl.run import RUNS
from hls4rl.task import PPO, Task, load_task

TASKS = ("lunarlander", "halfcheetah")
HIDDEN = (64, 64)
SETTINGS = PPO(
    total_timesteps=10**9, num_envs=8, num_steps=256, num_minibatches=32, update_epochs=10, gae_lambda=0.95,
    clip_coef=0.2, vf_coef=0.5, max_grad_norm=0.5, anneal_lr=False, norm_adv=True, norm_reward=True,
    critic_hidden=HIDDEN,
)
"""Batches of 2,048 steps in minibatches of 64, as stable-baselines3 has them."""
RATE, DISCOUNT, WINDOW = 3e-4, 0.99, 100


@dataclass(frozen=True)
class Turn:
    """What one trainer, or nobody, did with the environments in its time."""

    steps: int
    seconds: float
    curve: list[tuple[float, int, float]] = field(default_factory=list)
    """Seconds, steps, and the mean return of the last :data:`WINDOW` episodes, after each batch."""

    @property
    def rate(self) -> float:
        """Environment steps per second, learning included."""
        return self.steps / self.seconds


def prepared(name: str) -> Task:
    """The shipped task ``name`` with :data:`SETTINGS`."""
    task = load_task(name)
    training = replace(task.training, learning_rate=RATE, discount=DISCOUNT, entropy=0.0, trainer="ppo")
    return replace(task, training=training, ppo=SETTINGS, search=None)


def ours(task: Task, seed: int, seconds: float) -> Turn:
    """TRAINER=ppo; the clock starts after the first batch, as compiled functions are loaded during it."""
    from hls4rl.train.ppo.trainer import run

    curve: list[tuple[float, int, float]] = []
    first: tuple[float, int] | None = None
    for state in run(task, PolicySpec(task.name, "fp", HIDDEN, seed)):
        if state.steps == 0:
            continue
        first = first or (time.perf_counter(), state.steps)
        passed, steps = time.perf_counter() - first[0], state.steps - first[1]
        if state.returns:
            curve.append((passed, steps, float(np.mean(state.returns[-WINDOW:]))))
        if passed >= seconds:
            return Turn(steps, passed, curve)
    raise ProjectError(f"TRAINER=ppo ended before its {seconds} seconds were over")


def baselines3(task: Task, seed: int, seconds: float) -> Turn:
    """stable-baselines3's PPO with the same settings, on its own vector of environments with VecNormalize.

    Raises:
        ProjectError: stable-baselines3 isn't installed.
    """
    try:
        library: Any = importlib.import_module("stable_baselines3")
        callbacks: Any = importlib.import_module("stable_baselines3.common.callbacks")
        make: Any = importlib.import_module("stable_baselines3.common.env_util").make_vec_env
        normalise: Any = importlib.import_module("stable_baselines3.common.vec_env").VecNormalize
    except ImportError as error:
        raise ProjectError("the benchmark needs stable-baselines3; pip install 'hls4rl[bench]'") from error
    warnings.filterwarnings("ignore")
    torch: Any = importlib.import_module("torch")
    curve: list[tuple[float, int, float]] = []

    class Watch(callbacks.BaseCallback):  # type: ignore[misc]
        started: float | None = None
        before = 0

        def _on_rollout_start(self) -> None:  # after a batch was learnt from
            if self.num_timesteps == 0:
                return
            if self.started is None:
                self.started, self.before = time.perf_counter(), self.num_timesteps
            returns = [episode["r"] for episode in self.model.ep_info_buffer]
            if returns:
                passed = time.perf_counter() - self.started
                curve.append((passed, self.num_timesteps - self.before, float(np.mean(returns))))

        def _on_step(self) -> bool:
            return self.started is None or time.perf_counter() - self.started < seconds

    envs = normalise(make(task.make, SETTINGS.num_envs, seed=seed), gamma=DISCOUNT)
    model = library.PPO(
        "MlpPolicy", envs, learning_rate=RATE, n_steps=SETTINGS.num_steps,
        batch_size=SETTINGS.num_envs * SETTINGS.num_steps // SETTINGS.num_minibatches, seed=seed, device="cpu",
        policy_kwargs={"activation_fn": torch.nn.ReLU, "net_arch": list(HIDDEN)},
    )
    watch = Watch()
    model.learn(10**9, callback=watch)
    envs.close()
    assert watch.started is not None
    return Turn(model.num_timesteps - watch.before, time.perf_counter() - watch.started, curve)


def bare(task: Task, seed: int, seconds: float) -> Turn:
    """One environment with random actions and nothing else."""
    env = task.make()
    env.action_space.seed(seed)
    env.reset(seed=seed)
    actions = [env.action_space.sample() for _ in range(1024)]
    steps, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        _, _, terminated, truncated, _ = env.step(actions[steps % len(actions)])
        steps += 1
        if terminated or truncated:
            env.reset()
    env.close()
    return Turn(steps, time.perf_counter() - started)


def _bare_everywhere(task: Task, seed: int, seconds: float) -> Turn:
    """:func:`bare` on all processors at once."""
    processors = len(os.sched_getaffinity(0))
    with worker_pool(processors) as pool:
        turns = [item.result() for item in [pool.submit(bare, task, seed + i, seconds) for i in range(processors)]]
    return Turn(sum(turn.steps for turn in turns), statistics.fmean(turn.seconds for turn in turns))


def measure(name: str, turns: int, seconds: float) -> dict[str, list[Turn]]:
    """``turns`` turns of each on the task ``name``."""
    task = prepared(name)
    found: dict[str, list[Turn]] = {"hls4rl": [], "stable-baselines3": [], "bare environment": []}
    for turn in range(turns):
        found["bare environment"].append(_bare_everywhere(task, turn, max(1.0, seconds / 10)))
        found["hls4rl"].append(ours(task, turn, seconds))
        with worker_pool(1) as pool:  # a fresh interpreter: its own threads and warnings
            found["stable-baselines3"].append(pool.submit(baselines3, task, turn, seconds).result())
    return found


def ratios(left: Sequence[Turn], right: Sequence[Turn]) -> tuple[float, float, float]:
    """Median, smallest and largest of the turns' ratios of steps per second."""
    found = sorted(one.rate / other.rate for one, other in zip(left, right, strict=True))
    return statistics.median(found), found[0], found[-1]


def bench_ppo(
    seconds: Annotated[float, typer.Option(min=1, help="Time of each trainer's turn.")] = 60.0,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each.")] = 3,
    root: Root = RUNS,
) -> None:
    """Steps per second and return against time: TRAINER=ppo, stable-baselines3's PPO, the bare environment.

    On LunarLander-v3 and HalfCheetah-v5, with equal hyperparameters and two hidden layers of 64 units. The three take
    turns; the result is a JSON file with every turn's curve, and a picture beside it.
    """
    found = {name: measure(name, turns, seconds) for name in TASKS}
    path = root / "bench-ppo.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {
        "processors": len(os.sched_getaffinity(0)), "seconds": seconds, "hidden": list(HIDDEN),
        "settings": asdict(SETTINGS), "tasks": {
            name: {
                "ratio_to_stable_baselines3": ratios(kinds["hls4rl"], kinds["stable-baselines3"]),
                "part_of_bare_environment": ratios(kinds["hls4rl"], kinds["bare environment"]),
                "turns": {kind: [asdict(turn) for turn in items] for kind, items in kinds.items()},
            } for name, kinds in found.items()
        },
    })
    _show(found)
    _draw(found, path.with_suffix(".png"))
    print_result(path)


def _show(found: dict[str, dict[str, list[Turn]]]) -> None:
    table = Table("task", "", "steps/s (range)", "ours / it (range)", "return at the end")
    for name, kinds in found.items():
        for kind, turns in kinds.items():
            rates = sorted(turn.rate for turn in turns)
            middle, low, high = ratios(kinds["hls4rl"], turns)
            last = [turn.curve[-1][2] for turn in turns if turn.curve]
            table.add_row(
                name, kind, f"{statistics.median(rates):,.0f} ({rates[0]:,.0f} to {rates[-1]:,.0f})",
                "" if kind == "hls4rl" else f"{middle:.2f} ({low:.2f} to {high:.2f})",
                f"{statistics.median(last):,.0f}" if last else "",
            )
    Console(width=120).print(table)


def _draw(found: dict[str, dict[str, list[Turn]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (name, kinds) in zip(figure.subplots(1, len(found), squeeze=False)[0], found.items(), strict=True):
        for kind, colour in (("hls4rl", "tab:blue"), ("stable-baselines3", "tab:orange")):
            for turn, item in enumerate(item for item in kinds[kind] if item.curve):
                times, _, returns = zip(*item.curve, strict=True)
                axes.plot(times, returns, color=colour, linewidth=1, label=None if turn else kind)
        axes.set(title=name, xlabel="seconds", ylabel=f"mean return of {WINDOW} training episodes")
        axes.legend()
    figure.savefig(path, dpi=110)
