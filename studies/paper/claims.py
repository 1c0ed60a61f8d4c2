"""The paper's claims as checks: what each says of one recipe, and the control that could explain it otherwise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.studies.paper.checks import WORST, Check, Pairs, beside, every, greater, within
from hls4rl.studies.paper.results import Cell
from hls4rl.studies.paper.statistics import Effect
from hls4rl.studies.paper.variants import BINARY, CONTROL_TASKS
from hls4rl.train.methods import PAPER_METHODS

OPTIMISED = tuple(name for name in PAPER_METHODS if name != "fp")
Checks = Callable[[Pairs, str], list[Check]]
"""What a recipe, named by its variant, has to show; none where it was not trained."""


def nothing(pairs: Pairs, recipe: str) -> list[Check]:
    """Of a claim whose check is its own control."""
    return []


@dataclass(frozen=True)
class Claim:
    """One claim of the paper, how it is checked, and what else could explain it."""

    title: str
    source: str
    check: Checks
    control_name: str
    control: Checks = nothing
    any_of: bool = False
    """Whether one of the checks is enough."""


def _small_networks(method: str, control: bool = False) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        variant, found = f"{recipe}-scaled" if control else recipe, []
        for task in CONTROL_TASKS:
            base, small = pairs.reference(recipe, task), pairs.widths(variant, task, method)[:2]
            if not small:
                continue
            margin = pairs.margin(recipe, task)
            found.append(every(
                f"{task}, `{variant}`: do {method} with {' and '.join(map(str, small))} units compete with fp at "
                f"{base.hidden}?",
                [greater(f"{width}", Effect([pairs.paired(Cell(variant, task, method, width), base)]), -margin)
                 for width in small],
            ))
        return found
    return check


def _smallest_is_best(suffix: str) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        variant, found = recipe + suffix, []
        for task in CONTROL_TASKS:
            smallest, *others = pairs.widths(variant, task, "binaryconnect") or [0]
            if not others:
                continue
            rivals = [
                greater(f"over {width}", Effect([pairs.paired(
                    Cell(variant, task, "binaryconnect", smallest), Cell(variant, task, "binaryconnect", width)
                )])) for width in others
            ]
            found.append(every(f"{task}, `{variant}`: is BC with {smallest} units better than each larger?", rivals))
        return found
    return check


def _erratic(suffix: str) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        variant = recipe + suffix
        if not pairs.has(variant, "cartpole", "binarynet"):
            return []
        effect = pairs.difference(
            "cartpole", (variant, "binarynet"), (recipe, "fp"), lambda cell: pairs.results.spread(cell, 0.5, 1.0)
        )
        question = f"cartpole, `{variant}`: does BN vary more than fp within the second half of training?"
        return [greater(question, effect, unit="difference of the deviations within a policy's curve")]
    return check


def _stretch(suffix: str) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        variant = recipe + suffix
        if not pairs.has(variant, "cartpole", "binarynet"):
            return []
        small = Cell(variant, "cartpole", "binarynet", pairs.widths(variant, "cartpole", "binarynet")[0])
        base, episodes = pairs.reference(recipe, "cartpole"), pairs.results.episodes(small)
        start = min(500 / episodes, 0.25)
        effect = Effect([pairs.paired(small, base, lambda cell: pairs.results.mean_between(cell, start, 1.0))])
        return [greater(
            f"cartpole, `{variant}`: is BN with {small.hidden} units above fp at {base.hidden} over episodes "
            f"{start * episodes:.0f} to {episodes}?", effect,
        )]
    return check


def _competes_then_degrades(suffix: str) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        variant, found = recipe + suffix, []
        base = pairs.reference(recipe, "acrobot")
        for width in pairs.widths(variant, "acrobot", "binarynet")[:2]:
            cell = Cell(variant, "acrobot", "binarynet", width)
            best, there = _best_parts(pairs, cell), _best_parts(pairs, cell, base)
            loss = Effect([best - pairs.results.final(cell)])
            found += [
                greater(f"acrobot, `{variant}`: does BN with {width} units compete with fp at {base.hidden} at its own "
                        "best time?", Effect([best - there]), -pairs.margin(recipe, "acrobot")),
                greater(f"acrobot, `{variant}`: does BN with {width} units end below its own best?", loss, unit="loss"),
            ]
        return found
    return check


def _best_parts(pairs: Pairs, cell: Cell, of: Cell | None = None) -> FloatArray:
    """Each policy's return at the tenth of training that was the best of the *other* policies of ``cell``.

    Chosen by its own curve, the best would lie above the last by chance alone.
    """
    curves, shown = pairs.results.curves(cell), pairs.results.curves(of or cell)
    window = max(1, curves.shape[1] // 10)
    found = []
    for place in range(min(len(curves), len(shown))):
        others = np.delete(curves, place, axis=0) if len(curves) > 1 else curves
        smooth = np.convolve(others.mean(0)[: curves.shape[1] - window], np.full(window, 1 / window), "valid")
        start = int(np.argmax(smooth))
        found.append(shown[place, start: start + window].mean())
    return np.array(found)


def _surpasses(method: str, *rivals: str) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        found = []
        for task, rival in itertools.product(WORST, rivals or ("",)):
            other = recipe + rival
            if not pairs.has(other, task, "fp") or not pairs.has(recipe, task, method):
                continue
            effect = pairs.difference(task, (recipe, method), (other, "fp"))
            item = greater(f"{task}, `{recipe}`: does {method} end above fp of `{other}`?", effect)
            found.append(item if task in CONTROL_TASKS else beside(item))
        return found
    return check


def _jump(pairs: Pairs) -> Callable[[Cell], FloatArray]:
    return lambda cell: pairs.results.mean_between(cell, 0.55, 0.75) - pairs.results.mean_between(cell, 0.4, 0.5)


def _calming(pairs: Pairs) -> Callable[[Cell], FloatArray]:
    """How much nearer each policy lies to its cell's middle after the midpoint than before."""
    def calm(cell: Cell) -> FloatArray:
        before, after = pairs.results.mean_between(cell, 0.4, 0.5), pairs.results.mean_between(cell, 0.55, 0.75)
        nearer: FloatArray = np.abs(before - np.median(before)) - np.abs(after - np.median(after))
        return nearer
    return calm


