"""What there is to choose: a point of the search space is a policy to train and a core to build from it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from hls4rl.policy import PolicySpec, read_hidden
from hls4rl.task import Source, Task, change, settings_of
from hls4rl.train.methods import METHODS
from hls4rl.train.methods.base import FEW_BITS
from hls4rl.train.pretrained.imported import METHOD, prepare
from hls4rl.train.trainers.kernel import is_compiled

WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 32)
"""Units of the one hidden layer, where the kernel trains: it knows no other networks, and a search needs its speed."""
SHAPES = (0, *WIDTHS, "4x4", "8x8", "16x16")
"""Hidden layers where another trainer does."""
SHIFTS = 2
"""An input's scale is searched from the task's by so many powers of two up and down."""
OWN_SHIFTS = 8
"""Up to so many features each has a shift of its own; more share one."""
GROUPS = 6
"""Groups of seeds: a setting that is worth it can be tried again with other seeds."""
FOLDS = (0, 1, 2, 4, 8)
"""Units of a folded core; 0: unrolled logic."""
MAXIMUM_STAGES = 3
"""Stages of the pipeline; one alone is the quickest way through small cores."""


class Trial(Protocol):
    """What of Optuna's trials is used here."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of ``choices``."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """A number from ``low`` to ``high``."""


@dataclass(frozen=True)
class Candidate:
    """One point of the space: everything but the seed, of which a trial tries a group."""

    environment: str
    """The task as a command line names it."""
    spec: PolicySpec
    """With the first seed of the group."""
    settings: str
    """Changes of the task's settings, for :func:`hls4rl.task.change`."""
    part: str
    source: Source | None = None
    """The policy that it is trained after; None: it's trained by itself."""

    def task(self, task: Task) -> Task:
        """``task`` with the changes."""
        return _read(task, self.settings, self.spec, self.source)[0]

    def with_seed(self, seed: int) -> Candidate:
        """The same with another seed."""
        return replace(self, spec=replace(self.spec, seed=seed))

    @property
    def command(self) -> str:
        """The line that builds it."""
        spec = self.spec
        words = {
            "ENV": self.environment, "METHOD": spec.method, "HIDDEN": spec.shape, "SEED": spec.seed,
            **{key.upper(): f"{getattr(spec, key):g}" for key in _used(spec.method)}, "PART": self.part,
            **({} if self.source is None else self.source.variables),
            **({"SET": self.settings} if self.settings else {}),
        }
        return "make synth " + " ".join(f"{key}={shlex.quote(str(value))}" for key, value in words.items())


def suggest(
    trial: Trial, task: Task, environment: str, parts: tuple[str, ...], seeds: int, given: str = "",
    source: Source | None = None,
) -> Candidate:
    """The candidate that ``trial`` stands for; seeds ``seeds``·group, … belong to it.

    Args:
        trial: draws the parameters.
        task: as its file says.
        environment: the task as a command line names it.
        parts: to choose from.
        seeds: in a group.
        given: changes of the task's settings that hold for all candidates.
        source: a policy that each is trained after.
    """
    base = usual(task, given, source)
    method = trial.suggest_categorical("method", tuple(METHODS))
    settings: dict[str, Any] = {"observation.bits": trial.suggest_int("input_bits", 2, max(4, base.observation.bits))}
    settings["observation.scale"] = _scale(trial, base)
    if source is not None or isinstance(base.observation.scale, str):  # measured together with the offset
        settings["observation.offset"] = base.converter.offset.tolist()
    if base.actions.is_continuous:
        settings["action.bits"] = trial.suggest_int("action_bits", 2, max(8, base.action.bits))
    numbers: dict[str, Any] = {}
    hidden = trial.suggest_categorical("hidden", shapes(base))
    if "bits" in _used(method):
        numbers["bits"] = trial.suggest_int("bits", 2, 8)
        settings["network.weight_integer_bits"] = trial.suggest_int("weight_integer_bits", 1, 3)
    if "activation_bits" in _used(method) and hidden != 0:
        numbers["activation_bits"] = trial.suggest_int("activation_bits", 2, 8)
        settings["network.activation_integer_bits"] = trial.suggest_int("activation_integer_bits", 0, 3)
    if "clusters" in _used(method):
        numbers["clusters"] = trial.suggest_int("clusters", 2, 8)
    if "percentile" in _used(method):
        numbers["percentile"] = float(trial.suggest_int("percentile", 0, 90, step=10))
    group = trial.suggest_categorical("group", tuple(range(GROUPS)))
    part = trial.suggest_categorical("part", parts)
    settings["hardware.fold"] = trial.suggest_categorical("fold", FOLDS)
    if not settings["hardware.fold"]:
        settings["hardware.stages"] = trial.suggest_int("stages", 1, MAXIMUM_STAGES)
    # What follows from a policy's file follows from the bits too: all of it is written out.
    text = " ".join(item for item in (given, _changes(base if source is None else None, settings)) if item)
    spec = PolicySpec(task.name, method, read_hidden(hidden), seeds * group, **numbers)
    return Candidate(environment, _read(task, text, spec, source)[1], text, part, source)


