"""Every design of a task as one point: what was built, and what ``make explore`` placed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hls4rl.studies.explore.front import Point, dominated
from hls4rl.train.methods import METHODS

KEYS = ("return", "lut", "latency_ns", "energy_pj")
"""What a point is worth: more return is better, less of the others."""


def points(
    policies: Sequence[Mapping[str, Any]], explored: Mapping[str, Any] | None, solved: float | None, root: str = ""
) -> list[dict[str, Any]]:
    """All designs, placed for timing.

    ``front`` says which are dominated by no other for the same part. Of equal ones only the first is on the front;
    ``equals`` counts the others.

    Args:
        root: what each searched point's command has to end in (:func:`hls4rl.run.root_word`).
    """
    found = [_of_policy(policy, solved) for policy in policies]
    found += [_of_trial(trial, root) for trial in (explored or {}).get("trials", ()) if trial["status"] == "placed"]
    found = [point for point in found if None not in [point[key] for key in KEYS]]
    twins: dict[tuple[str, Point], list[dict[str, Any]]] = {}
    for point in found:
        twins.setdefault((point["part"], _worth(point)), []).append(point)
    for (part, worth), (first, *others) in twins.items():
        rivals = [other for rival_part, other in twins if rival_part == part]
        first.update(front=not dominated(worth, rivals), equals=len(others))
        for point in others:
            point.update(front=False, equals=0)
    return sorted(found, key=lambda point: (not point["front"], -point["return"], point["lut"], point["label"]))


def tried(explored: Mapping[str, Any] | None) -> dict[str, int]:
    """How many of the search's trials ended in which way."""
    counts: dict[str, int] = {}
    for trial in (explored or {}).get("trials", ()):
        counts[trial["status"]] = counts.get(trial["status"], 0) + 1
    return counts


def _worth(point: Mapping[str, Any]) -> Point:
    """What the point is worth to a reader: by its measured return, not by the validation that a search goes by."""
    return Point(*(point[key] for key in KEYS))


def _of_policy(policy: Mapping[str, Any], solved: float | None) -> dict[str, Any]:
    figures, spec = policy["figures"], policy["spec"]
    mean = figures["return_netlist"] if figures["return_netlist"] is not None else figures["return_software"]
    return {
        "origin": "built", "label": policy["name"], "method": spec["method"], "hidden": policy["hidden"],
        "seed": spec["seed"], "bits": figures["bits"], "input_bits": policy["input_bits"], "part": figures["part"],
        "cycles": figures["cycles"], "return": mean, "lut": figures["lut"], "latency_ns": figures["latency_ns"],
        "energy_pj": figures["energy_pj"], "solved": None if solved is None else mean >= solved,
        "fold": policy["fold"], "command": policy["commands"][0]["command"],
    }


def _of_trial(trial: Mapping[str, Any], root: str) -> dict[str, Any]:
    same = ("method", "hidden", "seed", "input_bits", "part", "cycles", *KEYS, "solved")
    return {
        "origin": "explored", "label": f"trial {trial['number']}: {trial['run']}",
        "bits": METHODS[trial["method"]].weight_bits or trial["bits"], **{key: trial[key] for key in same},
        "fold": trial.get("fold") or 0, "command": trial["command"] + root,
    }

