"""Options that every command about one policy shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hls4rl.policy import ALL_METHODS, PolicySpec, read_hidden
from hls4rl.task import Task, change, load_task

Env = Annotated[str, typer.Option(help="Task: the name of a shipped one, or the path of a TOML file of your own.")]
Method = Annotated[str, typer.Option(help=f"One of {', '.join(ALL_METHODS)}.")]
Hidden = Annotated[
    str, typer.Option(help="Units of each hidden layer: 16, 64x64, 128x64x32; 0 for one matrix without a hidden layer.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of the policy. Without it the best of several is taken.")]
Bits = Annotated[int, typer.Option(help="Width of weights and activations where they are not binary, 2 to 16.")]
Clusters = Annotated[int, typer.Option(help="compression: groups of weights per layer (k).")]
Percentile = Annotated[float, typer.Option(help="pruning: percentage of each layer's weights set to zero.")]
ActivationBits = Annotated[
    int, typer.Option(help="Width of hidden activations where they are not binary. 0, the default: as --bits.")
]
Settings = Annotated[
    str | None, typer.Option("--set", help="Changes of the task's settings, as 'observation.bits=2 hardware.stages=1'.")
]
Root = Annotated[Path | None, typer.Option(help="Where the runs are kept. Default: ./runs.")]


def choose(
    env: str, method: str, hidden: str, seed: int | None, bits: int, clusters: int, percentile: float,
    activation_bits: int, settings: str | None,
) -> tuple[Task, PolicySpec]:
    """The task and the policy that the options above mean; ``seed`` None stands for 0 in the latter.

    Raises:
        ProjectError: an option is wrong; the message says which.
    """
    task, variant = change(load_task(env), settings)
    spec = PolicySpec(
        task.name, method, read_hidden(hidden), seed or 0, bits, clusters, percentile, activation_bits, variant
    )
    return task, spec
