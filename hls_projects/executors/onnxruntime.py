"""The plain ONNX graph in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.executor import Executor


def _open(artefact: Path) -> Backend:
    from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(artefact / "policy.onnx")


EXECUTOR = Executor(2, "plain ONNX graph in ONNX Runtime", lambda run, part: run.onnx.parent, _open)
