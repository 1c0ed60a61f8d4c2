"""The results of the grid as arrays: one row a policy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.hls_projects.cost import Cost
from hls4rl.policy import Policy, PolicySpec
from hls4rl.studies.paper.jobs import Job
from hls4rl.studies.paper.variants import CONTROL_TASKS, RECIPES
from hls4rl.train.training import train_policy


@dataclass(frozen=True)
class Cell:
    """Which policies: all seeds of one method and width, trained one way on one task."""

    variant: str
    task: str
    method: str
    hidden: int


class Results:
    """Everything that the figures, tables and claims are made of."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take the rows of :mod:`hls4rl.studies.paper.rows`."""
        self._rows: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
        for row in sorted(rows, key=lambda item: int(item["seed"])):
            self._rows[Cell(row["variant"], row["task"], row["method"], row["hidden"])].append(row)

    def __contains__(self, cell: Cell) -> bool:
        return cell in self._rows

    @property
    def cells(self) -> list[Cell]:
        """All cells: by variant, task and method, then by width."""
        order = {name: place for place, name in enumerate(dict.fromkeys(cell.variant for cell in self._rows))}
        return sorted(self._rows, key=lambda cell: (order[cell.variant], cell.task, cell.method, cell.hidden))

    @property
    def recipes(self) -> list[str]:
        """Names of the recipes of which every method was trained on both control tasks."""
        found = {(cell.variant, cell.task, cell.method) for cell in self._rows}
        return [
            recipe.name for recipe in RECIPES
            if all((recipe.name, task, method) in found for task in CONTROL_TASKS for method in recipe.methods)
        ]

    @property
    def widths(self) -> list[int]:
        """All numbers of hidden units."""
        return sorted({cell.hidden for cell in self._rows})

    @property
    def fewest_policies(self) -> int:
        """Policies in the smallest cell."""
        return min(len(rows) for rows in self._rows.values())

    def seeds(self, cell: Cell) -> list[int]:
        """Seeds of the policies, in the order of every array here."""
        return [int(row["seed"]) for row in self._rows[cell]]

    def curves(self, cell: Cell) -> FloatArray:
        """Learning curves, shape (policies, points): mean return of as many equal shares of the training episodes."""
        return np.array([row["curve"] for row in self._rows[cell]])

    def episodes(self, cell: Cell) -> int:
        """Training episodes of each policy of ``cell``."""
        return int(self._rows[cell][0]["episodes"])

    def rate(self, cell: Cell) -> float:
        """Learning rate at the first episode."""
        return float(self._rows[cell][0]["rate"])

    def mean_between(self, cell: Cell, start: float, end: float) -> FloatArray:
        """Mean return of each policy between two points of its training (0 to 1); shape (policies,)."""
        mean: FloatArray = self._between(cell, start, end).mean(1)
        return mean

    def spread(self, cell: Cell, start: float, end: float) -> FloatArray:
        """Standard deviation within each policy's curve between two points of its training; shape (policies,)."""
        deviation: FloatArray = self._between(cell, start, end).std(1)
        return deviation

    def final(self, cell: Cell) -> FloatArray:
        """Mean return of each policy over the last share of its training, actions sampled; shape (policies,)."""
        return self.measure(cell, "final")

    def deployed(self, cell: Cell) -> FloatArray:
        """Mean greedy return of each deployed integer policy; shape (policies,)."""
        return self.measure(cell, "deployed")

    def measure(self, cell: Cell, name: str) -> FloatArray:
        """Any of a row's numbers; NaN where it has none. Shape (policies,)."""
        return np.array([np.nan if row[name] is None else row[name] for row in self._rows[cell]], dtype=np.float64)

    def costs(self, cell: Cell, key: str) -> FloatArray | None:
        """One figure of the cost per action (:class:`hls4rl.hls_projects.cost.Cost`) of each deployed policy."""
        rows = self._rows[cell]
        if not rows or any(row.get("cost") is None for row in rows):
            return None
        return np.array([row["cost"][key] for row in rows], dtype=np.float64)

    def solved_at(self, cell: Cell) -> list[int | None]:
        """Episode after which each policy's last hundred solve the task; None if it never does."""
        return [row["solved_at"] for row in self._rows[cell]]

    def best_cost(self, cell: Cell) -> Cost:
        """Cost per action of the deployed policy with the highest return."""
        return Cost(**self._best(cell)["cost"])

    def best_policy(self, cell: Cell) -> Policy:
        """The deployed policy with the highest return, trained again: equal arguments give equal bytes."""
        job = Job(cell.variant, PolicySpec(cell.task, cell.method, (cell.hidden,), self._best(cell)["seed"]),
                  self.episodes(cell))
        return train_policy(job.task, job.spec).policy

    def best_inputs(self, cell: Cell) -> list[Any]:
        """What stands for :meth:`best_policy`: its seed and its inputs' digits."""
        return [self._best(cell)["seed"], self._best(cell)["inputs"]]

    def _best(self, cell: Cell) -> dict[str, Any]:
        return self._rows[cell][int(np.nanargmax(self.deployed(cell)))]

    def _between(self, cell: Cell, start: float, end: float) -> FloatArray:
        # At least one point of each curve, however short
        curves = self.curves(cell)
        first = min(round(start * curves.shape[1]), curves.shape[1] - 1)
        return curves[:, first: max(round(end * curves.shape[1]), first + 1)]
