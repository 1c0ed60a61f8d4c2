"""The core as its bitstream makes it of the chip, read back and simulated."""

from __future__ import annotations

from pathlib import Path

from hls4rl.backend import Backend
from hls4rl.executor import Executor


def _open(artefact: Path) -> Backend:
    from hls4rl.hls_projects.simulation.pipelined import BitstreamBackend

    return BitstreamBackend(artefact)


def _offered(artefact: Path) -> bool:
    from hls4rl.hls_projects.simulation.pipelined import has_bitstream_model

    return has_bitstream_model(artefact)


EXECUTOR = Executor(
    6, "the bitstream, read back, simulated", lambda run, part: run.part(part), _open, gates=True, shows_logits=False,
    offered=_offered,
)
