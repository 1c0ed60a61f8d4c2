"""The paper's claims about Pong (Figures 5 and 6, and binary networks), each beside the control that could explain it.

Differences are paired by seed and averaged over widths. Three seeds are too few for the resampling that other tasks'
answers rest on, so that intervals are Student's.
"""

from __future__ import annotations

from dataclasses import dataclass

from hls4rl.studies.paper.checks import MARGIN, Pairs
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.studies.paper.statistics import NOT_SHOWN, REFUTED, SUPPORTED, Interval, student

TASK, WORST = "pong", -21.0
MEASURES = {"final": "final", "deployed": "greedy", "sampled": "drawn"}
"""Which of a row's numbers are compared, and what the table calls them."""


@dataclass(frozen=True)
class Question:
    """Does one cell's method end above another's, or level with it?"""

    claim: str
    text: str
    left: tuple[str, str]
    """Variant and method."""
    right: tuple[str, str]
    level: bool = False
    """Whether to end less than the margin below is enough."""


_BINARY = "Binary networks compete with full precision"
_COMPRESSION = "Compression (k = 8) surpasses full precision"
_PRUNING = "Pruning half of the weights recovers fully and equals full precision"
QUESTIONS = (
    *(
        Question(_BINARY, f"{method} of `{variant}` level with fp", (variant, method), ("own", "fp"), level=True)
        for method in ("binaryconnect", "binarynet") for variant in ("own", "own-kl")
    ),
    Question(_COMPRESSION, "above fp", ("own", "compression"), ("own", "fp")),
    Question(_COMPRESSION, "control: above fp with the same switch, rate and fresh optimiser (`own-late`)",
             ("own", "compression"), ("own-late", "fp")),
    Question(_PRUNING, "level with fp", ("own", "pruning"), ("own", "fp"), level=True),
    Question(_PRUNING, "control: level with fp with a fresh optimiser (`own-reset`)",
             ("own", "pruning"), ("own-reset", "fp"), level=True),
)


def answer(found: Interval, bound: float) -> str:
    """Whether an effect lies above ``bound``."""
    return SUPPORTED if found.low > bound else REFUTED if found.high < bound else NOT_SHOWN


def claims(results: Results) -> str:
    """A table of :data:`QUESTIONS`: each difference with its interval, and the answer for each measure."""
    pairs = Pairs(results)
    margin = MARGIN * (float(results.final(pairs.reference("own", TASK)).mean()) - WORST)
    lines = [
        "## Claims\n",
        f"Differences in return over widths and seeds, paired by seed, with Student's 95 % intervals. Level: less than "
        f"{margin:.1f} below, a twentieth of the way from -21 to fp. Not corrected for their number.\n",
        f"| claim | question | policies | {' | '.join(MEASURES.values())} |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for item in QUESTIONS:
        widths = [width for width in pairs.widths(item.left[0], TASK, item.left[1])
                  if width in pairs.widths(item.right[0], TASK, item.right[1])]
        if not widths:
            continue
        cells, count = [], 0
        for measure in MEASURES:
            strata = [
                pairs.paired(
                    Cell(item.left[0], TASK, item.left[1], width), Cell(item.right[0], TASK, item.right[1], width),
                    lambda cell, measure=measure: results.measure(cell, measure),  # type: ignore[misc]
                )
                for width in widths
            ]
            found, count = student(strata), sum(map(len, strata))
            cells.append(f"{found}: **{answer(found, -margin if item.level else 0.0)}**")
        lines.append(f"| {item.claim} | {item.text} | {count} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
