"""The results of the matrix as arrays: one row a policy."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.policy import Policy, load_policy
from hls4rl.studies.paper.jobs import Job

LAST_PART = 0.1
"""Part of the training episodes, from the end, whose mean return counts as final."""


@dataclass(frozen=True)
class Cell:
    """Which policies: all seeds of one method and width, trained one way on one task."""

    variant: str
    task: str
    method: str
    hidden: int


class Results:
    """Everything that the figures, tables and claims are made of."""

    def __init__(self, root: Path, jobs: list[Job]) -> None:
        self._rows: dict[Cell, list[dict[str, Any]]] = defaultdict(list)
        self._policies: dict[Cell, list[Path]] = defaultdict(list)
        for job in jobs:
            stage = job.stage(root)
            if not stage.is_current:
                raise ProjectError(f"{stage.directory}: not trained yet; run: make paper")
            cell = Cell(job.variant, job.spec.task, job.spec.method, job.spec.hidden[0])
            self._rows[cell].append(json.loads((stage.directory / "result.json").read_text(encoding="utf-8")))
            self._policies[cell].append(stage.directory / "policy.safetensors")

    @property
    def cells(self) -> list[Cell]:
        """All cells, in the order of the jobs."""
        return list(self._rows)

    @property
    def widths(self) -> list[int]:
        """All numbers of hidden units."""
        return sorted({cell.hidden for cell in self._rows})

    def curves(self, cell: Cell) -> FloatArray:
        """Learning curves, shape (policies, points): mean return of as many equal parts of the training episodes."""
        return np.array([row["curve"] for row in self._rows[cell]])

    def episodes(self, cell: Cell) -> int:
        """Training episodes of each policy of ``cell``."""
        return int(self._rows[cell][0]["episodes"])

    def part(self, cell: Cell, start: float, end: float) -> FloatArray:
        """Mean return of each policy between two points of its training (0 to 1); shape (policies,)."""
        mean: FloatArray = self._between(cell, start, end).mean(1)
        return mean

    def spread(self, cell: Cell, start: float, end: float) -> FloatArray:
        """Standard deviation within each policy's curve between two points of its training; shape (policies,)."""
        deviation: FloatArray = self._between(cell, start, end).std(1)
        return deviation

    def final(self, cell: Cell) -> FloatArray:
        """Mean return of each policy over the last part of its training, actions sampled; shape (policies,)."""
        return self.part(cell, 1 - LAST_PART, 1.0)

    def deployed(self, cell: Cell) -> FloatArray:
        """Mean greedy return of each deployed integer policy on Gymnasium's environment; shape (policies,)."""
        return np.array([row["return"] for row in self._rows[cell]])

    def solved_at(self, cell: Cell) -> list[int | None]:
        """Episode after which each policy's last hundred solve the task; None if it never does."""
        return [row["solved_at"] for row in self._rows[cell]]

    def best_policy(self, cell: Cell) -> Policy:
        """The deployed policy with the highest return."""
        return load_policy(self.best_policy_file(cell))

    def best_policy_file(self, cell: Cell) -> Path:
        """Where :meth:`best_policy` lies."""
        return self._policies[cell][int(np.argmax(self.deployed(cell)))]

    def _between(self, cell: Cell, start: float, end: float) -> FloatArray:
        # At least one point of each curve, however short
        curves = self.curves(cell)
        first = min(round(start * curves.shape[1]), curves.shape[1] - 1)
        return curves[:, first: max(round(end * curves.shape[1]), first + 1)]
