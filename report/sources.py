"""What lies on disk: tasks, their built runs, and the JSON files in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hls4rl.artefact import verified
from hls4rl.checked import read_checked
from hls4rl.errors import ProjectError
from hls4rl.run import is_imported
from hls4rl.task import Task, read_task

TRAINING = "training.json"
EXPLORED = Path("explore") / "explore.json"
"""Below a task's directory: what ``make explore`` found."""


def read_artefact(directory: Path, name: str) -> Any:
    """The content of a JSON file in an artefact.

    Raises:
        ProjectError: it isn't there, or the directory isn't as it was left.
    """
    try:
        return json.loads((verified(directory, "run its `make synth` again") / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ProjectError(f"{directory / name}: not readable ({error}); make its run again") from error


def read_result(path: Path, remedy: str, **inputs: str) -> dict[str, Any] | None:
    """What a command left in ``path``; None where there is no such file.

    Args:
        remedy: ends messages.
        inputs: what it must say that it comes from.

    Raises:
        ProjectError: it was changed, or comes from something else.
    """
    if not path.exists():
        return None
    found = read_checked(path, remedy)
    for name, value in inputs.items():
        if found.get(name) != value:
            raise ProjectError(f"{path}: made with another {name} than is here now; {remedy}, or remove it")
    return found


def built_runs(directory: Path) -> list[Path]:
    """The runs of a task's directory that went through to their report, by name."""
    found = {path.parent for path in directory.glob("*/report")}
    return sorted(path for path in found if not is_imported(path))


def imported_builds(root: Path) -> list[Path]:
    """The builds of imported models below ``root`` that went through to their report, by name."""
    found = {path.parent for path in root.glob("*/*/report")}
    return sorted(path for path in found if is_imported(path))


def unbuilt_runs(directory: Path) -> list[Path]:
    """The runs of a task's directory that are trained, and of which neither they nor another seed is built."""
    built = {_any_seed(path) for path in built_runs(directory)}
    trained = sorted(path.parent.parent for path in directory.glob("*-s*/policy/training.json"))
    return [path for path in trained if _any_seed(path) not in built]


def task_directories(root: Path) -> list[Path]:
    """The directories below ``root`` that have something to report, by name."""
    folders = sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    return [path for path in folders if built_runs(path) or unbuilt_runs(path) or (path / EXPLORED).exists()]


def sibling_seeds(run: Path) -> dict[int, Path]:
    """``training.json`` of each policy that differs from that of ``run`` in the seed alone."""
    wanted = _without_seed(read_artefact(run / "policy", TRAINING))
    found = {}
    for path in sorted(run.parent.glob("*-s*/policy/training.json")):
        training = read_artefact(path.parent, TRAINING)
        if _without_seed(training) == wanted:
            found[int(training["spec"]["seed"])] = path
    return dict(sorted(found.items()))


def task_of(run: Path) -> Task:
    """The task that ``run`` was made for, with the settings it was made with.

    Raises:
        ProjectError: the run's ``metadata.json`` is missing or of another version.
    """
    path = run / "metadata.json"
    found = read_checked(path, "run its `make synth` again")
    return read_task(found["task"], f"{path}: of another version; run its `make synth` again")


def _any_seed(run: Path) -> str:
    return re.sub(r"-s\d+", "", run.name)


def _without_seed(training: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in training["spec"].items() if key != "seed"}
