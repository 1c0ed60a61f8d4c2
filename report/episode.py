"""One episode of a policy, in figures and in pictures."""

from __future__ import annotations

import base64
import io
import os
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from PIL import Image

from hls4rl.contract import FloatArray
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
        ``seed``, ``return``, ``steps``, ``features`` and ``action_names``, ``observations`` (one list a step, the
        environment's floats; see :data:`MOST_FEATURES`) and ``actions``.
    """
    env, backend = task.make(), IntegerBackend(policy)
    observation, _ = env.reset(seed=seed)
    observations, actions, total, over = [], [], 0.0, False
    while not over:
        action = int(backend.infer(task.integers(observation[None])).actions[0])
        observations.append(_told(observation))
        actions.append(action)
        observation, reward, terminated, truncated, _ = env.step(action)
        total += float(reward)
        over = terminated or truncated
    env.close()
    numbered = [f"feature {index}" for index in range(policy.features)]
    family = task.environment.rsplit("/", 1)[-1].rsplit("-v", 1)[0]
    return {
        "seed": seed, "return": total, "steps": len(actions),
        "features": list(PIXELS if policy.features > MOST_FEATURES else FEATURES.get(family, numbered)),
        "action_names": list(ACTIONS.get(family, [f"action {index}" for index in range(policy.actions)])),
        "observations": observations, "actions": actions,
    }


def _told(observation: FloatArray) -> list[float]:
    if len(observation) > MOST_FEATURES:
        return [float(np.count_nonzero(observation > 0)), float(np.count_nonzero(observation < 0))]
    return [round(float(value), 5) for value in observation]


def pictures(task: Task, episode: dict[str, Any]) -> list[dict[str, Any]]:
    """Up to :data:`FRAMES` pictures of a recorded episode, each with its ``step`` and a ``png`` as a data URL.

    Empty where the environment cannot draw itself.
    """
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
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
                env.step(action)
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
