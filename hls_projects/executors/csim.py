"""hls4ml's C++, compiled."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.executor import Executor


def _open(artefact: Path) -> Backend:
    from hls4rl.hls_projects.hls.csim import CsimBackend

    return CsimBackend(artefact)


EXECUTOR = Executor(3, "hls4ml's C++, compiled and run", lambda run, part: run.project, _open)
