"""The Gym loop over backends: the same seeded episodes on each, every logit and action compared."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
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
WIDE_EPISODES = 3
"""Of those whose episodes are whole games from pixels, with thousands of steps."""
_WIDE = 1024
"""Features of a picture, at least."""
_CHUNK = 1024
"""Observations that are compared at a time: enough to fill the copies of a gate simulation."""


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


class Foresighted:
    """A backend that takes many observations at a time, and is told beforehand which ones will probably come.

    A step of ten episodes leaves 54 of the 64 copies in a gate simulation idle. So long as all actions are right, the
    episodes are the reference's, whose observations are known: these are answered first, 64 side by side. Each answer
    then serves one step that comes to its very observation; to any other the backend answers when it comes.
    """

    def __init__(self, backend: Backend, expected: IntArray) -> None:
        self.name = backend.name
        self._backend, self._answer = backend, backend.infer(expected)
        self._places = defaultdict[bytes, deque[int]](deque)
        for place, row in enumerate(expected):
            self._places[row.tobytes()].append(place)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        places = []
        for row in observations:
            if not (waiting := self._places[row.tobytes()]):
                return self._backend.infer(observations)
            places.append(waiting.popleft())
        logits = self._answer.logits
        return Answer(self._answer.actions[places], None if logits is None else logits[places])


def is_wide(task: Task) -> bool:
    """Whether an observation has so many features, a picture's, that gates take a tenth of a second or more for it."""
    return bool(task.hardware.inputs_per_clock) or task.spaces[0] >= _WIDE


def default_episodes(task: Task) -> int:
    """Episodes where the user does not say how many."""
    if is_wide(task):
        return WIDE_EPISODES
    return min(EPISODES, task.training.evaluation_episodes or EPISODES)


def evaluate(
    task: Task, run: Run, part: str, backends: tuple[str, ...], episodes: int, minimum_steps: int = 0
) -> list[Comparison]:
    """Let each backend drive seeded episodes of Gymnasium; hold each of its answers against the reference's.

    Of wide observations, those that are ``sampled`` answer an even choice of what the reference sees in the episodes.

    Args:
        episodes: driven by each backend, and whose returns are reported; seeds 0 … episodes - 1.
        minimum_steps: afterwards the reference drives further episodes and all backends answer what it sees,
            until each has answered this many steps.
    """
    reference = open_backend("torch", run, part)
    opened = [open_backend(name, run, part) for name in backends]
    wide = is_wide(task)
    sampled = {name: size for name in backends if wide and (size := EXECUTORS[name].sampled) is not None}
    sample = _sample(task, reference, episodes, max(sampled.values())) if sampled else None
    seen: list[IntArray] = []
    ahead = not wide and any(EXECUTORS[name].gates for name in backends)
    first = drive(task, reference, reference, episodes, seen.append) if ahead else None
    comparisons = []
    for backend in opened:
        if sample is not None and backend.name in sampled:
            comparisons.append(_answer(backend, reference, sample[:sampled[backend.name]]))
        elif first is not None and backend.name == reference.name:
            comparisons.append(first)
        else:
            able = first is not None and EXECUTORS[backend.name].gates
            driver = Foresighted(backend, np.concatenate(seen)) if able else backend
            comparisons.append(drive(task, driver, reference, episodes))
    _go_on(task, reference, opened, comparisons, episodes, minimum_steps)
    return comparisons


def _go_on(
    task: Task, reference: Backend, opened: list[Backend], comparisons: list[Comparison], episodes: int, steps: int
) -> None:
    """Let the reference drive further ``episodes``, all of ``opened`` answer, until each has answered ``steps``."""
    first_seed, seen = episodes, list[IntArray]()

    def compare() -> None:
        observations = np.concatenate(seen)
        expected = reference.infer(observations)
        for backend, comparison in zip(opened, comparisons, strict=True):
            comparison.add(backend.infer(observations), expected)
        seen.clear()

    def watch(observations: IntArray, _: Answer) -> None:
        seen.append(observations)
        if sum(map(len, seen)) >= _CHUNK:
            compare()

    while min(item.steps for item in comparisons) < steps:
        play(task, reference, episodes, first_seed, watch)
        first_seed += episodes
        if seen:
            compare()


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


def drive(
    task: Task, backend: Backend, reference: Backend, episodes: int, see: Callable[[IntArray], None] | None = None
) -> Comparison:
    """Let ``backend`` drive episodes with seeds 0 … episodes - 1, each of its answers held against ``reference``'s.

    Args:
        see: called on every step with the integer observations, shape (batch, features).
    """
    comparison = Comparison(backend.name)

    def watch(observations: IntArray, answer: Answer) -> None:
        comparison.add(answer, answer if backend.name == reference.name else reference.infer(observations))
        if see is not None:
            see(observations)

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
