"""What ``make records`` left: policies of few gates beside what others have published, environment by environment."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.report.sources import read_result

FILE = "records.json"
_REMEDY = "run `make records` again, or remove it"


def records_of(root: Path) -> list[dict[str, Any]]:
    """Of each environment in ``root``'s records, or in those of its folder ``records``: networks, seeds, and the peers.

    Raises:
        ProjectError: a file of them is damaged.
    """
    found = []
    for path in (root / FILE, root / "records" / FILE):
        content = read_result(path, _REMEDY)
        if content is None:
            continue
        try:
            found += [_environment(name, content) for name in content["peers"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise ProjectError(f"{path}: no records of this version; {_REMEDY}") from error
    return found


def _environment(name: str, content: dict[str, Any]) -> dict[str, Any]:
    lines = [line for line in content["lines"] if line["environment"] == name]
    networks = dict.fromkeys(line["network"] for line in lines)
    return {
        "environment": name, "lines": lines, "peers": content["peers"][name],
        "networks": [_network(network, [line for line in lines if line["network"] == network]) for network in networks],
    }


def _network(name: str, lines: list[dict[str, Any]]) -> dict[str, Any]:
    returns = [float(line["return_netlist"]) for line in lines]
    return {
        "network": name, "seeds": len(lines), "mean": statistics.fmean(returns), "median": statistics.median(returns),
    }
