"""Trained policy → QONNX → plain ONNX, each checked: the same integers, or an error.

:func:`export_policy` writes both files, :func:`read_network` reads the graph back as integers, and
:class:`QonnxBackend` and :class:`OnnxRuntimeBackend` run them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from export.check import MismatchError
    from export.graph import IntegerNetwork, Layer, read_network
    from export.onnxruntime_backend import OnnxRuntimeBackend
    from export.qonnx_backend import QonnxBackend
    from export.writer import export_policy

__all__ = [
    "IntegerNetwork", "Layer", "MismatchError", "OnnxRuntimeBackend", "QonnxBackend", "export_policy", "read_network",
]

_HOMES = {
    "IntegerNetwork": "graph", "Layer": "graph", "read_network": "graph", "MismatchError": "check",
    "OnnxRuntimeBackend": "onnxruntime_backend", "QonnxBackend": "qonnx_backend", "export_policy": "writer",
}


def __getattr__(name: str) -> Any:
    # On first use: torch, Brevitas and ONNX Runtime take seconds to import, and few callers need them all.
    if name not in _HOMES:
        raise AttributeError(f"module 'export' has no attribute '{name}'")
    return getattr(importlib.import_module(f"export.{_HOMES[name]}"), name)
