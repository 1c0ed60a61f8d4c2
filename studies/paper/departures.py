"""What each departure from the paper's text does to the returns: one thing changed at a time, paired by seed."""

from __future__ import annotations

from collections.abc import Iterator

from hls4rl.studies.paper.checks import Check, Pairs, greater, verdicts
from hls4rl.studies.paper.results import Results
from hls4rl.studies.paper.statistics import REFUTED, SUPPORTED
from hls4rl.studies.paper.variants import CONTROL_TASKS, VARIANTS

DEPARTURES = (
    ("returns held against their running mean and deviation, where eq. 4 has them as they are", "paper",
     "paper-literal"),
    ("inputs of few bits, scaled by hand, where the paper has the environment's floats", "paper-few-bits", "paper"),
    ("weights, biases and activations rounded from the first episode", "paper-rounded", "paper"),
    ("signs of BC and BN scaled by fan-in", "paper-scaled", "paper"),
    ("a baseline per time step and an entropy bonus in place of VPG's plain update", "paper-update", "paper"),
    ("a rate of 0.01 for all, where each has that of the search", "small-step", "paper"),
    ("Adam, few-bit inputs, rounding and scaled signs, all at once", "plain", "paper"),
    ("our recipe, all at once", "steady", "paper"),
)
"""What differs, the variant that has it, and the one that has not."""
_WORDS = {SUPPORTED: "raises", REFUTED: "lowers"}


def table(results: Results) -> str:
    """One row for each departure, task and method, in Markdown; empty if nothing of it was trained."""
    asked = list(_asked(Pairs(results)))
    if not asked:
        return ""
    answers = verdicts([check for _, check in asked])
    lines = [
        "## Departures from the text, one at a time\n",
        "Differences of final returns over the widths that both have; answers corrected for the number of rows "
        "(Holm, 5 %).\n",
        "| departure | variant | against | task | method | difference | it |", "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {words} | `{left}` | `{right}` | {task} | {method} | {check.evidence} | {_WORDS.get(answer, answer)} |"
        for ((words, left, right, task, method), check), answer in zip(asked, answers, strict=True)
    ]
    return "\n".join([*lines, ""])


def _asked(pairs: Pairs) -> Iterator[tuple[tuple[str, str, str, str, str], Check]]:
    for words, left, right in DEPARTURES:
        for task in CONTROL_TASKS:
            for method in VARIANTS[left].methods:
                common = set(pairs.widths(left, task, method)) & set(pairs.widths(right, task, method))
                if common:
                    effect = pairs.difference(task, (left, method), (right, method))
                    yield (words, left, right, task, method), greater("", effect, unit="")
