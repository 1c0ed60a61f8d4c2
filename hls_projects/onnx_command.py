"""``python -m hls4rl.hls_projects --onnx model.onnx``: what the program does without a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.options import Root
from hls4rl.run import RUNS
from hls4rl.task import load_task, with_settings

_DEFAULTS = "cartpole"  # whose hardware settings a model without a task gets


def build_onnx(
    context: typer.Context,
    onnx: Annotated[Path | None, typer.Option(help="QONNX model from elsewhere (Brevitas, QKeras) to build.")] = None,
    part: Annotated[str | None, typer.Option(help="With --onnx: part to build for; `parts` lists them.")] = None,
    clock_mhz: Annotated[float | None, typer.Option("--clock-mhz", help="With --onnx: clock to build for.")] = None,
    root: Root = None,
) -> None:
    """From a trained policy to a placed-and-routed accelerator that is verified inside the Gym loop.

    With --onnx, and without a command: build that model instead. Its scales are folded to powers of two without
    changing any result, or it is refused with the node's name; then every backend is held to the model's integers.
    """
    if context.invoked_subcommand is not None:
        if onnx is not None:
            raise ProjectError("--onnx goes without a command; leave the command away")
        return
    if onnx is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    task = with_settings(load_task(_DEFAULTS), "hardware", part=part, clock_mhz=clock_mhz)
    load_part(task.hardware.part)
    # torch, ONNX Runtime and QONNX take seconds to import; mistakes need none of them.
    from hls4rl.hls_projects.foreign import build_foreign, print_foreign

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
    path = build_foreign(onnx, task.hardware, root or RUNS, console)
    print_foreign(path, console)
    print_result(path)
