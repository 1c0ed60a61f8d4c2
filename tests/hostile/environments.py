"""Environments that break what Gymnasium asks of them, one fault each, and what becomes of a task that names them.

Every case is trained, validated and evaluated, in a few short episodes. It must end in a whole result, or in one line
that names the task, and leave no policy.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from hls4rl import guard
from hls4rl.errors import ProjectError
from hls4rl.plain import read_json
from hls4rl.policy import PolicySpec
from hls4rl.task import load_task

LENGTH = 10
HANG_SECONDS = 0.5
MINE = "hls4rl-hostile"


class SneakyError(BaseException):
    """No ``except Exception`` catches this."""


def _raise(error: BaseException) -> Any:
    raise error


RAISING: dict[str, Callable[[], Any]] = {
    "raises ValueError": lambda: _raise(ValueError("two\nlines")),
    "raises an error without a message": lambda: _raise(RuntimeError()),
    "raises MemoryError": lambda: _raise(MemoryError()),
    "raises RecursionError": lambda: _raise(RecursionError("too deep")),
    "raises SystemExit": lambda: _raise(SystemExit),
    "raises another BaseException": lambda: _raise(SneakyError("sneaky")),
    "raises StopIteration": lambda: _raise(StopIteration()),
    "calls sys.exit(0)": lambda: sys.exit(0),
    "calls sys.exit with words": lambda: sys.exit("done"),
    "calls os._exit(0)": lambda: os._exit(0),
    "divides by zero": lambda: 1 // 0,
    "hangs": lambda: time.sleep(60),
}
OBSERVATIONS: dict[str, Any] = {
    "NaN": np.array([0.1, np.nan], np.float32), "infinity": np.array([np.inf, 0], np.float32),
    "minus infinity": np.array([0, -np.inf], np.float64), "one feature more": np.zeros(3, np.float32),
    "one axis more": np.zeros((1, 2), np.float32), "a number": np.float32(0.5), "nothing": None,
    "text": "0.5", "texts": np.array(["a", "b"]), "objects": np.array([{}, None], dtype=object),
    "complex numbers": np.array([1j, 0]), "rows of two lengths": [[1.0], [1.0, 2.0]], "a dictionary": {"a": 1.0},
    "dates": np.zeros(2, "datetime64[s]"),
}
REWARDS: dict[str, Any] = {
    "NaN": float("nan"), "infinity": float("inf"), "minus infinity": np.float64(-np.inf), "nothing": None, "text": "1",
    "two numbers": np.ones(2), "complex": 1j, "a list": [1.0, 2.0], "bytes": b"1",
}
FLAGS: dict[str, Any] = {"nothing": None, "text": "no", "two": 2, "NaN": float("nan"), "an array": np.zeros(2)}
SOUND_OBSERVATIONS: dict[str, Any] = {
    "float64": np.array([0.25, -0.5]), "integers": np.array([0, 1]), "a list": [0.25, 0.5],
    "booleans": np.ones(2, bool), "beyond its bounds": np.array([1e30, -7.0], np.float32),
}
SOUND_REWARDS: dict[str, Any] = {
    "an integer": 1, "float32": np.float32(1), "a boolean": np.bool_(True), "an array of one": np.ones(1),
    "an array without axes": np.array(0.5),
}
SOUND_FLAGS: dict[str, Any] = {"NumPy's": np.bool_(False), "zero": 0}
SPACES: dict[str, tuple[Any, Any]] = {
    "no features": (gym.spaces.Box(-1, 1, (0,)), gym.spaces.Discrete(2)),
    "no axis": (gym.spaces.Box(-1, 1, ()), gym.spaces.Discrete(2)),
    "two axes": (gym.spaces.Box(-1, 1, (2, 2)), gym.spaces.Discrete(2)),
    "a Dict": (gym.spaces.Dict({"a": gym.spaces.Box(-1, 1, (2,))}), gym.spaces.Discrete(2)),
    "text": (gym.spaces.Text(4), gym.spaces.Discrete(2)),
    "one action": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(1)),
    "actions from one": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2, start=1)),
    "actions from minus seven": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(3, start=-7)),
    "continuous actions": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.Box(-1, 1, (1,))),
    "continuous actions without bounds": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.Box(-np.inf, np.inf, (1,))),
    "no continuous actions": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.Box(-1, 1, (0,))),
    "several choices": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.MultiDiscrete([2, 3])),
    "bits": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.MultiBinary(2)),
    "text for actions": (gym.spaces.Box(-1, 1, (2,)), gym.spaces.Text(4)),
}
STEP_ANSWERS: dict[str, Any] = {
    "four things": lambda obs: (obs, 1.0, False, {}), "six things": lambda obs: (obs, 1.0, False, False, {}, 0),
    "nothing": lambda obs: None, "a list": lambda obs: [obs, 1.0, False, False, {}],
}
RESET_ANSWERS: dict[str, Any] = {
    "an observation alone": lambda obs: obs, "nothing": lambda obs: None, "three things": lambda obs: (obs, {}, 0),
}


class Hostile(gym.Env[Any, Any]):
    """A point on a line that is moved left or right; ``fault`` happens at call number ``at`` in this process."""

    calls = 0
    """Of ``reset`` and ``step``, by all copies."""

    def __init__(self, fault: str = "", kind: str = "", at: int = 0, render_mode: str | None = None) -> None:
        self._fault, self._kind, self._at = fault, kind, at
        self.observation_space, self.action_space = SPACES.get(
            kind if fault == "spaces" else "", (gym.spaces.Box(-4, 4, (2,), np.float32), gym.spaces.Discrete(2))
        )
        self._episodes = 0
        if fault == "init":
            RAISING[kind]()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self._place, self._step = float(self.np_random.uniform(-1, 1)), 0
        self._episodes += 1
        if self._is_due("reset"):
            RAISING[self._kind]()
        if self._is_due("reset answer", count=False):
            return RESET_ANSWERS[self._kind](self._seen())
        return self._seen(), {}

    def step(self, action: Any) -> Any:
        if self._is_due("step"):
            RAISING[self._kind]()
        self._place += 0.1 if np.all(action == 1) else -0.1
        self._step += 1
        seen, reward, terminated = self._seen(), float(abs(self._place) < 1), False
        if self._is_due("step answer", count=False):
            return STEP_ANSWERS[self._kind](seen)
        for fault, values in (("reward", REWARDS), ("sound reward", SOUND_REWARDS)):
            if self._is_due(fault, count=False):
                reward = values[self._kind]
        for fault, values in (("flag", FLAGS), ("sound flag", SOUND_FLAGS)):
            if self._is_due(fault, count=False):
                terminated = values[self._kind]
        length = {"endless": 1 << 60, "10,000 steps": 10_000}.get(self._fault, LENGTH)
        return seen, reward, terminated, self._step >= length, {}

    def close(self) -> None:
        if self._fault == "close":
            RAISING[self._kind]()

    def _is_due(self, fault: str, count: bool = True) -> bool:
        Hostile.calls += count
        return self._fault == fault and Hostile.calls >= self._at

    def _seen(self) -> Any:
        for fault, values in (("observation", OBSERVATIONS), ("sound observation", SOUND_OBSERVATIONS)):
            if self._is_due(fault, count=False):
                return values[self._kind]
        if self._fault == "spaces":
            self.observation_space.seed(0)
            return self.observation_space.sample()
        place = self._place
        if self._fault == "unseeded":
            place = float(np.random.default_rng().uniform(-1, 1))  # what no seed of the environment sets
        if self._fault == "remembers":
            place += 0.3 * self._episodes
        return np.array([place, 0.1 * self._step], np.float32)


def _wrapped(wrapper: Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]) -> Callable[..., gym.Env[Any, Any]]:
    return lambda **options: wrapper(Hostile(**options))


def _frozen(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    normaliser = gym.wrappers.NormalizeObservation(env)
    normaliser.update_running_mean = False
    return normaliser


class OwnNormaliser(gym.ObservationWrapper[Any, Any, Any]):
    """Statistics of its own, and no name that anybody knows."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._sum, self._count = np.zeros(2), 0

    def observation(self, observation: Any) -> Any:
        self._sum, self._count = self._sum + np.abs(observation), self._count + 1
        return (observation / (self._sum / self._count + 1e-3)).astype(np.float32)


