"""The trained Brevitas module in float64: the reference."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.executor import Executor


def _open(artefact: Path) -> Backend:
    from hls4rl.policy import load_policy
    from hls4rl.train.network import TorchBackend

    return TorchBackend(load_policy(artefact / "policy.safetensors"))


EXECUTOR = Executor(0, "Brevitas module in float64: the reference", lambda run, part: run.policy.parent, _open)
