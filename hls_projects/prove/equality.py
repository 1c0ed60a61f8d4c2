"""Equality at scale: millions of observations, visited and random, through every executor of every built policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.backend import Answer, Backend
from hls4rl.checked import read_if_whole, write_checked
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.hls_projects.evaluate import differing
from hls4rl.hls_projects.executors import BACKENDS, open_backend
from hls4rl.hls_projects.prove.design import DesignUnderProof

RESULT = "equality.json"
EPISODES = 128
"""Played between two savings."""
_FIRST_EPISODE = 2_000_000  # seeds that neither training nor evaluation uses
_RANDOM = 1 << 14


@dataclass
class Standing:
    """How far one policy has come."""

    files: dict[str, str]
    """SHA-256 of what is compared; what was counted for other files does not count."""
    on_policy: int = 0
    """Observations of episodes that the reference played."""
    random: int = 0
    """Observations drawn evenly from the input type."""
    episodes: int = 0
    mismatches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(BACKENDS[1:], 0))
    """Of each executor, the observations to which an action or a logit differed from the Brevitas policy's."""
    first: dict[str, Any] | None = None
    """The first of those."""


def run_equality(
    designs: Sequence[DesignUnderProof], steps: int, path: Path, report: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Compare all executors with the Brevitas policy on ``steps`` observations, shared evenly among the policies.

    Half of them are visited in episodes, half are random. What an earlier call did is not done again.

    Args:
        path: of the JSON result, which is also what a later call goes on from.
        report: called with the number of observations compared so far.

    Raises:
        ProjectError: there is no policy.
    """
    if not designs:
        raise ProjectError("no built policy found; run `make synth` or `make matrix` first, or give another ROOT")
    each = -(-steps // len(designs))
    known, standings = _known(path), dict[str, Standing]()
    for design in designs:
        name, files = _name(design), _files(design)
        standing = Standing(**known[name]) if name in known else Standing(files)
        standings[name] = standing if standing.files == files else Standing(files)

    def save() -> dict[str, Any]:
        done = sum(standing.on_policy + standing.random for standing in standings.values())
        result = {
            "observations": done, "asked": steps,
            "mismatches": sum(sum(standing.mismatches.values()) for standing in standings.values()),
            "policies": {name: asdict(standing) for name, standing in standings.items()},
        }
        write_checked(path, result)
        report(done)
        return result

    for design in designs:
        for _ in _compare(design, standings[_name(design)], each):
            save()
    return save()


def require_no_mismatch(result: dict[str, Any], path: Path) -> None:
    """Insist that nothing differed.

    Raises:
        ProjectError: something did; the message has the first such observation.
    """
    for name, standing in result["policies"].items():
        if standing["first"] is not None:
            raise ProjectError(
                f"{name}: {standing['first']}; {result['mismatches']} mismatches in all; this is a bug in hls4rl or in "
                f"a tool it calls: please report it with {path}"
            )


def _compare(design: DesignUnderProof, standing: Standing, steps: int) -> Iterator[None]:
    """Compare until ``standing`` has as many as ``steps``; gives way now and then."""
    half = -(-steps // 2)
    if min(standing.on_policy, standing.random) >= half:
        return
    reference, *others = (open_backend(name, design.run, design.part) for name in BACKENDS)
    kind, features = design.network.input, design.network.features

    def compare(observations: IntArray, expected: Answer) -> None:
        for backend in others:
            _count(backend, observations, expected, standing)

    while standing.on_policy < half:
        def watch(observations: IntArray, expected: Answer) -> None:
            compare(observations, expected)
            standing.on_policy += len(observations)

        play(design.task, reference, EPISODES, _FIRST_EPISODE + standing.episodes, watch)
        standing.episodes += EPISODES
        yield
    while standing.random < half:
        rng = np.random.default_rng([standing.random, features, kind.bits])
        rows = rng.integers(kind.minimum, kind.maximum, size=(_RANDOM, features), endpoint=True)
        compare(rows, reference.infer(rows))
        standing.random += len(rows)
        yield


def _count(backend: Backend, observations: IntArray, expected: Answer, standing: Standing) -> None:
    wrong = np.flatnonzero(differing(backend.infer(observations), expected))
    standing.mismatches[backend.name] += len(wrong)
    if len(wrong) and standing.first is None:
        standing.first = {"executor": backend.name, "observation": observations[wrong[0]].tolist()}


def _name(design: DesignUnderProof) -> str:
    return f"{design.run.spec.task}/{design.run.directory.name}/{design.part}"


def _files(design: DesignUnderProof) -> dict[str, str]:
    sides = [design.netlist, design.rtl, design.rtl_logits, *(side for side, _, _ in design.software())]
    return {name: value for side in sides for name, value in sorted(side.files.items())}


def _known(path: Path) -> dict[str, Any]:
    return dict((read_if_whole(path) or {}).get("policies", {}))
