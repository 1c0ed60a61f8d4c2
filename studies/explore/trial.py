"""One trial: train a few seeds, estimate the core of the best, and place it if it may be on the front.

A trial is a function of its job alone and answers with plain data, so that it can run on any machine.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hls4rl.contract import FixedPoint, Table
from hls4rl.gym_loop import play
from hls4rl.hls_projects.cost import cost
from hls4rl.hls_projects.flow.core import build_core
from hls4rl.hls_projects.flow.estimate import estimate
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.fpga.synthesis import synthesise
from hls4rl.hls_projects.rtl.pipelined import CORE, write_rtl
from hls4rl.hls_projects.simulation.cores import open_netlist
from hls4rl.integer_backend import IntegerBackend
from hls4rl.network import IntegerNetwork
from hls4rl.policy import Policy
from hls4rl.studies.explore.front import Point, dominated
from hls4rl.studies.explore.robust import robustness
from hls4rl.studies.explore.space import Candidate
from hls4rl.task import Hardware, Task
from hls4rl.train.greedy import greedy_returns
from hls4rl.train.methods import METHODS, weight_bits
from hls4rl.train.selection import EVALUATION_EPISODES, EVALUATION_SEED, VALIDATION_SEED
from hls4rl.train.trainers.kernel import is_compiled
from hls4rl.train.training import Standing, train_policy

HOPE = 0.75
"""A core is placed if three quarters of its estimates would be on the front: they are that rough."""
_LOOK_UP_TABLES_A_BIT = 0.4
"""Of an adder, where neighbours share logic: from small cores that were placed."""

_FOLDED_MHZ = 110.0
"""What folded cores of all sizes come to on an ECP5."""


@dataclass(frozen=True)
class Job:
    """What a trial needs to know."""

    task: Task
    """As its file says."""
    candidate: Candidate
    seeds: int
    """How many, from the candidate's own on."""
    front: tuple[Point, ...]
    """What is placed so far and not dominated."""
    floor: float
    """Mean return from which a policy is worth a core."""
    target: float
    """Of the seeds that reach this mean return the smallest is taken; infinite where the task names none."""
    seconds: float
    """Time left, from the job's start."""


class OutOfTimeError(Exception):
    """The budget ended in the middle of a training run."""


def run_trial(job: Job) -> dict[str, Any]:
    """Train, estimate, place; the answer has the keys that ``explore.json`` lists, and never an exception.

    ``status`` is ``placed``; ``dominated`` or ``unfit`` where the estimates or the return made placing pointless;
    ``late`` where the budget ended first; or ``failed``, with a ``reason``.
    """
    started = time.perf_counter()
    answer = dict.fromkeys(KEYS) | _settings(job)
    try:
        answer |= _run(job, started)
    except OutOfTimeError:
        answer |= {"status": "late"}
    except Exception as error:  # one candidate that cannot be built must not end a search of hours
        answer |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    return answer | {"seconds": round(time.perf_counter() - started, 2)}


KEYS = (
    "status", "reason", "method", "hidden", "seed", "bits", "activation_bits", "input_bits", "input_scale",
    "clusters", "percentile", "set", "part", "stages", "fold", "run", "validation_return", "validation_robust",
    "return", "solved", "robust_return", "robust", "lut",
    "lut_estimate", "ff", "dsp", "bram", "fmax_mhz", "fmax_capped_by", "cycles", "latency_ns", "latency_estimate_ns",
    "energy_pj", "seconds", "command",
)
"""Of each trial; null where it did not come so far."""


def _run(job: Job, started: float) -> dict[str, Any]:
    deadline = started + job.seconds
    candidate, policy, mean = _train(job, deadline)
    part = load_part(candidate.part)
    task = candidate.task(job.task)
    network, stages = policy.network, task.hardware.stages
    found: dict[str, Any] = {
        **_settings(job, candidate),
        "validation_return": mean,
        "validation_robust": robustness(task).mean(
            IntegerBackend(policy.network), task.training.validation_episodes, VALIDATION_SEED
        ),
        "energy_pj": cost(network, policy.spec).energy_pj,
        **_guess(network, part, task.hardware),
    }
    if mean < job.floor:
        return found | {"status": "unfit"}
    if _hopeless(found, job):
        return found | {"status": "dominated"}
    if task.hardware.fold:
        return found | _place(task, network, part)
    with tempfile.TemporaryDirectory() as folder:
        write_rtl(network, Path(folder), stages or 1)
        recipe = next(iter(part.tools.recipes))
        found["lut_estimate"] = synthesise(
            [Path(folder) / f"{CORE}.v"], CORE, part, Path(folder), recipe
        ).resources["lut"]
    if _hopeless(found, job):
        return found | {"status": "dominated"}
    if time.perf_counter() > deadline:
        raise OutOfTimeError
    return found | _place(task, network, part)


