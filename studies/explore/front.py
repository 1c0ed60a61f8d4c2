"""The Pareto front: what is beaten by nothing in return, look-up tables, latency and energy at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Point(NamedTuple):
    """What a core is worth."""

    value: float
    """Mean return; more is better."""
    lut: float
    latency_ns: float
    energy_pj: float
    robust: float = 0.0
    """Mean return of the robustness check; more is better."""


def point_of(trial: Mapping[str, Any]) -> Point:
    """The point of a placed trial, as the search sees it: by validation alone."""
    return Point(
        trial["validation_return"], trial["lut"], trial["latency_ns"], trial["energy_pj"], trial["validation_robust"]
    )


def dominated(point: Point, others: Iterable[Point]) -> bool:
    """Whether one of ``others`` is at least as good in all, and better in one."""
    return any(
        other.value >= point.value and other.robust >= point.robust and other.lut <= point.lut
        and other.latency_ns <= point.latency_ns and other.energy_pj <= point.energy_pj and other != point
        for other in others
    )


def front(trials: Sequence[Mapping[str, Any]]) -> list[int]:
    """Indices of the placed trials on the front, the largest return first, then the fewest look-up tables.

    Of equal points the first is taken.
    """
    points: dict[Point, int] = {}
    for index, trial in enumerate(trials):
        if trial["status"] == "placed":
            points.setdefault(point_of(trial), index)
    best = [point for point in points if not dominated(point, points)]
    return [points[point] for point in sorted(best, key=lambda item: (-item.value, *item[1:4], -item.robust))]
