"""What lies on disk: tasks, their built runs, and the JSON files in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.task import Task, read_task

EXPLORED = Path("explore") / "explore.json"
"""Below a task's directory: what ``make explore`` found."""


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ProjectError: it isn't there or isn't whole.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path}: not readable ({error}); make its run again") from error


def read_if_there(path: Path) -> Any:
    """As :func:`read_json`, and None where there is no such file."""
    return read_json(path) if path.exists() else None


def built_runs(directory: Path) -> list[Path]:
    """The runs of a task's directory that went through to their report, by name."""
    return sorted(path.parent.parent for path in directory.glob("*/report/summary.json"))


def task_directories(root: Path) -> list[Path]:
    """The directories below ``root`` that have something to report, by name."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [path for path in folders if built_runs(path) or (path / EXPLORED).exists()]


def sibling_seeds(run: Path) -> dict[int, Path]:
    """``training.json`` of each policy that differs from that of ``run`` in the seed alone."""
    wanted = _without_seed(read_json(run / "policy" / "training.json"))
    found = {}
    for path in sorted(run.parent.glob("*-s*/policy/training.json")):
        training = read_json(path)
        if _without_seed(training) == wanted:
            found[int(training["spec"]["seed"])] = path
    return dict(sorted(found.items()))


def task_of(run: Path) -> Task:
    """The task that ``run`` was made for, with the settings it was made with.

    Raises:
        ProjectError: the run's ``metadata.json`` is missing or of another version.
    """
    path = run / "metadata.json"
    return read_task(read_json(path)["task"], f"{path}: of another version; run its `make synth` again")


def _without_seed(training: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in training["spec"].items() if key != "seed"}
