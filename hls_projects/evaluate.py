"""The Gym loop over backends: the same seeded episodes on each, every logit and action compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hls4rl.backend import Answer, Backend
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.run import Run
from hls4rl.task import Task

BACKENDS = ("torch", "qonnx", "onnxruntime", "csim", "rtl", "netlist")
"""All executors of a policy, from software to gates."""

SAMPLED = {"rtl": 2048, "netlist": 512}
"""Executors that drive no episodes of a streaming core, and how many of the reference's observations they answer
instead: a step takes their gates 0.1 s whether 1 frame or 64 pass side by side, and a game gives one at a time."""
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


def open_backend(name: str, run: Run, part: str) -> Backend:
    """The executor ``name`` of the policy of ``run``; ``part`` says whose RTL and netlist.

    Raises:
        ProjectError: no such backend, or its files aren't built yet.
    """
    if name not in BACKENDS:
        raise ProjectError(f"unknown backend '{name}'; choose one of {', '.join(BACKENDS)}, all")
    return _OPENERS[name](run, part)


def default_episodes(task: Task) -> int:
    """Episodes where the user does not say how many."""
    return STREAM_EPISODES if task.hardware.word_inputs else EPISODES


def evaluate(
    task: Task, run: Run, part: str, backends: tuple[str, ...], episodes: int, minimum_steps: int = 0
) -> list[Comparison]:
    """Let each backend drive seeded episodes of Gymnasium; hold each of its answers against the reference's.

    For a streaming core, those of :data:`SAMPLED` answer an even choice of what the reference sees in the episodes.

    Args:
        episodes: driven by each backend, and whose returns are reported; seeds 0 … episodes - 1.
        minimum_steps: afterwards the reference drives further episodes and all backends answer what it sees,
            until each has answered this many steps.
    """
    reference = open_backend("torch", run, part)
    opened = [open_backend(name, run, part) for name in backends]
    sampled = set(SAMPLED) & set(backends) if task.hardware.word_inputs else set()
    sample = _sample(task, reference, episodes, max(SAMPLED[name] for name in sampled)) if sampled else None
    comparisons = []
    for backend in opened:
        if sample is None or backend.name not in sampled:
            comparisons.append(_drive(task, backend, reference, episodes))
        else:
            comparisons.append(_answer(backend, reference, sample[:SAMPLED[backend.name]]))

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


def _drive(task: Task, backend: Backend, reference: Backend, episodes: int) -> Comparison:
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
    wrong: np.ndarray[Any, np.dtype[np.bool_]] = answer.actions != expected.actions
    if answer.logits is not None and expected.logits is not None:
        wrong = wrong | (answer.logits != expected.logits).any(axis=1)
    return wrong


def _torch(run: Run, part: str) -> Backend:
    from hls4rl.train.network import TorchBackend

    return TorchBackend(run.load_policy())


def _qonnx(run: Run, part: str) -> Backend:
    from hls4rl.export.qonnx_backend import QonnxBackend

    return QonnxBackend(run.verified(run.onnx.parent) / run.qonnx.name)


def _onnxruntime(run: Run, part: str) -> Backend:
    from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(run.verified(run.onnx.parent) / run.onnx.name)


def _csim(run: Run, part: str) -> Backend:
    from hls4rl.hls_projects.hls.csim import CsimBackend

    return CsimBackend(run.verified(run.project))


def _rtl(run: Run, part: str) -> Backend:
    from hls4rl.hls_projects.simulation.cores import open_rtl

    return open_rtl(run.verified(run.part(part)))


def _netlist(run: Run, part: str) -> Backend:
    from hls4rl.hls_projects.simulation.cores import open_netlist

    return open_netlist(run.verified(run.part(part)))


_OPENERS: dict[str, Callable[[Run, str], Backend]] = {
    "torch": _torch, "qonnx": _qonnx, "onnxruntime": _onnxruntime, "csim": _csim, "rtl": _rtl, "netlist": _netlist,
}
