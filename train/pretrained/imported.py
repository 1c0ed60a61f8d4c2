"""POLICY= and TEACHER=: the task and the policy that a float policy's file makes of what else was asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import drive
from hls4rl.observations import AUTO
from hls4rl.policy import Policy, PolicySpec
from hls4rl.ranges import FIRST_SEED
from hls4rl.task import Source, Task
from hls4rl.train.pretrained.archives import read_bytes
from hls4rl.train.pretrained.comparison import compare
from hls4rl.train.pretrained.float_policy import Fitted, FloatPolicy
from hls4rl.train.pretrained.quantisation import quantise, seen_through
from hls4rl.train.pretrained.reader import read_source

CALIBRATION_EPISODES = 5
CALIBRATION_STEPS = 20_000
"""At most, of the float policy's own episodes, evenly chosen: what formats are chosen by."""
METHOD = "fp"
"""What rounding without training is among the methods."""


def prepare(
    task: Task, spec: PolicySpec, source: Source, given: tuple[str, ...], wanted: tuple[str | None, str | None]
) -> tuple[Task, PolicySpec]:
    """The task and the policy that ``source`` makes of those that were asked for.

    Observations, actions and hidden activations get ``spec.bits`` bits unless a setting says otherwise, scales and
    offsets come from the float policy's own episodes, and the core is folded where it would be too large.

    Args:
        spec: method and hidden layers in it count where they are ``wanted``.
        given: the names of the settings that were given, as ``observation.bits``.
        wanted: METHOD and HIDDEN as they were given; None where they were not. Where they differ from the float
            policy's, or where ``source.distil`` is true, a network of theirs is trained after it.

    Raises:
        ProjectError: the file cannot be read safely, or does not fit the environment.
    """
    source = dataclasses.replace(source, digest=_digest(source))
    policy = _read(dataclasses.replace(source, distil=False))
    method, hidden = wanted
    differs = method not in (None, METHOD) or (hidden is not None and spec.hidden != policy.hidden)
    source = dataclasses.replace(source, distil=source.distil or differs)
    spec = dataclasses.replace(
        spec, method=method or METHOD, hidden=spec.hidden if hidden is not None else policy.hidden
    )
    digits = hashlib.sha256(json.dumps([spec.variant, source.digest, source.distil]).encode()).hexdigest()[:8]
    task = _with_usual(task, spec, given)
    fitted = Fitted.of(task, policy, source.policy)
    task = dataclasses.replace(task, source=source)
    if "observation.scale" not in given and "observation.offset" not in given:
        task = seen_through(task, fitted.policy, visited(fitted))
    elif task.observation.scale == AUTO:
        raise ProjectError("SET gives observation.offset and no observation.scale; give both, or neither")
    return task, dataclasses.replace(spec, variant=digits)


def fitted_of(task: Task) -> Fitted:
    """The float policy of ``task.source`` in its environment."""
    assert task.source is not None
    return Fitted.of(task, _read(dataclasses.replace(task.source, distil=False)), task.source.policy)


def import_policy(task: Task, spec: PolicySpec) -> tuple[Policy, list[dict[str, Any]]]:
    """The integers of ``task.source``; see :func:`hls4rl.train.pretrained.quantisation.quantise`."""
    fitted = fitted_of(task)
    return quantise(fitted, spec, visited(fitted))


def compared(task: Task, policy: Policy, episodes: int, first_seed: int) -> dict[str, Any]:
    """:func:`hls4rl.train.pretrained.comparison.compare` of ``policy`` and the float policy of ``task.source``."""
    assert task.source is not None
    return {"distilled": task.source.distil, "file": Path(task.source.policy).name,
            **compare(fitted_of(task), policy.network, episodes, first_seed)}


def visited(fitted: Fitted) -> FloatArray:
    """What the float policy sees in its own episodes, shape (steps, features), at most :data:`CALIBRATION_STEPS`.

    A process plays them once, however many bits they are asked for.
    """
    task, policy = fitted.task, fitted.policy
    key = repr((task.environment, task.environment_options, task.wrappers, task.action.range, id(policy.weights[0])))
    if key not in _visited:
        _visited[key] = (_play(fitted), policy)
    return _visited[key][0]


_visited: dict[str, tuple[FloatArray, FloatPolicy]] = {}
"""The policy too, so that no other one can take its place in memory."""


def _play(fitted: Fitted) -> FloatArray:
    seen = []

    def act(floats: FloatArray) -> list[object]:
        seen.append(floats)
        return [fitted.taken(row) for row in fitted.decide(floats)]

    drive(fitted.task, act, CALIBRATION_EPISODES, FIRST_SEED)
    rows = np.concatenate(seen)
    return rows[:: -(-len(rows) // CALIBRATION_STEPS)]


def _with_usual(task: Task, spec: PolicySpec, given: tuple[str, ...]) -> Task:
    """``task`` with what suits an imported policy, where nothing else was asked for."""
    observation, action, hardware = task.observation, task.action, task.hardware
    if "observation.bits" not in given:
        observation = dataclasses.replace(observation, bits=spec.bits)
    if "action.bits" not in given:
        action = dataclasses.replace(action, bits=spec.bits)
    if "hardware.fold" not in given and not hardware.fold and not hardware.inputs_per_clock:
        hardware = dataclasses.replace(hardware, fold=AUTO)
    training = dataclasses.replace(task.training, seeds=1) if "training.seeds" not in given else task.training
    return dataclasses.replace(task, observation=observation, action=action, hardware=hardware, training=training)


def _digest(source: Source) -> str:
    """SHA-256 of all that the float policy depends on."""
    files = [source.policy, *([source.normaliser] if source.normaliser else [])]
    digests = [hashlib.sha256(read_bytes(Path(name), "policy")).hexdigest() for name in files]
    return hashlib.sha256(json.dumps([digests, source.activation, source.squash]).encode()).hexdigest()


@lru_cache(maxsize=8)
def _read(source: Source) -> FloatPolicy:
    return read_source(source)

