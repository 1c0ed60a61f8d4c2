"""An imported model in its environment: every backend drives the same seeded episodes, each step compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from hls4rl.actions import BoxActions
from hls4rl.backend import Answer, Backend
from hls4rl.contract import ONE_CHOICE, FloatArray
from hls4rl.errors import ProjectError
from hls4rl.export.imported.original import Original
from hls4rl.gym_loop import drive
from hls4rl.hls_projects.evaluate import Comparison
from hls4rl.task import Task

EPISODES = 20
"""Where the user does not say how many."""


def require_fit(original: Original, task: Task, name: str) -> None:
    """Insist that the model takes what the environment shows, and gives what it takes.

    Raises:
        ProjectError: not so; the message begins with ``name``.
    """
    actions, network = task.actions, original.folded.network
    if not actions.is_continuous and actions.output != ONE_CHOICE:
        raise ProjectError(
            f"{name}: {task.environment} takes several choices at once, and how an imported model's logits are "
            "grouped it doesn't say; take an environment with Discrete or Box actions, or POLICY= for a float policy"
        )
    for what, found, needed in (
        ("features", original.features, task.features), ("outputs", network.outputs, actions.outputs)
    ):
        if found != needed:
            raise ProjectError(
                f"{name}: has {found} {what}, and {task.environment} needs {needed}; name the environment that it was "
                "trained on with ENV"
            )


def play_compared(original: Original, task: Task, backend: Backend, episodes: int) -> Comparison:
    """Let ``backend`` drive episodes with seeds 0, 1, …; each answer is held against the folded network's.

    The host divides observations by the model's own scale, and gives continuous actions their own scale and offset,
    cut to the environment's bounds.
    """
    comparison, network = Comparison(backend.name), original.folded.network

    def act(floats: FloatArray) -> list[Any]:
        observations = original.host(floats)
        answer = backend.infer(observations)
        comparison.add(answer, Answer.of_logits(network.infer(observations), network.output))
        if not original.continuous:
            return [task.actions.decode(row) for row in answer.actions]
        return [_taken(task.actions, row) for row in original.outputs(answer.actions)]

    comparison.returns = [float(value) for value in drive(task, act, episodes, 0).returns]
    return comparison


def _taken(actions: Any, row: FloatArray) -> Any:
    assert isinstance(actions, BoxActions)
    values = np.clip(row.reshape(actions.low.shape), actions.low, actions.high)
    return (np.rint(values) if np.issubdtype(actions.dtype, np.integer) else values).astype(actions.dtype)
