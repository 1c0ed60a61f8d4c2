"""Options that every command about one policy shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.policy import METHODS

Env = Annotated[str, typer.Option(help="Task: the name of a shipped one, or the path of a TOML file of your own.")]
Method = Annotated[str, typer.Option(help=f"One of {', '.join(METHODS)}.")]
Hidden = Annotated[int, typer.Option(help="Units of the hidden layer.")]
Seed = Annotated[int | None, typer.Option(help="Seed of the policy. Without it the best of several is taken.")]
Bits = Annotated[int, typer.Option(help="Width of weights and activations where they are not binary, 2 to 16.")]
Clusters = Annotated[int, typer.Option(help="compression: groups of weights per layer (k).")]
Percentile = Annotated[float, typer.Option(help="pruning: percentage of each layer's weights set to zero.")]
Root = Annotated[Path | None, typer.Option(help="Where the runs are kept. Default: hls_projects/ of the project.")]
