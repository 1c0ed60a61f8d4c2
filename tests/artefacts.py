"""Makes artefacts of directories that a test filled by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hls4rl.artefact import METADATA, Artefact


def as_artefact(directory: Path, **inputs: Any) -> None:
    """Let ``directory`` be an artefact that was made from ``inputs``."""
    with Artefact(directory, inputs).build() as partial:
        shutil.copytree(directory, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(METADATA))