def _lifts_and_calms(rival: str) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        other = recipe + rival
        if not pairs.has(other, "cartpole", "fp"):
            return []
        sides = (recipe, "compression"), (other, "fp")
        return [
            greater(f"cartpole, `{recipe}`: does compression rise more at the midpoint than fp of `{other}`?",
                    pairs.difference("cartpole", *sides, _jump(pairs)), unit="difference of the changes"),
            greater(f"cartpole, `{recipe}`: do its policies come closer together than those of fp of `{other}`?",
                    pairs.difference("cartpole", *sides, _calming(pairs)), unit="difference of the deviations' fall"),
        ]
    return check


def _nothing_visible(pairs: Pairs, recipe: str) -> list[Check]:
    effect = pairs.difference("acrobot", (recipe, "compression"), (recipe, "fp"), _jump(pairs))
    question = f"acrobot, `{recipe}`: does compression's return change at the midpoint as fp's does?"
    return [within(question, effect, pairs.margin(recipe, "acrobot"))]


def _equals(method: str, tasks: Sequence[str]) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        return [
            greater(f"{task}, `{recipe}`: does {method} end level with fp?",
                    pairs.difference(task, (recipe, method), (recipe, "fp")), -pairs.margin(recipe, task))
            for task in tasks if pairs.has(recipe, task, method)
        ]
    return check


