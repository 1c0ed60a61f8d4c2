"""The exported QONNX graph."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.executor import Executor


def _open(artefact: Path) -> Backend:
    from hls4rl.export.qonnx_backend import QonnxBackend

    return QonnxBackend(artefact / "policy.qonnx.onnx")


EXECUTOR = Executor(1, "exported QONNX graph", lambda run, part: run.qonnx.parent, _open)
