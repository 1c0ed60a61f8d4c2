"""Trained policy → QONNX → plain ONNX, each checked: the same integers, or an error.

:func:`export_policy` writes both files, :func:`read_network` reads the graph back as integers, and
:class:`QonnxBackend` and :class:`OnnxRuntimeBackend` run them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hls4rl.export.check import MismatchError
    from hls4rl.export.graph import read_network
    from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend
    from hls4rl.export.qonnx_backend import QonnxBackend
    from hls4rl.export.writer import export_policy

__all__ = ["MismatchError", "OnnxRuntimeBackend", "QonnxBackend", "export_policy", "read_network"]

_HOMES = {
    "read_network": "graph", "MismatchError": "check",
    "OnnxRuntimeBackend": "onnxruntime_backend", "QonnxBackend": "qonnx_backend", "export_policy": "writer",
}


def __getattr__(name: str) -> Any:
    # On first use: torch, Brevitas and ONNX Runtime take seconds to import, and few callers need them all.
    if name not in _HOMES:
        raise AttributeError(f"module 'hls4rl.export' has no attribute '{name}'")
    return getattr(importlib.import_module(f"hls4rl.export.{_HOMES[name]}"), name)
