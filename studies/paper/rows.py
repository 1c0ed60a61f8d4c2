"""The results of the grid on disk: one JSON object a line and policy, each kept the moment it is there.

A row carries a check of its own; one that was changed since is no row any more, and its policy is trained again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.studies.paper.jobs import Job

Row = dict[str, Any]


def missing(path: Path, jobs: Sequence[Job]) -> list[Job]:
    """Those of ``jobs`` that have no row of equal inputs in the file ``path``."""
    found = _by_inputs(path)
    return [job for job in jobs if _key(job) not in found]


def append(path: Path, row: Row) -> None:
    """Add ``row``; a kill leaves it whole, or a torn last line that no one takes for a row."""
    with path.open("ab") as file:
        if file.tell() and not _ends_whole(path):
            file.write(b"\n")
        file.write(_line(row).encode())
        file.flush()
        os.fsync(file.fileno())


def settle(path: Path, jobs: Sequence[Job]) -> list[Row]:
    """The rows of ``jobs`` in their order; the file holds just these from now on, so that equal jobs give equal bytes.

    Raises:
        ProjectError: a job has no row.
    """
    found = _by_inputs(path)
    if absent := [job for job in jobs if _key(job) not in found]:
        raise ProjectError(f"{path}: {len(absent)} of {len(jobs)} policies are not trained yet; run: make paper")
    rows = [found[_key(job)] for job in jobs]
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text("".join(map(_line, rows)), encoding="utf-8")
    partial.replace(path)
    return rows


def read(path: Path) -> list[Row]:
    """All whole rows of the file, in its order; none if there is no such file."""
    rows = []
    for line in path.read_bytes().splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except ValueError:  # torn by a kill, or damaged
            continue
        if isinstance(row, dict) and row.keys() >= _FIELDS and row.pop(_CHECK, None) == _check(row):
            rows.append(row)
    return rows


def _line(row: Row) -> str:
    return json.dumps({**row, _CHECK: _check(row)}, separators=(",", ":")) + "\n"


def _check(row: Row) -> str:
    """First digits of the SHA-256 of a row."""
    return hashlib.sha256(json.dumps(row, separators=(",", ":"), sort_keys=True).encode()).hexdigest()[:16]


_CHECK = "check"
_FIELDS = {"variant", "task", "method", "hidden", "seed", "inputs"}


def _by_inputs(path: Path) -> dict[tuple[Any, ...], Row]:
    return {
        (row["variant"], row["task"], row["method"], row["hidden"], row["seed"], row["inputs"]): row
        for row in read(path)
    }


def _key(job: Job) -> tuple[Any, ...]:
    spec = job.spec
    return job.variant, spec.task, spec.method, spec.hidden[0], spec.seed, job.inputs


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
