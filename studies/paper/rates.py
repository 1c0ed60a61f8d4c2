"""The learning rate of each method, chosen by one search with the same budget for all; its result is ``rates.json``."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("rates.json")
"""Written by ``make tune``."""
SAME = {"cartpole1": "cartpole"}
"""Tasks that take the rates of another."""


def published_rate(recipe: str, task: str, method: str) -> float:
    """The learning rate that the search chose."""
    return float(published()["rates"][recipe][SAME.get(task, task)][method])


@cache
def published() -> dict[str, Any]:
    """The whole result of the search."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found
