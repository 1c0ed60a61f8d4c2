"""The lines that make the figures of a run again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.observations import Observation
from hls4rl.policy import hidden_text
from hls4rl.run import RUNS, root_word
from hls4rl.task import Task, load_task, task_names

_OPTIONS = {"bits": 8, "clusters": 8, "percentile": 50.0, "activation_bits": 0}


def commands(
    spec: Mapping[str, Any], task: Task, environment: str, board_tried: bool, root: Path = RUNS,
    folded: bool = False,
) -> list[dict[str, str]]:
    """What to type for each kind of figure: ``figure`` and ``command``.

    Args:
        spec: of the policy, as its ``training.json`` has it.
        task: with the settings that the run was made with.
        environment: the task as a command line names it.
        board_tried: whether a board, simulated or not, drove the environment.
        root: where the runs lie.
        folded: whether cores of several numbers of units were built.
    """
    policy = _policy(spec, task, environment) + root_word(root)
    every_seed = _policy({**spec, "seed": None}, task, environment) + root_word(root)
    part = f" PART={task.hardware.part}"
    lines = [
        ("all of them", f"make synth{policy}{_build(task, environment)}"),
        ("training curve, all seeds", f"make train{every_seed}"),
        ("equality of the executors", f"make evaluate{policy}{part} BACKEND=all"),
        *([] if task.hardware.inputs_per_clock else [("proof", f"make prove{policy}{part}")]),
        ("the vendor's figures", f"make synth{policy}{_build(task, environment)} TOOL=vitis"),
    ]
    if board_tried:
        lines.append(("board in the loop", f"make hil{policy}"))
    if folded:
        lines.append(("area against latency", f"make fold{policy}{part}"))
    return [{"figure": figure, "command": command} for figure, command in lines]


def environment_word(name: str, explored: Mapping[str, Any] | None, task: Task | None = None) -> str:
    """What ``ENV=`` is to be for the task ``name``: what the user wrote when it was built, or searched."""
    if task is not None and task.file:
        return task.file
    if name in task_names() or explored is None:
        return name
    return str(explored["environment"])


def building(spec: Mapping[str, Any], environment: str, root: Path) -> str:
    """What builds a policy that is only trained so far."""
    if spec.get("variant"):  # which settings these were stands in a run's metadata, once it is built
        return "make synth with the SET, POLICY or TEACHER that it was trained with"
    return f"make synth{_words(spec, environment)}{root_word(root)}"


def _policy(spec: Mapping[str, Any], task: Task, environment: str) -> str:
    changed, text = _changes(task, environment, spec["bits"]), _words(spec, environment)
    if task.source is not None:
        text += "".join(f" {key}={shlex.quote(value)}" for key, value in task.source.variables.items())
    return text + (f" SET={shlex.quote(changed)}" if changed else "")


def _words(spec: Mapping[str, Any], environment: str) -> str:
    words = {"ENV": environment, "METHOD": spec["method"], "HIDDEN": hidden_text(tuple(spec["hidden"]))}
    words |= {key.upper(): f"{spec[key]:g}" for key, usual in _OPTIONS.items() if spec.get(key, usual) != usual}
    if spec["seed"] is not None:
        words["SEED"] = spec["seed"]
    return "".join(f" {key}={shlex.quote(str(value))}" for key, value in words.items())


def _build(task: Task, environment: str) -> str:
    usual = _file(environment)
    clock = "" if usual and usual.hardware.clock_mhz == task.hardware.clock_mhz \
        else f" CLOCK_MHZ={task.hardware.clock_mhz:g}"
    return f" PART={task.hardware.part}{clock}"


def _changes(task: Task, environment: str, bits: int) -> str:
    """The settings in which ``task``, of a policy of ``bits``, differs from its file, as ``SET=`` takes them."""
    usual, words = _file(environment), []
    if usual is None:
        return ""
    measured = isinstance(usual.observation.scale, str) and _measured(environment, task.observation) == task.observation
    imported = task.source is not None  # its formats, and that the core may be folded, follow from the policy
    sections = ("observation", "action", "network", "training", *(("pixels",) if task.pixels else ()),
                *(("distillation",) if imported else ()), "hardware")
    for section in sections:
        for key, value in vars(getattr(task, section)).items():
            told_otherwise = key in ("part", "clock_mhz") or (section == "training" and key == "seeds")
            told_otherwise |= (measured or imported) and section == "observation" and key in ("scale", "offset")
            told_otherwise |= imported and (section, key, value) in (
                ("observation", "bits", bits), ("action", "bits", bits), ("hardware", "fold", "auto")
            )
            if value != getattr(getattr(usual, section), key) and not told_otherwise:
                words.append(f"{section}.{key}={_toml(value)}")
    return " ".join(words)


def _file(environment: str) -> Task | None:
    try:
        return load_task(environment)
    except ProjectError:  # the file of someone's own task lies where we cannot know
        return None


@cache
def _measured(environment: str, observation: Observation) -> Observation:
    """``observation`` with the scales and offsets that the file's "auto" comes to."""
    usual = load_task(environment)
    asked = replace(observation, scale=usual.observation.scale, offset=usual.observation.offset)
    return replace(usual, observation=asked).resolved.observation


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{','.join(map(repr, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