def _no_method_wins(tasks: Sequence[str]) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        cells = [(task, width) for task in tasks for width in pairs.widths(recipe, task, "fp")]
        if not cells:
            return []
        support, refute, lines, policies = [], [], [], 10**9
        for method in PAPER_METHODS:
            losses, holds = [], []
            for task, width in cells:
                for rival in PAPER_METHODS:
                    if rival == method:
                        continue
                    effect = Effect([pairs.paired(Cell(recipe, task, method, width), Cell(recipe, task, rival, width))])
                    losses.append((effect.below(0.0), f"{method} {effect} under {rival} ({task} {width})"))
                    holds.append(effect.above(-pairs.margin(recipe, task)))
                    policies = min(policies, effect.policies)
            value, line = min(losses)
            support.append(min(1.0, value * len(losses)))
            refute.append(max(holds))
            lines.append(line)
        return [Check(
            f"{', '.join(tasks)}, `{recipe}`: is every method beaten in some cell?", "; ".join(lines), max(support),
            min(1.0, len(PAPER_METHODS) * min(refute)), policies,
        )]
    return check


def _most_useful(tasks: Sequence[str]) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        chosen = [task for task in tasks if pairs.has(recipe, task, "compression")]
        if not chosen:
            return []
        rivals = []
        for rival in OPTIMISED:
            if rival == "compression":
                continue
            strata = [
                100 * pairs.paired(Cell(recipe, task, "compression", width), Cell(recipe, task, rival, width))
                / (pairs.margin(recipe, task) * 20)
                for task in chosen for width in pairs.widths(recipe, task, "compression")
            ]
            rivals.append(greater(f"over {rival}", Effect(strata)))
        question = f"{', '.join(chosen)}, `{recipe}`: is compression's mean score (0 worst, 100 fp) the best?"
        return [every(question, rivals)]
    return check


def _cheaper_than_float32(pairs: Pairs, recipe: str) -> list[Check]:
    found = []
    for place in ("", "block_ram_", "sram_", "dram_"):
        name = place.rstrip("_").replace("_", " ") or "logic"
        rivals = [_energies(pairs, recipe, method, f"energy_{place}pj", "float32", place) for method in OPTIMISED]
        if all(rivals):
            found.append(every(
                f"`{recipe}`, parameters of both in {name}: does every optimised policy take less energy than float32?",
                [item for item in rivals if item],
            ))
    return found


def _cheaper_than_eight_bits(pairs: Pairs, recipe: str) -> list[Check]:
    rivals = [_energies(pairs, recipe, method, "energy_pj", "fp", "") for method in OPTIMISED]
    if not all(rivals):
        return []
    question = f"`{recipe}`: does every optimised policy take less energy than fp rounded to 8 bits?"
    return [every(question, [item for item in rivals if item])]


def _energies(pairs: Pairs, recipe: str, method: str, key: str, rival: str, place: str) -> Check | None:
    """How many times less energy ``method`` takes, as a logarithm to base 2."""
    cells = [
        cell for cell in pairs.results.cells
        if cell.variant == recipe and cell.method == method and cell.task in CONTROL_TASKS
    ]
    if not cells or pairs.results.costs(cells[0], key) is None:
        return None
    strata = []
    for cell in cells:
        own = pairs.results.costs(cell, key)
        other = pairs.results.costs(cell, f"energy_float32_{place}pj") if rival == "float32" else pairs.results.costs(
            Cell(recipe, cell.task, rival, cell.hidden), key
        )
        assert own is not None
        assert other is not None
        strata.append(np.log2(other[: len(own)] / own[: len(other)]))
    effect = Effect(strata, resolution=0.01)
    check = greater(f"{method} {2 ** effect.value:.2f} times less", effect, unit="log2")
    return check


def _update_is_the_cause(pairs: Pairs, recipe: str) -> list[Check]:
    variant = f"{recipe}-update"
    return [
        greater(f"{task}, {method}: does `{variant}` end above `{recipe}`?",
                pairs.difference(task, (variant, method), (recipe, method)))
        for task in CONTROL_TASKS for method in BINARY
        if pairs.has(variant, task, method) and pairs.has(recipe, task, method)
    ]


