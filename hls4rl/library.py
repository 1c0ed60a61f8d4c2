"""Compiled code that lies in an artefact: loaded only if the library and its sources are those that were recorded."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from hls4rl.artefact import digest, require_unchanged
from hls4rl.checked import read_checked, write_checked
from hls4rl.errors import ProjectError


def record_library(library: Path, sources: Iterable[Path]) -> None:
    """Write the SHA-256 of ``library`` and of the ``sources`` that it was made from beside it.

    ``sources`` are kept by their paths relative to the library, so that all may be moved together.
    """
    write_checked(_record(library), {"library": digest(library), "sources": digests_from(library.parent, sources)})


def load_library(library: Path, remedy: str) -> ctypes.CDLL:
    """The code of ``library``, of which :func:`record_library` kept a record.

    Raises:
        ProjectError: it or a source of it was changed, or it can't be loaded on this machine.
    """
    record = read_checked(_record(library), remedy)
    require_sources(library.parent, record.get("sources"), remedy)
    # The loader takes a path that it has seen for the same library, even if the file is new: load a copy.
    with tempfile.TemporaryDirectory(prefix="hls4rl-") as scratch:
        copy = Path(scratch) / library.name
        try:
            shutil.copyfile(library, copy)
        except OSError as error:
            raise ProjectError(f"{library}: not readable ({error.strerror}); {remedy}") from error
        if digest(copy) != record.get("library"):  # half a library kills the process
            raise ProjectError(f"{library}: not the library that was compiled here (its SHA-256 differs); {remedy}")
        try:
            return ctypes.CDLL(str(copy), mode=os.RTLD_LOCAL | os.RTLD_NOW)
        except OSError as error:
            raise ProjectError(f"{library} cannot be loaded on this machine ({error}); {remedy}") from error


def digests_from(folder: Path, sources: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each of ``sources``, by its path relative to ``folder``."""
    return {os.path.relpath(path, folder): digest(path) for path in sorted(sources)}


def require_sources(folder: Path, sources: object, remedy: str) -> None:
    """Insist that the files in ``sources``, made by :func:`digests_from`, are as they were.

    Raises:
        ProjectError: one was changed or is missing.
    """
    if not isinstance(sources, dict):
        raise ProjectError(f"{folder}: a model without a record of its sources; {remedy}")
    for name, expected in sources.items():
        require_unchanged(folder / name, expected, remedy)


def _record(library: Path) -> Path:
    return library.with_suffix(".json")