WRAPPERS: dict[str, tuple[Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]], bool]] = {
    "NormalizeObservation": (gym.wrappers.NormalizeObservation, False),
    "NormalizeReward": (gym.wrappers.NormalizeReward, False),
    "OwnNormaliser": (OwnNormaliser, False),
    "FrozenNormaliser": (_frozen, True),
    "RecordEpisodeStatistics": (gym.wrappers.RecordEpisodeStatistics, True),
    "FlattenObservation": (gym.wrappers.FlattenObservation, True),
}
"""By name: the wrapper, and whether it is sound."""

gym.register(f"{MINE}/Plain-v0", Hostile)
for _name, (_wrapper, _) in WRAPPERS.items():
    gym.register(f"{MINE}/{_name}-v0", _wrapped(_wrapper))


@dataclass(frozen=True)
class Case:
    """One environment, and what must become of it."""

    fault: str
    kind: str = ""
    at: int = 0
    environment: str = "Plain"
    outcome: str = "refused"
    """"refused", "handled", or "either": in a line, or with a result."""

    @property
    def name(self) -> str:
        """For people."""
        return ", ".join(str(item) for item in (self.environment, self.fault, self.kind, self.at) if item)


def _cases() -> Iterator[Case]:
    early, middle, late = 0, 85, 115  # while it's examined, while it's trained, while it's evaluated
    yield from (Case("init", kind) for kind in RAISING)
    yield from (Case("close", kind) for kind in list(RAISING)[:-1])
    for fault, kinds in (("reset", RAISING), ("step", RAISING), ("observation", OBSERVATIONS), ("reward", REWARDS),
                         ("flag", FLAGS), ("step answer", STEP_ANSWERS), ("reset answer", RESET_ANSWERS)):
        yield from (Case(fault, kind, at) for kind, at in product(kinds, (early, middle, late)))
    for fault, sound in (("sound observation", SOUND_OBSERVATIONS), ("sound reward", SOUND_REWARDS),
                         ("sound flag", SOUND_FLAGS)):
        yield from (Case(fault, kind, outcome="handled") for kind in sound)
    yield from (Case("spaces", kind, outcome="either") for kind in SPACES)
    yield from (Case(fault) for fault in ("endless", "unseeded", "remembers"))
    yield Case("10,000 steps", outcome="handled")
    yield Case("", outcome="handled")
    yield from (Case("", "", 0, name, "handled" if sound else "refused") for name, (_, sound) in WRAPPERS.items())
    for name in ("NoSuch", "Plain-v1", "../Plain", "Plain v0", ""):
        yield Case("", "", 0, name)


