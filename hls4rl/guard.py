"""A stranger's environment, under guard: what it does wrong ends in one line that names the task, never in silence.

Its code may raise, end the process, hang, or answer with what is no number, of another shape, or not finite; an episode
may never end; it may keep something from one episode to the next, so that each copy of it would be another
environment. All of that is found here, and nowhere else.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np

from hls4rl.errors import ProjectError
from hls4rl.wrappers import missing_extra, quiet_physics, wrapped

MAXIMUM_STEPS = 100_000
"""Of one episode, where neither the environment nor ``max_episode_steps`` sets a limit."""
CALL_SECONDS = 120.0
"""That one call of ``reset`` or ``step`` may take."""
EXAMINED_STEPS = 20
"""That two copies are held against each other."""
ALIKE = 0.05
"""How far, absolutely and relatively, an episode may differ from itself after others."""
_FEW = 32
"""Numbers that Python adds up sooner than NumPy."""
_NORMALISERS = (gym.wrappers.NormalizeObservation, gym.wrappers.NormalizeReward)

Check = Callable[[Any], str]
"""Says what is wrong with an observation; empty: nothing."""


class Guarded(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose every answer is checked; rewards are floats, and ends are booleans."""

    def __init__(self, env: gym.Env[Any, Any], where: str) -> None:
        """Guard ``env``; ``where`` names the task in messages.

        Raises:
            ProjectError: one of its wrappers keeps statistics of its own.
        """
        super().__init__(env)
        self._where, self._check = where, _check_of(env.observation_space)
        self._limit = (env.spec and env.spec.max_episode_steps) or MAXIMUM_STEPS
        self._watch = _Watch(where, "step()")
        self._steps = 0
        _refuse_statistics(env, where)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """See :class:`gymnasium.Env`.

        Raises:
            ProjectError: the environment failed, or its observation is none of its space.
        """
        self._steps = 0
        with _Watch(self._where, "reset()"):
            answer = self.env.reset(seed=seed, options=options)
        if not isinstance(answer, tuple) or len(answer) != 2:
            raise self._fault(f"its reset() gives {_short(answer)}, not an observation and a dictionary")
        self._judge(answer[0])
        return answer

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """See :class:`gymnasium.Env`.

        Raises:
            ProjectError: the environment failed, answered with what is no number, or its episode doesn't end.
        """
        self._steps += 1
        with self._watch:
            answer: Any = self.env.step(action)
        if not isinstance(answer, tuple) or len(answer) != 5:
            raise self._fault(
                f"its step() gives {_short(answer)}, not observation, reward, terminated, truncated and a dictionary"
            )
        observation, reward, terminated, truncated, info = answer
        self._judge(observation)
        terminated, truncated = self._flag(terminated, "terminated"), self._flag(truncated, "truncated")
        if self._steps >= self._limit and not (terminated or truncated):
            raise ProjectError(
                f"{self._where} has not ended an episode after {self._steps:,} steps; let it end, or give "
                "environment_options = { max_episode_steps = … }"
            )
        return observation, self._number(reward), terminated, truncated, info

    def render(self) -> Any:
        """See :class:`gymnasium.Env`."""
        with _Watch(self._where, "render()"):
            return self.env.render()

    def close(self) -> None:
        """See :class:`gymnasium.Env`."""
        with _Watch(self._where, "close()"):
            self.env.close()

    def _judge(self, observation: Any) -> None:
        if fault := self._check(observation):
            raise self._fault(f"its observation {fault}")

    def _number(self, reward: SupportsFloat) -> float:
        if type(reward) is not float:  # else nothing is to be done, at each of millions of steps
            try:
                array = np.asarray(reward)
                if array.dtype.kind not in "biuf":
                    raise TypeError
                reward = float(array.item())
            except (TypeError, ValueError):
                raise self._fault(f"its reward is {_short(reward)}, not a number") from None
        value = float(reward)
        if not math.isfinite(value):
            raise self._fault(f"its reward is {value}")
        return value

    def _flag(self, value: Any, name: str) -> bool:
        if type(value) is bool:
            return value
        if isinstance(value, np.bool_) or (isinstance(value, int) and value in (0, 1)):
            return bool(value)
        raise self._fault(f"its '{name}' is {_short(value)}, neither True nor False")

    def _fault(self, text: str) -> ProjectError:
        return ProjectError(f"{self._where}, step {self._steps} of an episode: {text}; correct the environment")


