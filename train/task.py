"""A task: one TOML file that says what to control, how to see it, how to train and what to build.

``hls_projects/<name>.toml`` documents each key. Nothing here knows any particular task.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tomllib
import types
import typing
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from train.contract import FixedPoint, FloatArray, IntArray, is_power_of_two
from train.errors import ProjectError

TASK_DIRECTORY = Path(__file__).resolve().parent.parent / "hls_projects"
"""Where the shipped tasks' TOML files lie, and where runs are written."""

ADVANTAGES = ("time-step", "trajectory", "return")

MAXIMUM_TOML_BYTES = 1 << 20


@dataclass(frozen=True)
class Observation:
    """How the host turns the environment's floats into the integers that every backend gets."""

    scale: tuple[float, ...]
    """One power of two per feature; the network sees ``feature × scale``."""
    bits: int = 8
    """Width of one feature, sign included."""
    integer_bits: int = 1
    """Bits before the binary point, sign included: the network sees [-2^(i-1), 2^(i-1))."""

    @property
    def type(self) -> FixedPoint:
        """The input type of the network."""
        return FixedPoint(self.bits, self.integer_bits)


@dataclass(frozen=True)
class Network:
    """Number formats of the policies that are not binary, and of the biases."""

    weight_integer_bits: int = 3
    activation_integer_bits: int = 3
    bias_integer_bits: int = 3


@dataclass(frozen=True)
class Training:
    """Settings of vanilla policy gradient (paper eq. 4) and of the five methods."""

    episodes: int = 2000
    """Episodes of one policy; compression and pruning switch half-way."""
    seeds: int = 5
    """Policies trained when no ``SEED`` is given; the best by validation is deployed."""
    learning_rate: float = 5e-3
    """Adam's step size at the first episode."""
    discount: float = 1.0
    """Discount of the return-to-go, 0 to 1."""
    entropy: float = 0.01
    """Weight of the entropy bonus."""
    baseline_rate: float = 0.1
    """Rate of the exponential averages (mean and deviation of the return-to-go per time step)."""
    full_rate_hidden: int = 128
    """Networks with more hidden units than this learn at a rate that falls as one over their number."""
    final_rate: float = 0.0
    """The learning rate falls in a straight line to this part of it at the last episode."""
    advantage: str = "time-step"
    """What the gradient of a step is multiplied by (:mod:`train.advantage`): time-step, trajectory or return."""
    output_gain: float = 0.1
    """Factor on the first weights of the output layer, where these are not binary."""
    unit_signs: bool = False
    """Binary weights of ±1 instead of signs scaled by about 1/√fan-in (a control of the paper's claims)."""
    reset_at_midpoint: bool = False
    """Forget the optimiser's state half-way in every method (a control of the paper's claims)."""
    validation_episodes: int = 100
    """Greedy episodes that choose among seeds, on other start states than the final evaluation."""

    def rate(self, hidden: int, episode: int) -> float:
        """Adam's step size after ``episode`` (from 0), for a network of ``hidden`` units."""
        fall = 1.0 - (1.0 - self.final_rate) * episode / self.episodes
        return self.learning_rate * min(1.0, self.full_rate_hidden / hidden) * fall


@dataclass(frozen=True)
class Hardware:
    """What is built, for which part and clock."""

    part: str = "ecp5-25f"
    """Name of a part (``python -m hls_projects parts`` lists them)."""
    clock_mhz: float = 50.0
    """Clock that the pipeline is cut for."""
    board: str = "ulx3s"
    """Board of the firmware."""
    strategy: str = "Latency"
    """hls4ml's strategy: Latency (unrolled) or Resource."""
    reuse_factor: int = 1
    """hls4ml's reuse factor: multiplications that share one multiplier."""
    hls_backend: str = "Vitis"
    """hls4ml's backend."""
    hls_part: str = "xc7z020clg400-1"
    """Part named in the hls4ml project, for the vendor's tool."""
    place_seeds: int = 3
    """Place-and-route runs with different seeds; the median one is reported and deployed."""
    stages: int = 0
    """Stages of the pipeline; 0: as many as ``clock_mhz`` needs."""


