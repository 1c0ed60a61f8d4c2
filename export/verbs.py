"""The verb ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hls4rl.artefact import METADATA, Artefact, digest, verified
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.policy import load_policy


def export(
    policy: Annotated[Path, typer.Argument(help="A policy.safetensors that `hls4rl train` wrote.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Directory to write; default: onnx/ beside the policy's."),
    ] = None,
) -> None:
    """Write a policy as QONNX (what hardware is built from) and as plain ONNX (what ONNX Runtime runs).

    Both are compared with the float64 Brevitas policy before they are kept: corners and 2000 random
    observations, every logit, as integers. The files are policy.qonnx.onnx, policy.onnx and metadata.json.

    Example: hls4rl export runs/cartpole/fp-h16-s0/policy/policy.safetensors
    """
    # torch, Brevitas and QONNX take seconds to import; --help and mistakes need none of them.
    from hls4rl.export.writer import export_policy

    loaded = load_policy(policy)
    place = policy.resolve().parent
    if (place / METADATA).is_file() or place.parent.name == loaded.spec.directory_name:  # in a run's folder
        verified(place, "train it again with `make train`")
    directory = output if output is not None else policy.resolve().parent.parent / "onnx"
    if directory.exists() and not directory.is_dir():
        raise ProjectError(f"{directory} is a file; give a directory with --output")
    if directory.is_dir() and any(directory.iterdir()) and not (directory / METADATA).is_file():
        raise ProjectError(f"{directory} holds other files, which would be lost; give a new directory with --output")
    artefact = Artefact(directory, {"policy": digest(policy)})
    if not artefact.is_current:
        with artefact.build() as partial:
            export_policy(loaded, partial)
    print_result(directory / METADATA)

