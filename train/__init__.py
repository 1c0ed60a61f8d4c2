"""Gymnasium task → trained, quantised policy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hls4rl.train.selection import Selection, train_seed, train_seeds
    from hls4rl.train.training import TrainingResult, train_policy

__all__ = ["Selection", "TrainingResult", "train_policy", "train_seed", "train_seeds"]

_HOMES = {
    "Selection": "selection", "train_seed": "selection", "train_seeds": "selection",
    "TrainingResult": "training", "train_policy": "training",
}


def __getattr__(name: str) -> Any:
    # Loaded on first use: these names need torch, and a command that only reads a report does not.
    if name not in _HOMES:
        raise AttributeError(f"module 'hls4rl.train' has no attribute '{name}'")
    return getattr(import_module(f"hls4rl.train.{_HOMES[name]}"), name)