def make_guarded(
    task: str, environment: str, options: Mapping[str, Any], wrappers: Sequence[Any] = ()
) -> Guarded:
    """Gymnasium's ``environment``, under guard.

    Args:
        task: name of the task, for messages.
        options: keyword arguments of :func:`gymnasium.make`.
        wrappers: see :func:`hls4rl.wrappers.wrapped`.

    Raises:
        ProjectError: there is none of this name, its module cannot be imported, it refuses the options, or it fails.
    """
    _look_for_hangs()
    with warnings.catch_warnings(), _Watch(f"task '{task}': environment '{environment}'", "__init__()"):
        warnings.filterwarnings("ignore", message=".*is out of date.*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message=".*Overriding environment.*")
        quiet_physics(environment)
        try:
            env = wrapped(gym.make(environment, **options), wrappers, f"task '{task}'")
        except (gym.error.Error, ImportError, TypeError) as error:
            remedy = "correct 'environment' in its TOML file"
            if extra := missing_extra(str(error)):
                remedy = f"install what it needs: {extra}"
            elif isinstance(error, gym.error.NamespaceNotFound):
                remedy = "name the module that registers it before the id, as 'ale_py:ALE/Pong-v5'"
            elif isinstance(error, ImportError):
                remedy = "install it, or put its directory on PYTHONPATH"
            elif isinstance(error, TypeError):
                remedy = "correct 'environment_options' in its TOML file"
            raise ProjectError(
                f"task '{task}': Gymnasium cannot make environment '{environment}': {_line(error)}; {remedy}"
            ) from error
        return Guarded(env, f"task '{task}': environment '{environment}'")


def examine(make: Callable[[], gym.Env[Any, Any]], where: str) -> tuple[gym.Space[Any], gym.Space[Any]]:
    """The spaces of an environment's observations and actions, once two copies of it have been held to each other.

    Two new copies must see the same where they start from the same seed and take the same actions, to the last bit. A
    copy that has played other episodes since must still see almost the same: some physics engines remember contacts,
    but one that keeps statistics is another environment after each episode, and an evaluation of it means nothing.

    Args:
        make: makes a copy.
        where: names the task in messages.

    Raises:
        ProjectError: it cannot be made, or is not repeatable.
    """
    with contextlib.closing(make()) as first, contextlib.closing(make()) as second:
        spaces = first.observation_space, first.action_space
        actions = _actions(spaces[1])
        episode = _episode(first, 0, actions)
        if not _alike(episode, _episode(second, 0, actions), 0.0):
            raise ProjectError(
                f"{where}: two copies with the same seed and the same actions see different things; draw every chance "
                "from self.np_random, which reset(seed=…) sets"
            )
        for seed in (1, 2):
            _episode(second, seed, actions)
        if not _alike(episode, _episode(second, 0, actions), ALIKE):
            raise ProjectError(
                f"{where}: an episode depends on those before it, so that each copy would be another environment; keep "
                "nothing from one episode to the next, as wrappers that normalise do"
            )
    return spaces


def _actions(space: gym.Space[Any]) -> list[Any]:
    space.seed(0)
    return [space.sample() for _ in range(EXAMINED_STEPS)]


def _episode(env: gym.Env[Any, Any], seed: int, actions: list[Any]) -> list[Any]:
    """What is seen of an episode, and each step's reward and end."""
    steps: list[Any] = [env.reset(seed=seed)[0]]
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        steps.append((observation, reward, terminated, truncated))
        if terminated or truncated:
            break
    return steps


def _alike(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, Mapping):
        return all(_alike(one[key], other[key], tolerance) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(_alike(*pair, tolerance) for pair in zip(one, other, strict=True))
    if isinstance(one, str):
        return bool(one == other)
    return bool(np.allclose(one, other, rtol=tolerance, atol=tolerance))


def _refuse_statistics(env: gym.Env[Any, Any], where: str) -> None:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, _NORMALISERS) and env.update_running_mean:
            raise ProjectError(
                f"{where}: the wrapper {type(env).__name__} keeps statistics of its own, so that each copy would be "
                "another environment; take TransformObservation or TransformReward with fixed numbers"
            )
        env = env.env


def _check_of(space: gym.Space[Any]) -> Check:
    if isinstance(space, gym.spaces.Box):
        shape = space.shape
        return lambda value: _box_fault(value, shape)
    if isinstance(space, gym.spaces.Dict):
        return _check_of_members({key: _check_of(member) for key, member in space.spaces.items()}, Mapping, dict)
    if isinstance(space, gym.spaces.Tuple):
        numbered = {index: _check_of(member) for index, member in enumerate(space.spaces)}
        return _check_of_members(numbered, tuple, lambda value: dict(enumerate(value)))
    return lambda value: "" if space.contains(value) else f"is {_short(value)}, which is not in {space}"


def _box_fault(value: Any, shape: tuple[int, ...]) -> str:
    try:
        array = value if type(value) is np.ndarray else np.asarray(value)
    except ValueError:  # rows of several lengths
        return f"is {_short(value)}, no array"
    if array.shape != shape:
        return f"is of shape {array.shape}, not {shape}"
    kind = array.dtype.kind
    if kind not in "biuf":
        return f"is of type {array.dtype}, not numbers"
    if kind != "f" or (array.size <= _FEW and math.isfinite(sum(array.ravel().tolist()))):
        return ""
    if not np.isfinite(array).all():
        place = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
        return f"is {array[place]} in feature {', '.join(str(index) for index in place) or '0'}"
    return ""


def _check_of_members(
    checks: Mapping[Any, Check], kind: type[Any], members_of: Callable[[Any], Mapping[Any, Any]]
) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, kind):
            return f"is {_short(value)}, no {kind.__name__}"
        members = members_of(value)
        if members.keys() != checks.keys():
            return f"has the members {sorted(map(str, members))}, not {sorted(map(str, checks))}"
        faults = (f"'{key}': {fault}" for key, check in checks.items() if (fault := check(members[key])))
        return next(faults, "")

    return check


