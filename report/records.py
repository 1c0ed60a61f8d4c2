"""What ``make records`` left: policies of few gates beside what others have published, task by task."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.plain import read_json

FILE = "records.json"
_REMEDY = "run `make records` again, or remove it"


def records_of(root: Path) -> list[dict[str, Any]]:
    """Of each task in ``root``'s records, or in those of its folder ``records``: every seed, their mean, the peers.

    Raises:
        ProjectError: a file of them is damaged.
    """
    found = []
    for path in (root / FILE, root / "records" / FILE):
        if not path.exists():
            continue
        content = read_json(path, _REMEDY)
        try:
            tasks = dict.fromkeys(line["task"] for line in content["lines"])
            found += [_task(name, content) for name in tasks]
        except (KeyError, TypeError, AttributeError) as error:
            raise ProjectError(f"{path}: no records of this version; {_REMEDY}") from error
    return found


def _task(name: str, content: dict[str, Any]) -> dict[str, Any]:
    lines = [line for line in content["lines"] if line["task"] == name]
    returns = [float(line["return_netlist"]) for line in lines]
    return {
        "task": name, "seeds": len(lines), "mean": statistics.fmean(returns), "median": statistics.median(returns),
        "lines": lines, "peers": content["peers"].get(name, []),
    }
