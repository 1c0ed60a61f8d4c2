"""One episode of a policy, in figures and in pictures."""

from __future__ import annotations

import base64
import io
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

from hls4rl.contract import Argmax, FloatArray
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import Policy
from hls4rl.task import CannotDrawError, Task

MOST_FEATURES = 64
"""Of an observation that is shown feature by feature; of pixels only the number above and below zero."""
FRAMES = 8
FRAME_WIDTH = 160
"""In pixels."""

FEATURES = {
    "CartPole": ("cart position, m", "cart speed, m/s", "pole angle, rad", "pole speed, rad/s"),
    "Acrobot": ("cos of angle 1", "sin of angle 1", "cos of angle 2", "sin of angle 2", "speed 1, rad/s",
                "speed 2, rad/s"),
    "MountainCar": ("position", "speed"),
}
PIXELS = ("pixels above zero", "pixels below zero")
ACTIONS = {
    "CartPole": ("left", "right"),
    "Acrobot": ("torque -1", "torque 0", "torque +1"),
    "MountainCar": ("left", "coast", "right"),
}
"""Names that Gymnasium has in its documentation only; of other environments, numbers are shown."""


def record(task: Task, policy: Policy, seed: int) -> dict[str, Any]:
    """Play ``policy``'s integers from ``env.reset(seed=seed)``.

    Returns:
        ``seed``, ``return``, ``steps``, ``features`` and ``output_names``, ``observations`` (one list a step, the
        environment's floats; see :data:`MOST_FEATURES`) and ``actions`` (one list a step, the policy's integers).
    """
    env, backend = task.make(), IntegerBackend(policy.network)
    seen, _ = env.reset(seed=seed)
    observations, actions, total, over = [], [], 0.0, False
    while not over:
        observation = task.flatten(seen)
        action = backend.infer(task.integers(observation[None])).actions[0]
        observations.append(_told(observation))
        actions.append(action.tolist())
        seen, reward, terminated, truncated, _ = env.step(task.actions.decode(action))
        total += float(reward)
        over = terminated or truncated
    env.close()
    numbered = [f"feature {name}" for name in task.feature_names]
    family = task.environment.rsplit("/", 1)[-1].rsplit("-v", 1)[0]
    return {
        "seed": seed, "return": total, "steps": len(actions),
        "features": list(PIXELS if policy.features > MOST_FEATURES else FEATURES.get(family, numbered)),
        "output_names": list(ACTIONS.get(family, _output_names(policy))),
        "observations": observations, "actions": actions,
    }


def _output_names(policy: Policy) -> list[str]:
    output = policy.contract.output
    if not isinstance(output, Argmax):
        return [f"dimension {index}" for index in range(policy.outputs)]
    sizes = output.sizes(policy.outputs)
    if len(sizes) == 1:
        return [f"action {index}" for index in range(policy.outputs)]
    return [
        f"{place} = {choice}" if size > 1 else f"{place} = 1" for place, size in enumerate(sizes)
        for choice in range(size)
    ]


def _told(observation: FloatArray) -> list[float]:
    if len(observation) > MOST_FEATURES:
        return [float(np.count_nonzero(observation > 0)), float(np.count_nonzero(observation < 0))]
    return [round(float(value), 5) for value in observation]


def pictures(task: Task, episode: dict[str, Any]) -> list[dict[str, Any]]:
    """Up to :data:`FRAMES` pictures of a recorded episode, each with its ``step`` and a ``png`` as a data URL.

    Empty where the environment cannot draw itself.
    """
    wanted = set(np.linspace(0, episode["steps"] - 1, FRAMES).round().astype(int).tolist())
    frames = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygame's own, about the packaging library that it imports
        try:
            env = task.make_drawn()
            env.reset(seed=episode["seed"])
            for step, action in enumerate(episode["actions"]):
                if step in wanted:
                    frames.append({"step": step, "png": _png(env.render())})
                env.step(task.actions.decode(np.array(action, dtype=np.int64)))
            env.close()
        except (gym.error.DependencyNotInstalled, CannotDrawError):
            return []
    return frames


def _png(frame: Any) -> str:
    image = Image.fromarray(np.asarray(frame, dtype=np.uint8))
    image = image.resize((FRAME_WIDTH, round(image.height * FRAME_WIDTH / image.width))).quantize(32)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
