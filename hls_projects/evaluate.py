"""The Gym loop over backends: the same seeded episodes on each, every logit and action compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hls_projects.run import Run
from train.backend import Answer, Backend
from train.contract import IntArray
from train.errors import ProjectError
from train.gym_loop import play
from train.task import Task

BACKENDS = ("torch", "qonnx", "onnxruntime", "csim", "rtl", "netlist")
"""All executors of a policy, from software to gates."""


@dataclass
class Comparison:
    """One backend's episodes, held against the reference on every step."""

    backend: str
    returns: list[float] = field(default_factory=list)
    steps: int = 0
    mismatches: int = 0
    """Steps on which an action or any logit differed from the float64 Brevitas policy's."""
    logits_compared: bool = True
    """False where only the action leaves the chip."""

    @property
    def mean_return(self) -> float:
        """Mean over the episodes."""
        return float(np.mean(self.returns))

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


def evaluate(
    task: Task, run: Run, part: str, backends: tuple[str, ...], episodes: int, minimum_steps: int = 0
) -> list[Comparison]:
    """Let each backend drive seeded episodes of Gymnasium; hold each of its answers against the reference's.

    Args:
        episodes: driven by each backend, and whose returns are reported; seeds 0 … episodes - 1.
        minimum_steps: afterwards the reference drives further episodes and all backends answer what it sees,
            until each has answered this many steps.
    """
    reference = open_backend("torch", run, part)
    opened = [open_backend(name, run, part) for name in backends]
    comparisons = [_drive(task, backend, reference, episodes) for backend in opened]

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
    if len({tuple(item.returns) for item in comparisons}) > 1:
        raise ProjectError("the backends' returns differ although each step agreed; is the environment deterministic?")


def _drive(task: Task, backend: Backend, reference: Backend, episodes: int) -> Comparison:
    comparison = Comparison(backend.name)

    def watch(observations: IntArray, answer: Answer) -> None:
        comparison.add(answer, answer if backend.name == reference.name else reference.infer(observations))

    played = play(task, backend, episodes, 0, watch)
    comparison.returns = [float(value) for value in played.returns]
    return comparison


def differing(answer: Answer, expected: Answer) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows of ``answer`` differ from ``expected`` in the action or in any logit; shape (batch,)."""
    wrong: np.ndarray[Any, np.dtype[np.bool_]] = answer.actions != expected.actions
    if answer.logits is not None and expected.logits is not None:
        wrong = wrong | (answer.logits != expected.logits).any(axis=1)
    return wrong


def _torch(run: Run, part: str) -> Backend:
    from train.network import TorchBackend
    from train.policy import load_policy

    return TorchBackend(load_policy(run.policy))


def _qonnx(run: Run, part: str) -> Backend:
    from export.qonnx_backend import QonnxBackend

    return QonnxBackend(_built(run.qonnx))


def _onnxruntime(run: Run, part: str) -> Backend:
    from export.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(_built(run.onnx))


def _csim(run: Run, part: str) -> Backend:
    from hls_projects.csim import CsimBackend

    return CsimBackend(_built(run.project))


def _rtl(run: Run, part: str) -> Backend:
    from hls_projects.simulation import RtlBackend

    return RtlBackend(_built(run.part(part)))


def _netlist(run: Run, part: str) -> Backend:
    from hls_projects.simulation import NetlistBackend

    return NetlistBackend(_built(run.part(part)))


_OPENERS: dict[str, Callable[[Run, str], Backend]] = {
    "torch": _torch, "qonnx": _qonnx, "onnxruntime": _onnxruntime, "csim": _csim, "rtl": _rtl, "netlist": _netlist,
}


def _built(path: Path) -> Path:
    if not path.exists():
        raise ProjectError(f"{path} is not there yet; run `make synth` for this ENV, METHOD, HIDDEN and SEED first")
    return path