def _train(job: Job, deadline: float) -> tuple[Candidate, Policy, float]:
    """The best of the seeds by validation; among those that reach the target, that of the smallest estimate."""

    def watch(_: Standing) -> None:
        if time.perf_counter() > deadline:
            raise OutOfTimeError

    task, trained = job.candidate.task(job.task), []
    for seed in range(job.candidate.spec.seed, job.candidate.spec.seed + job.seeds):
        candidate = job.candidate.with_seed(seed)
        policy = train_policy(task, candidate.spec, watch).policy
        mean = _validate(task, policy)
        trained.append((candidate, policy, mean))
    return max(trained, key=lambda item: (min(item[2], job.target), -look_up_tables(item[1].network)))


def _validate(task: Task, policy: Policy) -> float:
    episodes = task.training.validation_episodes
    if is_compiled(task, policy.spec):
        return float(greedy_returns(task, policy, episodes, VALIDATION_SEED).mean())
    return play(task, IntegerBackend(policy.network), episodes, VALIDATION_SEED).mean_return


def _place(task: Task, network: IntegerNetwork, part: Part) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        hardware = task.hardware
        built = build_core(network, replace(hardware, part=part.name), Path(folder))
        figures = ("lut", "ff", "dsp", "bram", "fmax_mhz", "fmax_capped_by", "cycles", "latency_ns")
        found = {key: built[key] for key in figures}
        backend = open_netlist(Path(folder)) if part.tools.models else None
        if backend is None or built["latency_ns"] is None:
            return found | {"status": "counted"}
        # From here on for the report alone: no number of these episodes goes back into the search.
        mean, check = play(task, backend, EVALUATION_EPISODES, EVALUATION_SEED).mean_return, robustness(task)
        robust = check.mean(backend, EVALUATION_EPISODES, EVALUATION_SEED)
    return found | {
        "return": mean, "solved": None if task.solved is None else mean >= task.solved,
        "robust_return": robust, "robust": check.passes(robust), "status": "placed",
    }


def _guess(network: IntegerNetwork, part: Part, hardware: Hardware) -> dict[str, float]:
    """A first guess at the core's size and latency."""
    if hardware.fold:
        found = estimate(network, part, hardware.clock_mhz, hardware.place_seeds, int(hardware.fold))
        return {"lut_estimate": found.lut, "latency_estimate_ns": round(1000 * found.cycles / _FOLDED_MHZ, 2)}
    return {
        "lut_estimate": look_up_tables(network), "latency_estimate_ns": latency_ns(network, part, hardware.stages),
    }


def _hopeless(found: Mapping[str, Any], job: Job) -> bool:
    point = Point(
        found["validation_return"], HOPE * found["lut_estimate"],
        HOPE * found["latency_estimate_ns"], found["energy_pj"], found["validation_robust"],
    )
    return dominated(point, job.front)


def _settings(job: Job, candidate: Candidate | None = None) -> dict[str, Any]:
    candidate = candidate or job.candidate
    spec, task = candidate.spec, candidate.task(job.task)
    method = METHODS[spec.method]
    return {
        "method": spec.method, "hidden": spec.shape, "seed": spec.seed,
        "bits": weight_bits(spec),
        "activation_bits": 1 if method.signs else spec.activation_bits or spec.bits,
        "clusters": spec.clusters if "clusters" in method.settings else None,
        "percentile": spec.percentile if "percentile" in method.settings else None,
        "input_bits": task.observation.bits, "input_scale": task.converter.scale.tolist(), "set": candidate.settings,
        "part": candidate.part, "stages": task.hardware.stages,
        "fold": task.hardware.fold, "run": spec.directory_name,
        "command": candidate.command,
    }


def look_up_tables(network: IntegerNetwork) -> float:
    """A first guess at the size of the core: the bits of all adders, by the non-zero digits of each weight."""
    total, width = 0.0, network.input.bits
    for layer in network.layers:
        for row in layer.weight.tolist():
            digits = sum(_digits(value) for value in row)
            total += digits * (width + math.log2(max(1, digits)) / 2)
        kind = layer.activation.output if isinstance(layer.activation, Table) else layer.activation
        width = kind.bits if isinstance(kind, FixedPoint) else 1
    return round(1 + _LOOK_UP_TABLES_A_BIT * total, 1)


def latency_ns(network: IntegerNetwork, part: Part, stages: int) -> float:
    """A first guess at the time from input to action: the adder levels on the longest way."""
    levels = 1.0
    for layer in network.layers:
        digits = max(sum(_digits(value) for value in row) for row in layer.weight.tolist())
        levels += math.log2(max(1, digits)) + isinstance(layer.activation, FixedPoint)
    return round(part.level_ns / 2 * (levels + max(0, stages - 1)), 2)


def _digits(value: int) -> int:
    # Of the signed-digit form with the fewest: 3·value and value differ in just those places.
    return ((3 * abs(value)) ^ abs(value)).bit_count()
