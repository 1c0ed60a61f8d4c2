"""The state of a long training run in one file, so that a killed run goes on from there.

The file is safetensors with one JSON text in its header, as a policy's: it stores arrays and text only, so that reading
a stranger's file runs no code. It is written to a temporary name and renamed: a reader finds the old state or the new.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

FORMAT = "hls4rl-checkpoint-4"
"""With a number that rises when arrays change their names or meaning: an older file is then not taken."""


def save_checkpoint(
    path: Path, inputs: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], state: Mapping[str, Any]
) -> None:
    """Write a run's state.

    Args:
        path: of the file.
        inputs: what the run depends on, plain JSON values.
        arrays: by name.
        state: the rest, plain JSON values.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = json.dumps({"inputs": inputs, "state": state})
    save_file(whole, partial, {FORMAT: json.dumps({"content": content, "sha256": _checksum(content, whole)})})
    partial.replace(path)


def load_checkpoint(path: Path, inputs: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Any]] | None:
    """The arrays and the rest of what :func:`save_checkpoint` wrote for equal ``inputs``.

    None if there is no such file, it is damaged, or it belongs to a run of other settings: then training starts anew.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[FORMAT])
            content = json.loads(header["content"])
            if content["inputs"] != json.loads(json.dumps(inputs)):
                return None
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return (arrays, content["state"]) if header["sha256"] == _checksum(header["content"], arrays) else None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError):
        return None


def _checksum(content: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of all that a checkpoint holds."""
    found = hashlib.sha256(content.encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def below(start: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Those of ``arrays`` whose names begin with ``start``, by the rest of the name."""
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
