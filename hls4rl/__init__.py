"""From the Gym to the gates: reinforcement-learning policies as bit-exact FPGA accelerators.

This folder is the ground floor, which everything else stands on: number formats, errors, task files, policies,
executors, run folders. The packages above it lie beside it in the repository and are reached through relative links:
:mod:`hls4rl.train` → :mod:`hls4rl.export` → :mod:`hls4rl.hls_projects` → :mod:`hls4rl.firmware`, and on top
:mod:`hls4rl.studies` and :mod:`hls4rl.report`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hls4rl.errors import ProjectError
    from hls4rl.gym_loop import Episodes, play
    from hls4rl.hls_projects.build import Result, find_run, synthesise
    from hls4rl.policy import Policy, PolicySpec, load_policy
    from hls4rl.run import Run
    from hls4rl.task import Task, load_task
    from hls4rl.train.pretrained.saved import save_policy
    from hls4rl.train.selection import train_seed, train_seeds

    __version__: str

__all__ = [
    "Episodes", "Policy", "PolicySpec", "ProjectError", "Result", "Run", "Task", "__version__", "find_run",
    "load_policy", "load_task", "play", "save_policy", "synthesise", "train_seed", "train_seeds",
]

_HOMES = {
    "ProjectError": "errors", "Episodes": "gym_loop", "play": "gym_loop", "Policy": "policy", "PolicySpec": "policy",
    "load_policy": "policy", "Run": "run", "Task": "task", "load_task": "task",
    "Result": "hls_projects.build", "find_run": "hls_projects.build", "synthesise": "hls_projects.build",
    "save_policy": "train.pretrained.saved", "train_seed": "train.selection", "train_seeds": "train.selection",
}


def __getattr__(name: str) -> Any:
    # On first use: whoever imports one module below this package must not load all of them.
    if name == "__version__":
        return import_module("importlib.metadata").version("hls4rl")
    if name not in _HOMES:
        raise AttributeError(f"module 'hls4rl' has no attribute '{name}'")
    return getattr(import_module(f"hls4rl.{_HOMES[name]}"), name)
