"""``python -m hls4rl.train``: train the policies of one method and width on one task."""

from __future__ import annotations

from typing import Annotated

import typer

from hls4rl.cli import print_result, run
from hls4rl.options import ActivationBits, Bits, Clusters, Env, Hidden, Method, Percentile, Root, Seed, Settings, choose
from hls4rl.run import RUNS
from hls4rl.task import with_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def train(
    env: Env = "cartpole",
    method: Method = "binarynet",
    hidden: Hidden = "16",
    seed: Seed = None,
    bits: Bits = 8,
    clusters: Clusters = 8,
    percentile: Percentile = 50.0,
    activation_bits: ActivationBits = 0,
    settings: Settings = None,
    episodes: Annotated[int | None, typer.Option(help="Training episodes, instead of the task's setting.")] = None,
    trainer: Annotated[
        str, typer.Option(help="auto, reference or kernel; auto takes the compiled kernel where it knows the task.")
    ] = "auto",
    root: Root = None,
) -> None:
    """Train a quantised policy with vanilla policy gradient.

    What is trained is what is exported: weights and activations have the number formats of the hardware. With
    --seed the result is that policy's training.json. Without, the task's number of seeds is trained side by side,
    the best by validation episodes is chosen, and the result is a JSON file that names it and lists all of them.
    Policies that are there already are not trained again.

    Example: python -m hls4rl.train --env acrobot --method compression --hidden 64 --clusters 8
    """
    task, spec = choose(env, method, hidden, seed, bits, clusters, percentile, activation_bits, settings)
    task = with_settings(task, "training", episodes=episodes)
    task.spaces  # noqa: B018 (complains early about an environment that does not fit)
    from hls4rl.train.progress import TrainingProgress
    from hls4rl.train.selection import train_seed, train_seeds

    with TrainingProgress(f"{task.name} {spec.method}-h{spec.shape}") as progress:
        if seed is None:
            path = train_seeds(task, spec, root or RUNS, progress, trainer).path
        else:
            path = train_seed(task, spec, root or RUNS, lambda standing: progress(seed, standing), trainer)
    print_result(path)


if __name__ == "__main__":
    run(app, "python -m hls4rl.train")
