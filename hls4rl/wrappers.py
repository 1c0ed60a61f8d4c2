"""Gymnasium's own wrappers by their names in a task file, and the extras that environments ask for."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import warnings
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from gymnasium import wrappers as gym_wrappers

from hls4rl.errors import ProjectError

_STATISTICS = {
    "NormalizeObservation": "leave it out and write observation.scale = \"auto\": the ranges are then measured once "
                            "and frozen into scales and offsets, which stand in the run's record",
    "NormalizeReward": "leave it out: it changes the returns that are reported",
}
"""Wrappers whose answer depends on all that they saw before, so that no two backends would play the same episode."""

_EXTRAS = {"box2d": ("box2d",), "mujoco": ("mujoco", "imageio")}
"""Extras of this package, and what the messages of environments say where theirs are missing."""


def wrapped(env: gym.Env[Any, Any], names: Sequence[Any], where: str) -> gym.Env[Any, Any]:
    """``env`` inside the wrappers ``names``: each a name, or a table of ``name`` and the wrapper's arguments.

    Raises:
        ProjectError: as :func:`check_wrappers`, or a wrapper refuses its arguments.
    """
    for kind, settings in _kinds(names, where):
        try:
            env = kind(env, **settings)
        except (TypeError, ValueError, AssertionError) as error:
            raise ProjectError(
                f"{where}: wrapper {kind.__name__} refuses its arguments {settings}: {' '.join(str(error).split())}; "
                "correct 'wrappers' in its TOML file"
            ) from error
    return env


def check_wrappers(names: Sequence[Any], where: str) -> None:
    """Insist that Gymnasium has all of ``names``, and that none keeps statistics of its own.

    Raises:
        ProjectError: not so; the message names the wrapper.
    """
    _kinds(names, where)


def _kinds(names: Sequence[Any], where: str) -> list[tuple[Any, dict[str, Any]]]:
    found = []
    for item in names:
        settings = dict(item) if isinstance(item, dict) else {"name": item}
        name = settings.pop("name", None)
        kind = getattr(gym_wrappers, name, None) if isinstance(name, str) else None
        if not (isinstance(kind, type) and issubclass(kind, gym.Wrapper)):
            known = sorted(key for key in gym_wrappers.__all__ if key not in _STATISTICS and key != "vector")
            raise ProjectError(
                f"{where}: wrappers has {str(name)[:80]!r}, which Gymnasium has not; it has {', '.join(known)}"
            )
        if name in _STATISTICS:
            raise ProjectError(f"{where}: wrapper {name} keeps statistics while it runs; {_STATISTICS[name]}")
        found.append((kind, settings))
    return found


def missing_extra(message: str) -> str | None:
    """The line that installs what ``message``, of an environment that cannot be made, says is missing; None if none."""
    for extra, words in _EXTRAS.items():
        if any(word in message.lower() for word in words):
            return f"pip install 'hls4rl[{extra}]'"
    return None


def quiet_physics(environment: str) -> None:
    """Let MuJoCo, where ``environment`` is one of its, warn as Python does, and not of its models' age.

    By itself it prints each warning on each start, and leaves a MUJOCO_LOG.TXT in the folder that it is called from;
    Gymnasium's own models make it say that they use what is to be removed.
    """
    spec = gym.registry.get(environment)
    if spec is not None and "mujoco" in str(spec.entry_point):
        with contextlib.suppress(ImportError):  # what is missing is told when the environment is made
            import mujoco

            mujoco.set_mju_user_warning(_warn)


def _warn(message: str) -> None:
    if "deprecated" not in message:
        warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)


def has_screen() -> bool:
    """Whether there is one to show pictures on."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) \
        and os.environ.get("SDL_VIDEODRIVER") != "dummy"


def draw_without_screen() -> None:
    """Let pygame and MuJoCo draw into memory, where there is no screen and the user has not said how."""
    if not has_screen():
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        if ctypes.util.find_library("EGL"):  # MuJoCo cannot be imported where it is told of a library that is missing
            os.environ.setdefault("MUJOCO_GL", "egl")