def _update_helps_binary_most(pairs: Pairs, recipe: str) -> list[Check]:
    variant, found = f"{recipe}-update", []
    for task in CONTROL_TASKS:
        for method in BINARY:
            if not pairs.has(variant, task, "fp") or not pairs.has(variant, task, method):
                continue
            strata = [
                pairs.paired(Cell(variant, task, method, width), Cell(recipe, task, method, width))
                - pairs.paired(Cell(variant, task, "fp", width), Cell(recipe, task, "fp", width))
                for width in pairs.widths(variant, task, method)
            ]
            found.append(greater(f"{task}: does {method} gain more by `{variant}` than fp does?", Effect(strata)))
    return found


def _reaches(bars: dict[str, float]) -> Checks:
    def check(pairs: Pairs, recipe: str) -> list[Check]:
        found = []
        for task, bar in bars.items():
            cells = [cell for cell in pairs.results.cells if cell.variant == recipe and cell.task == task]
            values = {cell: pairs.results.deployed(cell) for cell in cells}
            if not cells or any(np.isnan(item).any() for item in values.values()):
                continue
            worst = min(values, key=lambda cell: values[cell].mean())
            all_of = every("", [greater("", Effect([item]), bar) for item in values.values()])
            found.append(Check(
                f"{task}: does every `{recipe}` cell reach a mean of {bar:g}, deployed, greedy?",
                f"worst cell: {worst.method} {worst.hidden} with {Effect([values[worst]])}",
                all_of.support, all_of.refute, all_of.policies,
            ))
        return found
    return check


_SCALED = "signs scaled by fan-in"
_LATE = "fp with its step × 8 after the midpoint, or its optimiser reset"

CLAIMS = (
    Claim("Small BC networks compete with full precision on one control task", "Fig. 3",
          _small_networks("binaryconnect"), _SCALED, _small_networks("binaryconnect", control=True), any_of=True),
    Claim("The smallest BC network learns best", "Fig. 3", _smallest_is_best(""), _SCALED,
          _smallest_is_best("-scaled")),
    Claim("BN is erratic on CartPole", "Fig. 4", _erratic(""), _SCALED, _erratic("-scaled")),
    Claim("BN with 16 units holds a long stretch above full precision on CartPole", "Fig. 4", _stretch(""), _SCALED,
          _stretch("-scaled")),
    Claim("BN with 16 and 32 units competes on Acrobot, then degrades", "Fig. 4", _competes_then_degrades(""), _SCALED,
          _competes_then_degrades("-scaled")),
    Claim("Compression (k = 8) surpasses full precision", "Fig. 5", _surpasses("compression"), _LATE,
          _surpasses("compression", "-late", "-reset")),
    Claim("On CartPole compression lifts the return and calms it at the midpoint", "Fig. 5", _lifts_and_calms(""),
          "fp with its step × 8 after the midpoint", _lifts_and_calms("-late")),
    Claim("On Acrobot nothing visible happens at the midpoint", "Fig. 5", _nothing_visible, "fp's own change"),
    Claim("Pruning half of the weights recovers fully and equals full precision", "Fig. 6",
          _equals("pruning", CONTROL_TASKS), "CartPole-v1, without v0's ceiling", _equals("pruning", ("cartpole1",))),
    Claim("No method wins everywhere", "section IV", _no_method_wins(CONTROL_TASKS), "CartPole-v1 in place of v0",
          _no_method_wins(("cartpole1", "acrobot"))),
    Claim("Compression is of most general use", "section IV", _most_useful(CONTROL_TASKS), "CartPole-v1 in place of v0",
          _most_useful(("cartpole1", "acrobot"))),
    Claim("The cost of operations favours the optimised policies", "Table I", _cheaper_than_float32,
          "fp rounded to 8 bits", _cheaper_than_eight_bits),
    Claim("VPG's plain update is what makes BC and BN unstable (its guess)", "section V", _update_is_the_cause,
          "what fp gains by it", _update_helps_binary_most),
    Claim("Ours: every method learns at every width", "this project", _reaches({"cartpole": 195.0, "acrobot": -105.0}),
          "CartPole-v1", _reaches({"cartpole1": 475.0})),
)
