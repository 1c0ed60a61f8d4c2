"""The content of a report, as plain JSON: every figure of the page comes from here, and here from a run's files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.artefact import digest, require_unchanged
from hls4rl.hls_projects.executors import EXECUTORS
from hls4rl.hls_projects.fpga.parts import load_part, part_names
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.hls_projects.prove.claims import CERTIFICATE
from hls4rl.hls_projects.summary import KEYS, load_summary
from hls4rl.policy import Policy
from hls4rl.report import words
from hls4rl.report.commands import building, commands, environment_word
from hls4rl.report.episode import MOST_FEATURES, record
from hls4rl.report.points import points, tried
from hls4rl.report.sources import (
    EXPLORED,
    TRAINING,
    built_runs,
    read_artefact,
    read_result,
    sibling_seeds,
    task_of,
    unbuilt_runs,
)
from hls4rl.report.vendor import cross_check
from hls4rl.run import Run, root_word
from hls4rl.studies.fold import NAME as FOLDS
from hls4rl.train.selection import EVALUATION_SEED

CURVE_POINTS = 100
"""Of a training curve, at most: each is the mean of a block of episodes."""
UNITS_SHOWN = 8
_BOARD = ("board", "port", "episodes", "return_hardware", "return_software", "steps_compared", "mismatches", "retries",
          "inferences_per_second")
_STATED = ("lut", "ff", "dsp", "bram")
_IMPORTED = ("model", "part", "observations", "mismatches", *_STATED, "fmax_mhz", "cycles", "latency_ns")


def collect_task(directory: Path) -> dict[str, Any]:
    """All that there is to say about the task whose runs lie in ``directory``.

    Raises:
        ProjectError: a file is missing or damaged; the message names it.
    """
    explored = read_result(directory / EXPLORED, "run `make explore` again")
    root = root_word(directory.parent)
    policies = [_policy(run, explored) for run in built_runs(directory)]
    word = environment_word(directory.name, explored, task_of(directory / policies[0]["name"]) if policies else None)
    solved = policies[0]["solved_from"] if policies else (explored or {}).get("solved")
    policies.sort(key=lambda item: (item["solves"] is False, item["figures"]["lut"] or 0))
    return {
        "task": directory.name,
        "environment": policies[0]["environment"] if policies else f"task {word}",
        "solved_from": solved,
        "policies": policies,
        "trials": tried(explored),
        "points": points(policies, explored, solved, root),
        "unbuilt": [_unbuilt(run, explored) for run in unbuilt_runs(directory)],
        "energy_assumptions": list(words.ENERGY_ASSUMPTIONS),
        "commands": [
            {"figure": "this page", "command": f"make report{root}"},
            {"figure": "the front", "command": f"make explore ENV={shlex.quote(word)}{root}"},
        ],
    }


def _policy(run: Path, explored: Mapping[str, Any] | None) -> dict[str, Any]:
    made = Run.at(run)
    task, policy, report = task_of(run), made.load_policy(), made.verified(made.report)
    training, summary = read_artefact(run / "policy", TRAINING), load_summary(report / "summary.json")
    figures = {key: value for key, value in summary.items() if key in KEYS}
    if figures["bitstream"]:
        figures["bitstream"] = f"{run.name}/{figures['part']}/{Path(figures['bitstream']).name}"
    implementation = read_artefact(report, RESULT)
    part = made.part(task.hardware.part)
    placed = read_artefact(made.verified(part), RESULT) if part.exists() else None
    folds = read_result(run / FOLDS, "run its `make fold` again", policy=digest(made.policy))
    board = read_result(run / "hil.json", "run its `make hil` again", policy=digest(made.policy))
    return {
        "name": run.name,
        "environment": task.environment,
        "solved_from": task.solved,
        "solves": None if task.solved is None else figures["return_software"] >= task.solved,
        "spec": training["spec"],
        "discrete": not task.actions.is_continuous and len(policy.contract.output.sizes(policy.outputs)) == 1,
        "hidden": policy.spec.shape,
        "input_bits": task.observation.bits,
        "scale": task.converter.scale.tolist(),
        "offset": task.converter.offset.tolist(),
        "numbers": words.number_formats(training["contract"]),
        "figures": figures,
        "skipped": summary["skipped"],
        "training": _training(run),
        "imported": training.get("source"),
        "verification": [_verified(item) for item in read_artefact(report, "verification.json")],
        "proof": _proof(made, figures["part"]),
        "resources": _resources(figures),
        "clock_mhz": task.hardware.clock_mhz,
        "capped": _capped(implementation),
        "critical_path": words.critical_path(implementation.get("critical_path") or ()),
        "energy": read_artefact(report, "op_and_param_counts.json"),
        "weights": _weights(policy),
        "episode": record(task, policy, EVALUATION_SEED),
        "fold": placed.get("fold", 0) if placed else 0,
        "folds": [point for point in folds["points"] if point["latency_ns"]] if folds else [],
        "board": {key: board[key] for key in _BOARD} if board else None,
        "vendor": cross_check(made, placed, task.hardware),
        "commands": commands(
            training["spec"], task, environment_word(task.name, explored, task), board is not None, made.root,
            folds is not None,
        ),
    }


def _unbuilt(run: Path, explored: Mapping[str, Any] | None) -> dict[str, Any]:
    """A policy that is trained, and not built yet."""
    training = read_artefact(run / "policy", TRAINING)
    return {
        "name": run.name, "greedy_return": training["greedy_return"], "solved": training["solved"],
        "command": building(training["spec"], environment_word(run.parent.name, explored), run.parent.parent),
    }


def _training(run: Path) -> dict[str, Any]:
    seeds = {seed: read_artefact(path.parent, TRAINING) for seed, path in sibling_seeds(run).items()}
    deployed = int(read_artefact(run / "policy", TRAINING)["spec"]["seed"])
    first = next(iter(seeds.values()))
    block = max(1, len(first["training_returns"]) // CURVE_POINTS)
    return {
        "block": block,
        "seeds": [
            {
                "seed": seed,
                "deployed": seed == deployed,
                "curve": block_means(training["training_returns"], block),
                **{key: training[key] for key in
                   ("validation_return", "greedy_return", "sampled_return", "steps", "steps_per_second")},
            }
            for seed, training in seeds.items()
        ],
    }


def block_means(returns: list[float], block: int) -> list[float]:
    """Means of each ``block`` of ``returns``; a rest at the end is left out."""
    whole = np.asarray(returns[: len(returns) // block * block], dtype=np.float64)
    return [round(float(value), 3) for value in whole.reshape(-1, block).mean(axis=1)]


def _verified(item: Mapping[str, Any]) -> dict[str, Any]:
    returns = item["returns"]
    return {
        "backend": item["backend"], "meaning": EXECUTORS[item["backend"]].label, "episodes": len(returns),
        "mean_return": item["mean_return"], "lowest": min(returns, default=None),
        "highest": max(returns, default=None), "first": returns[0] if returns else None,
        "steps": item["steps"], "mismatches": item["mismatches"], "logits_compared": item["logits_compared"],
    }


def _capped(implementation: Mapping[str, Any]) -> dict[str, Any] | None:
    """What holds the clock below what nextpnr found, if anything does."""
    cause = implementation.get("fmax_capped_by")
    return {"by": cause, "nextpnr_mhz": implementation["fmax_nextpnr_mhz"]} if cause else None


def _proof(run: Run, part: str) -> dict[str, Any] | None:
    remedy = "run its `make prove` again"
    certificate = read_result(run.directory / f"proof-{part}" / CERTIFICATE, remedy, policy=digest(run.policy))
    if certificate is None:
        return None
    for side in certificate["sides"].values():
        for name, expected in side["sha256"].items():
            require_unchanged(run.directory / name, expected, f"the certificate is of another file; {remedy}")
    keys = ("claim", "outputs", "status", "over", "method")
    return {
        "verdict": certificate["verdict"], "statement": certificate["statement"],
        "claims": [{key: claim[key] for key in keys} for claim in certificate["claims"]],
    }


def _resources(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    capacity = load_part(figures["part"]).capacity if figures["part"] in part_names() else {}
    return [
        {
            "name": name.upper(), "used": figures[name], "has": capacity.get(name),
            "percent": round(100 * figures[name] / capacity[name], 3) if capacity.get(name) else None,
        }
        for name in _STATED if figures[name] is not None
    ]


def _weights(policy: Policy) -> dict[str, Any]:
    """The network's parameters as the hardware has them, in real values: integers times their unit.

    Of a wide first layer only the rows of :data:`UNITS_SHOWN` units, ``units``, that weigh most on the logits.
    """
    layers = []
    for layer in policy.network.layers:
        layers.append({
            "weight": (layer.weight * layer.weight_lsb).tolist(), "bias": (layer.bias * layer.bias_lsb).tolist(),
        })
    shown: dict[str, Any] = {"layers": layers}
    if policy.features > MOST_FEATURES:
        heaviest = np.argsort(-np.ptp(layers[-1]["weight"], axis=0), kind="stable")[:UNITS_SHOWN]
        shown["units"] = sorted(heaviest.tolist())
        layers[0]["weight"] = [layers[0]["weight"][unit] for unit in shown["units"]]
    return shown


def imported(build: Path) -> dict[str, Any]:
    """The figures of an imported model that was built in ``build``.

    Raises:
        ProjectError: a file is missing or damaged; the message names it.
    """
    summary = read_artefact(build / "report", "summary.json")
    return {
        "name": build.name, "environment": summary.get("environment"), "greedy_return": summary.get("greedy_return"),
        **{key: summary[key] for key in _IMPORTED},
    }


def overview(
    tasks: list[dict[str, Any]], models: list[dict[str, Any]], records: list[dict[str, Any]]
) -> dict[str, Any]:
    """The content of the page over all tasks.

    Args:
        tasks: what :func:`collect_task` found.
        models: what :func:`imported` found.
        records: what :func:`hls4rl.report.records.records_of` found.
    """
    return {
        "tasks": [
            {
                "task": item["task"], "environment": item["environment"], "solved_from": item["solved_from"],
                "policies": len(item["policies"]), "trials": sum(item["trials"].values()),
                "smallest": _best(item, "lut"), "fastest": _best(item, "latency_ns"),
                "leanest": _best(item, "energy_pj"), "points": item["points"],
            }
            for item in tasks
        ],
        "rows": [
            {"task": item["task"], "name": policy["name"], "solves": policy["solves"], "cells": policy["figures"]}
            for item in tasks for policy in item["policies"]
        ],
        "imported": models,
        "records": records,
        "commands": [{"figure": "this page", "command": "make report"}],
    }


def _best(task: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    # Without a bar, every policy counts as solving.
    solving = [point for point in task["points"] if point["solved"] is not False]
    return min(solving, key=lambda point: (point[key], point["label"]), default=None)
