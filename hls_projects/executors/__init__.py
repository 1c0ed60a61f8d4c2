"""All executors of a built policy, from software to gates, one module each: this folder is the list of them.

An executor on a board answers over its link and has to be asked for: see :mod:`hls4rl.firmware.hil`.
"""

from __future__ import annotations

from hls4rl import registry
from hls4rl.backend import Backend
from hls4rl.errors import ProjectError
from hls4rl.executor import Executor
from hls4rl.run import Run

EXECUTORS: dict[str, Executor] = registry.load("hls4rl.hls_projects.executors", "EXECUTOR")
"""By the name that a user calls them, from software to gates; the first is the reference of all comparisons."""

BACKENDS = tuple(name for name, kind in EXECUTORS.items() if kind.offered is None)
"""The names of those that every built policy has."""


def backends_of(run: Run, part: str) -> tuple[str, ...]:
    """The names of those that the policy of ``run`` has, built for ``part``."""
    return tuple(
        name for name, kind in EXECUTORS.items() if kind.offered is None or kind.offered(kind.artefact(run, part))
    )


def open_backend(name: str, run: Run, part: str) -> Backend:
    """The executor ``name`` of the policy of ``run``; ``part`` says whose RTL and netlist.

    Raises:
        ProjectError: no such backend, or its files aren't built yet, or were changed.
    """
    if name not in EXECUTORS:
        raise ProjectError(f"unknown backend '{name}'; choose one of {', '.join(EXECUTORS)}, all")
    kind = EXECUTORS[name]
    if name not in backends_of(run, part):
        raise ProjectError(
            f"{kind.artefact(run, part)}: no bitstream that is read back here; those of unrolled cores on ice40-hx8k "
            "and ice40-up5k are, if built by this version: run `make synth` with such a PART"
        )
    return kind.open(run.verified(kind.artefact(run, part)))
