"""What there is several of, one file each: methods, trainers, executors, families of parts. A folder is the list.

A new one is a new file in its folder; nothing else names it.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent


def names(package: str) -> tuple[str, ...]:
    """The modules of ``package`` (as ``hls4rl.train.methods``) by name, without importing any; private ones aside."""
    folder = _ROOT.joinpath(*package.split(".")[1:])
    return tuple(sorted(
        item.name for item in pkgutil.iter_modules([str(folder)]) if not item.name.startswith("_")
    ))


def load(package: str, attribute: str) -> dict[str, Any]:
    """``attribute`` of every module of ``package`` that has it, by the module's name, in the order of ``place``."""
    found = {}
    for name in names(package):
        module = importlib.import_module(f"{package}.{name}")
        if hasattr(module, attribute):
            found[name] = getattr(module, attribute)
    return dict(sorted(found.items(), key=lambda item: (item[1].place, item[0])))