class _Watch:
    """Turns whatever goes wrong in a call of the environment into a line; a call that hangs, too."""

    began: float | None = None
    """Of the call in progress in the main thread."""

    def __init__(self, where: str, call: str) -> None:
        self._where, self._call, self._process = where, call, os.getpid()

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        self._exit, os._exit = os._exit, self._leave  # type: ignore[assignment]
        if self._thread == _MAIN:
            _Watch.began = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        _Watch.began = None
        os._exit = self._exit
        if error is None or isinstance(error, ProjectError | KeyboardInterrupt):
            return
        if isinstance(error, _HangError):
            text = f"has not come back from {self._call} for {CALL_SECONDS:g} s"
        elif isinstance(error, SystemExit):
            text = f"wants to end the program in {self._call}"
        else:
            text = f"raised {type(error).__name__} in {self._call}: {_line(error)}"
        raise ProjectError(f"{self._where} {text}; correct the environment") from error

    def _leave(self, status: int) -> None:
        if os.getpid() != self._process or threading.get_ident() != self._thread:  # not the environment's own call
            self._exit(status)
        raise SystemExit(status)


class _HangError(BaseException):
    """A call of the environment takes too long; no ``except Exception`` of its own is to stop this."""


def _look_for_hangs() -> None:
    """From here on, look every now and then how long a call of an environment has taken; for the main thread."""
    if threading.get_ident() == _MAIN and signal.getsignal(signal.SIGALRM) in (signal.SIG_DFL, _look):
        signal.signal(signal.SIGALRM, _look)
        signal.setitimer(signal.ITIMER_REAL, CALL_SECONDS / 4, CALL_SECONDS / 4)
        atexit.unregister(_look_no_more)
        atexit.register(_look_no_more)


def _look_no_more() -> None:
    """At its end Python takes its handlers away, and an alarm then would kill a process that has done all it should."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _look(_signal: int, _frame: object) -> None:
    if _Watch.began is not None and time.monotonic() - _Watch.began > CALL_SECONDS:
        raise _HangError


_MAIN = threading.main_thread().ident


def _short(value: Any) -> str:
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a stranger's __repr__
        text = f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}…"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no message"
