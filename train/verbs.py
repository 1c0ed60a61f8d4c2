"""The verb ``train``."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from hls4rl.cli import print_result
from hls4rl.options import PolicyOptions, Scheduler, grouped
from hls4rl.plain import read_json
from hls4rl.task import with_settings
from hls4rl.verdict import Verdict


@grouped
def train(
    policy: PolicyOptions,
    episodes: Annotated[int | None, typer.Option(help="Training episodes, instead of the task's setting.")] = None,
    scheduler: Scheduler = None,
) -> None:
    """Train a quantised policy: by vanilla policy gradient, PPO or a search on the deployed integers.

    What is trained is what is exported: weights and activations have the number formats of the hardware. With
    --seed the result is that policy's training.json. Without, the task's number of seeds is trained side by side,
    the best by validation episodes is chosen, and the result is a JSON file that names it and lists all of them.
    Policies that are there already are not trained again.

    Example: hls4rl train --env acrobot --method compression --hidden 64 --clusters 8
    """
    task, spec = policy.read()
    task = with_settings(task, "training", episodes=episodes)
    task.spaces  # noqa: B018 (complains early about an environment that does not fit)
    from hls4rl.train.progress import TrainingProgress
    from hls4rl.train.selection import policy_artefact, train_missing, train_seeds

    with TrainingProgress(f"{task.name} {spec.method}-h{spec.shape}") as progress:
        if policy.seed is None:
            path = train_seeds(task, spec, policy.root, progress, scheduler).path
        else:
            train_missing(task, [spec], policy.root, progress, scheduler)
            path = policy_artefact(task, spec, policy.root).directory / "training.json"
    for line in Verdict.of(read_json(path, "train again") | {"solved_from": task.solved}).lines():
        Console(stderr=True, highlight=False).print(line)
    print_result(path)