CASES = tuple(_cases())
assert len({case.name for case in CASES}) == len(CASES)

_TASK = """environment = "{module}:{mine}/{environment}-v0"
environment_options = {{ fault = "{fault}", kind = "{kind}", at = {at} }}
solved = 5
[observation]
scale = [0.5]
bits = 4
[training]
episodes = 3
validation_episodes = 1
evaluation_episodes = 2
"""


def try_case(case: Case, folder: Path) -> str:
    """What went wrong with ``case`` in the empty ``folder``; empty: nothing."""
    file = folder / "hostile-task.toml"
    file.write_text(_TASK.format(module=__name__, mine=MINE, environment=case.environment, fault=case.fault,
                                 kind=case.kind, at=case.at), encoding="utf-8")
    seconds, steps = guard.CALL_SECONDS, guard.MAXIMUM_STEPS
    guard.CALL_SECONDS, guard.MAXIMUM_STEPS = HANG_SECONDS, 20_000
    Hostile.calls = 0
    try:
        result = _train(file, folder / "runs")
    except ProjectError as error:
        text = str(error)
        if "hostile-task" not in text or "\n" in text:
            return f"a refusal that doesn't name the task: {text}"
        if list(folder.rglob("policy.safetensors")):
            return f"a policy was left behind: {text}"
        return "" if case.outcome != "handled" else f"refused: {text}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        guard.CALL_SECONDS, guard.MAXIMUM_STEPS = seconds, steps
    if case.outcome == "refused":
        return f"not refused: greedy {result['greedy_return']}"
    return "" if np.isfinite(result["greedy_return"]) and len(result["training_returns"]) == 3 else f"{result}"


def _train(file: Path, root: Path) -> dict[str, Any]:
    selection = importlib.import_module("hls4rl.train.selection")
    task = load_task(str(file))
    task.spaces  # noqa: B018 (as every command does first)
    path: Path = selection.train_seed(task, PolicySpec(task.name, "binarynet", 2, 0), root)
    return read_json(path, "")