@dataclass(frozen=True)
class Task:
    """A Gymnasium environment with a Box observation and Discrete actions, and how to treat it."""

    name: str
    environment: str
    observation: Observation
    network: Network = field(default_factory=Network)
    training: Training = field(default_factory=Training)
    hardware: Hardware = field(default_factory=Hardware)
    environment_options: dict[str, Any] = field(default_factory=dict)
    solved: float | None = None
    """Mean return over 100 episodes from which the task counts as solved."""

    def make(self) -> gym.Env[Any, Any]:
        """Gymnasium's own environment."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is out of date.*", category=DeprecationWarning)
            warnings.filterwarnings("ignore", message=".*Overriding environment.*")
            try:
                return gym.make(self.environment, **self.environment_options)
            except gym.error.Error as error:
                raise ProjectError(
                    f"task '{self.name}': Gymnasium cannot make environment '{self.environment}': {_line(error)}; "
                    "correct 'environment' in its TOML file"
                ) from error

    @cached_property
    def spaces(self) -> tuple[int, int]:
        """Features of an observation, number of actions.

        Raises:
            ProjectError: the environment's spaces are not Box and Discrete, or ``scale`` has another length.
        """
        env = self.make()
        box, actions = env.observation_space, env.action_space
        env.close()
        if not isinstance(box, gym.spaces.Box) or len(box.shape) != 1:
            raise ProjectError(f"task '{self.name}': the observation is {box}; only a Box of one axis is supported")
        if not isinstance(actions, gym.spaces.Discrete):
            raise ProjectError(f"task '{self.name}': the action is {actions}; only Discrete is supported")
        if len(self.observation.scale) != box.shape[0]:
            raise ProjectError(
                f"task '{self.name}': observation.scale has {len(self.observation.scale)} entries, "
                f"but {self.environment} has {box.shape[0]} features; give one power of two for each"
            )
        return box.shape[0], int(actions.n)

    def integers(self, observations: FloatArray) -> IntArray:
        """The host's converter: scale by powers of two, round half to even once, saturate.

        Args:
            observations: the environment's floats, shape (..., features).

        Returns:
            int64 of the same shape, in units of ``observation.type.lsb``.
        """
        scale = np.asarray(self.observation.scale, dtype=np.float64)
        return self.observation.type.integers(np.asarray(observations, dtype=np.float64) * scale)


def task_names() -> list[str]:
    """Names of the shipped tasks."""
    return sorted(path.stem for path in TASK_DIRECTORY.glob("*.toml"))


def load_task(name: str) -> Task:
    """Read a task by the name of a shipped one, or by the path of a TOML file.

    Raises:
        ProjectError: no such task, or the file is not a valid one; the message says which key and why.
    """
    path = Path(name) if name.endswith(".toml") else TASK_DIRECTORY / f"{name}.toml"
    if not path.is_file():
        raise ProjectError(
            f"unknown task '{name}'; shipped tasks are {', '.join(task_names())}; "
            "for one of your own give the path of its TOML file"
        )
    if path.stat().st_size > MAXIMUM_TOML_BYTES:
        raise ProjectError(f"{path}: larger than {MAXIMUM_TOML_BYTES} bytes; this is no task file")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProjectError(f"{path}: not valid TOML: {_line(error)}") from error
    task: Task = _build(Task, {"name": path.stem, **data}, str(path), "")
    _check(task, str(path))
    return task


def with_settings(task: Task, section: str, **changes: Any) -> Task:
    """A copy of ``task`` whose ``section`` (``hardware``, ``training``, …) has the given keys; None keeps a key.

    Raises:
        ProjectError: a value is out of range.
    """
    changed = {key: value for key, value in changes.items() if value is not None}
    if not changed:
        return task
    new = dataclasses.replace(task, **{section: dataclasses.replace(getattr(task, section), **changed)})
    _check(new, f"task '{task.name}'")
    return new


def change(task: Task, text: str | None) -> tuple[Task, str]:
    """Read changes of a task's settings, as ``observation.bits=2 observation.scale=[1,2,8,1]``.

    Args:
        task: as its file says.
        text: ``section.key=value`` pairs, values as in TOML, with spaces between; None or empty for no change.

    Returns:
        The changed task, and eight hexadecimal digits that stand for the changes which reach the policy
        (``PolicySpec.variant``); empty where there are none.

    Raises:
        ProjectError: not such a text, an unknown key, or a value of another type or out of range.
    """
    new, where = task, f"SET '{text}'"
    for section, key, value in _pairs(text or "", where):
        part = getattr(new, section, None)
        if not dataclasses.is_dataclass(part) or isinstance(part, type):
            raise ProjectError(f"{where}: no section '{section}'; sections are {', '.join(_SECTIONS)}")
        changed = _build(type(part), {**_plain(part), key: value}, where, f"{section}.")
        new = dataclasses.replace(new, **{section: changed})
    _check(new, where)
    differing = {
        f"{section}.{key}": value for section in _SECTIONS if section != "hardware"
        for key, value in _plain(getattr(new, section)).items() if value != _plain(getattr(task, section))[key]
    }
    digits = hashlib.sha256(json.dumps(differing, sort_keys=True).encode()).hexdigest()[:8]
    return new, digits if differing else ""


_SECTIONS = ("observation", "network", "training", "hardware")


def _plain(section: Any) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(section).items()}


def _pairs(text: str, where: str) -> list[tuple[str, str, Any]]:
    parts = re.split(r"\s+(?=\w+\.\w+=)", text.strip()) if text.strip() else []
    pairs = []
    for part in parts:
        name, _, value = part.partition("=")
        section, _, key = name.partition(".")
        try:
            pairs.append((section, key, tomllib.loads(f"value = {value}")["value"]))
        except tomllib.TOMLDecodeError as error:
            raise ProjectError(f"{where}: '{part}' is not section.key=value with a value as in TOML") from error
    return pairs


def _build(kind: type[Any], data: dict[str, Any], where: str, section: str) -> Any:
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    for key in data:
        if key not in known:
            raise ProjectError(
                f"{where}: unknown key '{section}{key}'; known keys there are {', '.join(sorted(known))}"
            )
    missing = [
        key for key, item in known.items()
        if key not in data and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ProjectError(f"{where}: key '{section}{missing[0]}' is missing; add it")
    values = {key: _value(hints[key], value, where, f"{section}{key}") for key, value in data.items()}
    return kind(**values)


def _value(hint: Any, value: Any, where: str, key: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ProjectError(f"{where}: '{key}' is a table; write [{key}] and its keys below")
        return _build(hint, value, where, f"{key}.")
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ProjectError(f"{where}: '{key}' is a list of numbers, not {value!r}")
        return tuple(_value(float, item, where, key) for item in value)
    if isinstance(hint, types.UnionType):
        hint = next(item for item in typing.get_args(hint) if item is not type(None))
    if typing.get_origin(hint) is dict:
        hint = dict
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ProjectError(f"{where}: '{key}' is of type {hint.__name__}, not {value!r}")
    return value


_RANGES: dict[str, tuple[float, float]] = {
    "observation.bits": (1, 16),
    "observation.integer_bits": (-15, 16),
    "network.weight_integer_bits": (1, 8),
    "network.activation_integer_bits": (0, 8),
    "network.bias_integer_bits": (1, 8),
    "training.episodes": (2, 10**7),
    "training.seeds": (1, 10**4),
    "training.learning_rate": (1e-9, 10.0),
    "training.discount": (0.0, 1.0),
    "training.entropy": (0.0, 10.0),
    "training.baseline_rate": (1e-6, 1.0),
    "training.full_rate_hidden": (1, 4096),
    "training.final_rate": (0.0, 1.0),
    "training.output_gain": (0.0, 10.0),
    "training.validation_episodes": (1, 10**5),
    "hardware.clock_mhz": (1.0, 1000.0),
    "hardware.reuse_factor": (1, 10**7),
    "hardware.place_seeds": (1, 100),
    "hardware.stages": (0, 24),
}


def _check(task: Task, where: str) -> None:
    for value in task.observation.scale:
        if not is_power_of_two(value):
            raise ProjectError(
                f"{where}: observation.scale has {value}, which is no power of two; "
                f"write {2.0 ** round(np.log2(value)) if value > 0 else 1.0} or another one"
            )
    for key, (low, high) in _RANGES.items():
        section, name = key.split(".")
        value = getattr(getattr(task, section), name)
        if not low <= value <= high:
            raise ProjectError(f"{where}: {key} is {value}; it must lie in {low:g} … {high:g}")
    if task.training.advantage not in ADVANTAGES:
        raise ProjectError(
            f"{where}: training.advantage is '{task.training.advantage}'; choose one of {', '.join(ADVANTAGES)}"
        )
    if task.hardware.strategy not in ("Latency", "Resource"):
        raise ProjectError(f"{where}: hardware.strategy is '{task.hardware.strategy}'; choose Latency or Resource")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
