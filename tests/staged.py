"""Makes stages of directories that a test filled by hand."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from hls4rl.stage import METADATA, Stage


def as_stage(directory: Path, **inputs: Any) -> None:
    """Let ``directory`` be what a stage left that was made from ``inputs``."""
    with Stage(directory, inputs).build() as partial:
        shutil.copytree(directory, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(METADATA))
