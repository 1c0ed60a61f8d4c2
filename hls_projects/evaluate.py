"""The Gym loop over backends: the same seeded episodes on each, every logit and action compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hls4rl.backend import Answer, Backend
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.hls_projects.executors import EXECUTORS, open_backend
from hls4rl.run import Run
from hls4rl.task import Task

EPISODES = 100
STREAM_EPISODES = 3
"""Of those whose episodes are whole games from pixels, with thousands of steps."""


@dataclass
class Comparison:
    """One backend's episodes, held against the reference on every step."""

    backend: str
    returns: list[float] = field(default_factory=list)
    """Of the episodes that it drove; none where it answered the reference's observations only."""
    steps: int = 0
    mismatches: int = 0
    """Steps on which an action or any logit differed from the float64 Brevitas policy's."""
    logits_compared: bool = True
    """False where only the action leaves the chip."""

    @property
    def mean_return(self) -> float | None:
        """Mean over the episodes, if it drove any."""
        return float(np.mean(self.returns)) if self.returns else None

    def add(self, answer: Answer, expected: Answer) -> None:
        """Count a batch of steps."""
        self.steps += len(answer.actions)
        self.mismatches += int(np.count_nonzero(differing(answer, expected)))
        self.logits_compared = answer.logits is not None

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary, the mean return included."""
        return {**asdict(self), "mean_return": self.mean_return}


def default_episodes(task: Task) -> int:
    """Episodes where the user does not say how many."""
    if task.hardware.inputs_per_clock:
        return STREAM_EPISODES
    return min(EPISODES, task.training.evaluation_episodes or EPISODES)


def evaluate(
    task: Task, run: Run, part: str, backends: tuple[str, ...], episodes: int, minimum_steps: int = 0
) -> list[Comparison]:
    """Let each backend drive seeded episodes of Gymnasium; hold each of its answers against the reference's.

    For a streaming core, those that are ``sampled`` answer an even choice of what the reference sees in the episodes.

    Args:
        episodes: driven by each backend, and whose returns are reported; seeds 0 … episodes - 1.
        minimum_steps: afterwards the reference drives further episodes and all backends answer what it sees,
            until each has answered this many steps.
    """
    reference = open_backend("torch", run, part)
    opened = [open_backend(name, run, part) for name in backends]
    sampled = {
        name: size for name in backends
        if task.hardware.inputs_per_clock and (size := EXECUTORS[name].sampled) is not None
    }
    sample = _sample(task, reference, episodes, max(sampled.values())) if sampled else None
    comparisons = []
    for backend in opened:
        if sample is None or backend.name not in sampled:
            comparisons.append(drive(task, backend, reference, episodes))
        else:
            comparisons.append(_answer(backend, reference, sample[:sampled[backend.name]]))

    def watch(observations: IntArray, expected: Answer) -> None:
        for backend, comparison in zip(opened, comparisons, strict=True):
            comparison.add(backend.infer(observations), expected)

    first_seed = episodes
    while min(item.steps for item in comparisons) < minimum_steps:
        play(task, reference, episodes, first_seed, watch)
        first_seed += episodes
    return comparisons


def require_equal(comparisons: list[Comparison]) -> None:
    """Insist that all backends agreed on every step and in every return.

    Raises:
        ProjectError: they did not; the message counts the mismatches.
    """
    wrong = [item for item in comparisons if item.mismatches]
    if wrong:
        raise ProjectError(
            "; ".join(f"{item.backend}: {item.mismatches} of {item.steps} steps differ from torch" for item in wrong)
            + "; this is a bug in hls4rl or in a tool it calls: please report it with the run's directory"
        )
    if len({tuple(item.returns) for item in comparisons if item.returns}) > 1:
        raise ProjectError("the backends' returns differ although each step agreed; is the environment deterministic?")


def drive(task: Task, backend: Backend, reference: Backend, episodes: int) -> Comparison:
    """Let ``backend`` drive episodes with seeds 0 … episodes - 1, each of its answers held against ``reference``'s."""
    comparison = Comparison(backend.name)

    def watch(observations: IntArray, answer: Answer) -> None:
        comparison.add(answer, answer if backend.name == reference.name else reference.infer(observations))

    played = play(task, backend, episodes, 0, watch)
    comparison.returns = [float(value) for value in played.returns]
    return comparison


def _answer(backend: Backend, reference: Backend, observations: IntArray) -> Comparison:
    comparison = Comparison(backend.name)
    comparison.add(backend.infer(observations), reference.infer(observations))
    return comparison


def _sample(task: Task, reference: Backend, episodes: int, size: int) -> IntArray:
    """``size`` observations of the reference's episodes in random order, each as likely as any; (size, features)."""
    rng, rows, seen = np.random.default_rng(0), list[IntArray](), 0

    def watch(observations: IntArray, answer: Answer) -> None:
        nonlocal seen
        for row in observations:
            seen += 1
            if len(rows) < size:
                rows.append(row.copy())
            elif (place := int(rng.integers(seen))) < size:
                rows[place] = row.copy()

    play(task, reference, episodes, 0, watch)
    rng.shuffle(rows)
    return np.stack(rows)


def differing(answer: Answer, expected: Answer) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows of ``answer`` differ from ``expected`` in the action or in any logit; shape (batch,)."""
    wrong: np.ndarray[Any, np.dtype[np.bool_]] = (answer.actions != expected.actions).any(axis=1)
    if answer.logits is not None and expected.logits is not None:
        wrong = wrong | (answer.logits != expected.logits).any(axis=1)
    return wrong
