"""Questions with three answers: each is an effect, paired by seed and stratified by width, held against a region."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.studies.paper.statistics import FEWEST, LEVEL, NOT_SHOWN, REFUTED, SUPPORTED, TOO_FEW, Effect, holm

MARGIN = 0.05
"""Two returns are as good as equal if they differ by less than this share of the way from the worst return."""
WORST = {"cartpole": 0.0, "cartpole1": 0.0, "acrobot": -500.0}
REFERENCE_WIDTH = 128
"""Hidden units of the full-precision policy that the paper's figures compare with."""

Quantity = Callable[[Cell], FloatArray]
"""A number of each policy of a cell, shape (policies,)."""


@dataclass(frozen=True)
class Check:
    """One question, and how surprising the data would be if its answer were no, or yes."""

    question: str
    evidence: str
    support: float
    """One-sided p-value against the claim's opposite."""
    refute: float
    """One-sided p-value against the claim."""
    policies: int
    """Of the smallest group that it rests on."""
    beside: bool = False
    """Shown beside the claim, which does not rest on it."""

    @property
    def surprise(self) -> float:
        """Two-sided p-value: of the better founded of the two answers."""
        return min(1.0, 2.0 * min(self.support, self.refute))


def verdicts(checks: Sequence[Check]) -> list[str]:
    """The answer of each, corrected for the number of all."""
    corrected = holm([check.surprise for check in checks])
    return [_verdict(check, value) for check, value in zip(checks, corrected, strict=True)]


def _verdict(check: Check, corrected: float) -> str:
    if check.policies < FEWEST:
        return TOO_FEW
    if corrected >= LEVEL:
        return NOT_SHOWN
    return SUPPORTED if check.support <= check.refute else REFUTED


def combined(answers: Sequence[str], any_of: bool) -> str:
    """One answer to a claim of several statements: all must hold, or ``any_of`` them."""
    if TOO_FEW in answers:
        return TOO_FEW
    decisive, weak = (SUPPORTED, REFUTED) if any_of else (REFUTED, SUPPORTED)
    if decisive in answers:
        return decisive
    return weak if all(answer == weak for answer in answers) else NOT_SHOWN


def greater(question: str, effect: Effect, bound: float = 0.0, unit: str = "difference") -> Check:
    """Whether ``effect`` lies above ``bound``."""
    limit = f", bound {bound:.1f}" if bound else ""
    return Check(question, f"{unit} {effect}{limit}", effect.above(bound), effect.below(bound), effect.policies)


def within(question: str, effect: Effect, margin: float) -> Check:
    """Whether ``effect`` lies between -``margin`` and ``margin``."""
    support = max(effect.above(-margin), effect.below(margin))
    refute = min(1.0, 2 * min(effect.below(-margin), effect.above(margin)))
    return Check(question, f"difference {effect}, margin ±{margin:.1f}", support, refute, effect.policies)


def every(question: str, checks: Sequence[Check]) -> Check:
    """Whether all of ``checks`` hold: as likely as the least likely; refuted by any, at the price of their number."""
    return Check(
        question, "; ".join(f"{check.question}: {check.evidence}" for check in checks),
        max(check.support for check in checks), min(1.0, len(checks) * min(check.refute for check in checks)),
        min(check.policies for check in checks),
    )


def beside(check: Check) -> Check:
    """The same, shown only."""
    return replace(check, beside=True)


class Pairs:
    """Effects between two groups of cells that were trained from equal seeds."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def has(self, variant: str, task: str, method: str) -> bool:
        """Whether there are such policies."""
        return bool(self.widths(variant, task, method))

    def widths(self, variant: str, task: str, method: str) -> list[int]:
        """Numbers of hidden units that were trained."""
        return [width for width in self.results.widths if Cell(variant, task, method, width) in self.results]

    def difference(
        self, task: str, left: tuple[str, str], right: tuple[str, str], quantity: Quantity | None = None,
        widths: Sequence[int] | None = None,
    ) -> Effect:
        """``left`` minus ``right``, each a variant and a method, over the widths that both have."""
        others = self.widths(right[0], task, right[1])
        common = [width for width in self.widths(left[0], task, left[1]) if width in others]
        return Effect([
            self.paired(Cell(left[0], task, left[1], width), Cell(right[0], task, right[1], width), quantity)
            for width in (common if widths is None else widths)
        ])

    def paired(self, left: Cell, right: Cell, quantity: Quantity | None = None) -> FloatArray:
        """Differences of the policies of equal seeds, shape (seeds,)."""
        take = quantity or self.results.final
        first = dict(zip(self.results.seeds(left), take(left), strict=True))
        second = dict(zip(self.results.seeds(right), take(right), strict=True))
        return np.array([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])

    def reference(self, variant: str, task: str) -> Cell:
        """The full-precision cell that the paper's figures compare with."""
        widths = self.widths(variant, task, "fp")
        return Cell(variant, task, "fp", REFERENCE_WIDTH if REFERENCE_WIDTH in widths else max(widths))

    def margin(self, variant: str, task: str) -> float:
        """What counts as equal: a part of the way from the worst return to the reference's."""
        return MARGIN * max(1.0, float(self.results.final(self.reference(variant, task)).mean()) - WORST[task])