def usual(task: Task, given: str, source: Source | None) -> Task:
    """``task`` with the changes ``given``, and with the scales and offsets that suit ``source``."""
    return _read(task, given, PolicySpec(task.name, METHOD, (1,), 0), source)[0]


def _read(task: Task, text: str, spec: PolicySpec, source: Source | None) -> tuple[Task, PolicySpec]:
    """What a command line with these settings means."""
    changed, variant = change(task, text)
    spec = replace(spec, variant=variant)
    if source is None:
        return changed, spec
    return prepare(changed, spec, source, settings_of(text), (spec.method, spec.shape))


def shapes(task: Task) -> tuple[int | str, ...]:
    """The hidden layers to choose from."""
    return WIDTHS if is_compiled(task, PolicySpec(task.name, "binarynet", (1,), 0)) else SHAPES


def first_guesses(task: Task, parts: tuple[str, ...]) -> list[dict[str, Any]]:
    """Parameters of trials to begin with: small networks of few bits, and the task's own formats."""
    common = {"part": parts[0], "stages": 1, "fold": 0, "group": 0, **{name: 0 for name in _shift_names(task)}}
    bits = max(2, task.observation.bits)
    guesses: list[dict[str, Any]] = [
        {"method": name, "input_bits": width, **guess}
        for name, kind in METHODS.items() for guess in kind.first_guesses
        for width in ((bits, bits - 1) if kind.signs and bits > 2 else (bits,))
    ]
    if 0 in shapes(task):
        guesses += [{"method": name, "input_bits": bits, **(kind.first_guesses or (FEW_BITS,))[0], "hidden": 0}
                    for name, kind in METHODS.items()]
    guesses.sort(key=lambda guess: int(guess["hidden"]))
    if task.actions.is_continuous:
        common["action_bits"] = task.action.bits
    return [{**common, **guess} for guess in guesses]


def _used(method: str) -> tuple[str, ...]:
    return METHODS[method].settings


def _shift_names(task: Task) -> list[str]:
    count = len(_scales(task))
    return [f"shift{index}" for index in range(count)] if count <= OWN_SHIFTS else ["shift"]


def _scales(task: Task) -> list[float]:
    scale = task.observation.scale
    return task.converter.scale.tolist() if isinstance(scale, str) else list(scale)


def _scale(trial: Trial, task: Task) -> list[float]:
    shifts = [trial.suggest_int(name, -SHIFTS, SHIFTS) for name in _shift_names(task)]
    scale = _scales(task)
    return [value * 2.0**shift for value, shift in zip(scale, shifts * (len(scale) // len(shifts)), strict=True)]


def _changes(task: Task | None, settings: Mapping[str, Any]) -> str:
    """The settings that differ from the task's own, as :func:`hls4rl.task.change` reads them; None: all of them."""
    words = []
    for name, value in settings.items():
        section, key = name.split(".")
        old = None if task is None else getattr(getattr(task, section), key)
        if (tuple(value) if isinstance(value, list) else value) != old:
            words.append(f"{name}=[{','.join(map(repr, value))}]" if isinstance(value, list) else f"{name}={value}")
    return " ".join(words)
