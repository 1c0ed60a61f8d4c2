"""What a long training run leaves in its folder while it goes on: its state now and then, and the curve so far."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from hls4rl.train.checkpoint import load_checkpoint, save_checkpoint
from hls4rl.train.state import TrainingState

CHECKPOINT, CURVE = "checkpoint.safetensors", "curve.jsonl"


class Training(Protocol):
    """A run that can be left and gone on with."""

    state: TrainingState

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state that is arrays, by name."""
        ...

    def checkpoint(self) -> dict[str, Any]:
        """The rest of the state, as plain JSON values."""
        ...

    def restore(self, kept: Mapping[str, NDArray[Any]], rest: Mapping[str, Any]) -> None:
        """Go back to what :meth:`arrays` and :meth:`checkpoint` answered."""
        ...


class Keeper:
    """Checkpoint and curve of one run in its folder."""

    def __init__(self, directory: Path, inputs: Mapping[str, Any]) -> None:
        """Make the folder; ``inputs`` are what the run depends on, plain JSON values."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._inputs, self._kept = directory, inputs, time.perf_counter()

    def load(self, training: Training) -> None:
        """Bring ``training`` to where the run was left."""
        found = load_checkpoint(self._directory / CHECKPOINT, self._inputs)
        if found is not None:
            training.restore(*found)

    def keep(self, training: Training, seconds: float) -> bool:
        """Write the state if the last time is ``seconds`` ago; answers whether it was."""
        if time.perf_counter() - self._kept < seconds:
            return False
        save_checkpoint(self._directory / CHECKPOINT, self._inputs, training.arrays(), training.checkpoint())
        self._kept = time.perf_counter()
        return True

    def write_curve(self, state: TrainingState) -> None:
        """Write the return of each training episode, one JSON object a line."""
        # Written anew, so that a run that goes back to its checkpoint goes back here too.
        path = self._directory / CURVE
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        lines = (
            json.dumps({"episode": episode, "steps": end, "return": value})
            for episode, (end, value) in enumerate(zip(state.ends, state.returns, strict=True), start=1)
        )
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        partial.replace(path)
