"""What a policy always does, or never, in boxes of observations: proven on its netlist, or refuted by an observation.

A file of properties (TOML) has a table ``[[property]]`` for each: a ``name``; a ``box``, the range of some features in
the environment's own units, ``{ 2 = [0.05, 0.2] }`` (the others: whatever the input type holds); and one of

* ``always = 1`` or ``never = 0``: the action, as the network numbers it;
* ``bounded = [-1.0, 1.0]``: every dimension of a continuous action, in the environment's units;
* ``mirror = true``: the opposite observation (all features negated) gets the opposite action;
* ``monotone = 2``: the action never falls while this feature rises and the others stay.

What a box holds are the integers that the host's converter makes of it: all of them are tried where there are up to
2^24; beyond, ``always`` and ``never`` of one choice go to a SAT solver.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.actions import BoxActions, DiscreteActions
from hls4rl.backend import Backend
from hls4rl.contract import FixedPoint, IntArray
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.prove import sat
from hls4rl.hls_projects.prove.claims import OPEN, PROVEN, REFUTED
from hls4rl.hls_projects.prove.design import DesignUnderProof
from hls4rl.hls_projects.prove.functions import function_of, netlist_circuit
from hls4rl.hls_projects.prove.logic import AND, NOT, OR, Logic, NotAFunctionError
from hls4rl.observations import Converter
from hls4rl.plain import read_toml
from hls4rl.task import Task

KINDS = ("always", "never", "bounded", "mirror", "monotone")
ENUMERABLE = 1 << 24
"""Observations up to which a box is enumerated."""
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Property:
    """One table of the file, its box in integers."""

    name: str
    kind: str
    value: Any
    low: IntArray
    """Shape (features,)."""
    high: IntArray

    @property
    def observations(self) -> int:
        """How many the box holds."""
        return math.prod((self.high - self.low + 1).tolist())


@dataclass(frozen=True)
class Verdict:
    """What came of one property."""

    name: str
    status: str
    observations: int
    method: str
    counterexample: dict[str, Any] | None = None


def read_properties(path: Path, task: Task) -> list[Property]:
    """The properties in ``path``.

    Raises:
        ProjectError: the file is not there, or says something that is not understood; the message says what.
    """
    try:
        tables = read_toml(path, "file of properties")
    except (OSError, ProjectError) as error:
        raise ProjectError(f"PROPERTIES={str(path)!r}: not readable ({error}); correct it") from error
    items = tables.pop("property", [])
    if tables or not items or not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ProjectError(f"{path}: write one table [[property]] for each property, and nothing else")
    return [_property(item, f"{path}: property {number}", task) for number, item in enumerate(items, 1)]


def judge(found: Property, backend: Backend, task: Task, design: DesignUnderProof | None, seconds: float) -> Verdict:
    """Prove or refute ``found``.

    Args:
        backend: the netlist.
        design: what a solver reads, where the box is too large to be enumerated; None: nothing is proven then.
        seconds: of the solver.
    """
    if found.observations <= ENUMERABLE:
        wrong = _enumerate(found, backend, task)
        method = "every observation of the box, on the netlist's gates"
        status = PROVEN if wrong is None else REFUTED
    elif found.kind in ("always", "never") and design is not None and len(design.info.action_widths) == 1:
        try:
            finding = _solve(found, design, seconds)
        except NotAFunctionError as error:
            return Verdict(found.name, OPEN, found.observations, f"{sat.TOOL}: {error}")
        method, wrong = sat.TOOL, None
        status = PROVEN if finding.equal else OPEN
        if finding.observation is not None:
            bits = finding.observation.astype(np.int64).reshape(len(found.low), task.observation.type.bits)
            unsigned = (bits << np.arange(bits.shape[1])).sum(axis=1)
            wrong = np.where(unsigned > task.observation.type.maximum, unsigned - (1 << bits.shape[1]), unsigned)
            status = REFUTED
    else:
        return Verdict(found.name, OPEN, found.observations,
                       f"more than {ENUMERABLE:,} observations; make the box smaller")
    return Verdict(found.name, status, found.observations, method, _told(wrong, backend, task.converter))


def observations_of(found: Property) -> Iterator[IntArray]:
    """All observations of the box, int64, shape (count, features), some at a time."""
    sizes = (found.high - found.low + 1).astype(np.int64)
    strides = np.concatenate([[1], np.cumprod(sizes[:-1])])
    for start in range(0, found.observations, _CHUNK):
        numbers = np.arange(start, min(start + _CHUNK, found.observations), dtype=np.int64)
        yield found.low + (numbers[:, None] // strides) % sizes


def _enumerate(found: Property, backend: Backend, task: Task) -> IntArray | None:
    broken = _breaker(found, backend, task)
    for observations in observations_of(found):
        wrong = np.flatnonzero(broken(observations))
        if len(wrong):
            first: IntArray = observations[wrong[0]]
            return first
    return None


def _breaker(found: Property, backend: Backend, task: Task) -> Callable[[IntArray], Any]:
    """A function that says of each observation whether it breaks the property."""
    def act(observations: IntArray) -> IntArray:
        return backend.infer(observations).actions

    def opposite(observations: IntArray) -> Any:
        actions, mirrored = act(observations), act(-observations)
        if isinstance(task.actions, BoxActions):  # the one integer below -M stands for what -M stands for
            top = task.actions.activation.maximum
            return (np.maximum(mirrored, -top) != -np.maximum(actions, -top)).any(axis=1)
        return (mirrored != task.actions.outputs - 1 - actions).any(axis=1)

    def falls(observations: IntArray) -> Any:
        risen = observations.copy()
        risen[:, found.value] = np.minimum(risen[:, found.value] + 1, found.high[found.value])
        return (act(risen) < act(observations)).any(axis=1)

    def outside(observations: IntArray) -> Any:
        taken, places = np.unique(act(observations), axis=0, return_inverse=True)
        real = np.array([np.ravel(task.actions.decode(row)) for row in taken])
        return ((real < found.value[0]) | (real > found.value[1])).any(axis=1)[places.reshape(-1)]

    return {
        "always": lambda rows: (act(rows) != found.value).any(axis=1),
        "never": lambda rows: (act(rows) == found.value).any(axis=1),
        "mirror": opposite, "monotone": falls, "bounded": outside,
    }[found.kind]


def _solve(found: Property, design: DesignUnderProof, seconds: float) -> sat.Finding:
    """Ask whether :func:`violation` is ever 1."""
    with tempfile.TemporaryDirectory(prefix="hls4rl-property-") as folder:
        circuit = netlist_circuit(design.built / NETLIST, design.models, design.info, Path(folder) / "netlist.json")
        logic = function_of(circuit, design.info, ["action"], time.monotonic() + seconds)
    never = Logic(logic.inputs, np.zeros((0, 4), dtype=np.int64), {"bad": np.array([0])})
    return sat.compare(violation(found, logic, design.network.input), never, "bad", seconds)


def violation(found: Property, logic: Logic, kind: FixedPoint) -> Logic:
    """``bad``, a bit: whether the observation lies in the box, and the action is not what it has to be.

    Args:
        found: ``always`` or ``never``.
        logic: of ``action``, one choice.
        kind: of a feature.
    """
    gates = logic.gates.tolist()

    def gate(operation: int, a: int, b: int = 0) -> int:
        gates.append([operation, a, b, 0])
        return logic.inputs + 1 + len(gates)

    def at_least(nets: list[int], bound: int) -> int:
        result = 1                              # from the lowest bit: equal so far
        for place, net in enumerate(nets):
            result = gate(AND, net, result) if bound >> place & 1 else gate(OR, net, result)
        return result

    bits, bad = kind.bits, 1
    for index, (low, high) in enumerate(zip(found.low.tolist(), found.high.tolist(), strict=True)):
        nets = list(range(2 + index * bits, 2 + (index + 1) * bits))
        if kind.signed:
            nets[-1] = gate(NOT, nets[-1])      # then larger numbers are larger as unsigned ones too
        bad = gate(AND, bad, at_least(nets, low - kind.minimum))
        if high < kind.maximum:
            bad = gate(AND, bad, gate(NOT, at_least(nets, high + 1 - kind.minimum)))
    same = 1
    for place, net in enumerate(logic.outputs["action"].tolist()):
        same = gate(AND, same, net if found.value >> place & 1 else gate(NOT, net))
    bad = gate(AND, bad, same if found.kind == "never" else gate(NOT, same))
    return Logic(logic.inputs, np.array(gates, dtype=np.int64), {"bad": np.array([bad])})


def _told(wrong: IntArray | None, backend: Backend, converter: Converter) -> dict[str, Any] | None:
    if wrong is None:
        return None
    real = wrong * converter.type.lsb / converter.scale + converter.offset
    action = backend.infer(wrong[None, :]).actions[0]
    return {"observation": real.tolist(), "integers": wrong.tolist(), "action": action.tolist()}


def _property(item: dict[str, Any], where: str, task: Task) -> Property:
    kinds = [key for key in item if key in KINDS]
    unknown = set(item) - {"name", "box", *KINDS}
    if unknown or len(kinds) != 1 or not isinstance(item.get("name"), str):
        raise ProjectError(
            f"{where}: give a name, a box if you like, and one of {', '.join(KINDS)}"
            + (f"; {', '.join(sorted(unknown))} is none of these" if unknown else "")
        )
    kind, value = kinds[0], item[kinds[0]]
    _check_value(kind, value, where, task)
    converter, features = task.converter, task.features
    low = np.full(features, converter.type.minimum + (kind == "mirror" and converter.type.signed), dtype=np.int64)
    high = np.full(features, converter.type.maximum, dtype=np.int64)
    box, numbers = item.get("box", {}), {str(feature): feature for feature in range(features)}
    if not isinstance(box, dict):
        raise ProjectError(f"{where}: box is {box}; give {{ feature = [low, high] }}")
    for key, bounds in box.items():
        if key not in numbers or not _is_range(bounds):
            raise ProjectError(f"{where}: box has {key} = {bounds}; give 0 … {features - 1} = [low, high]")
        number, ends = numbers[key], np.zeros((2, features))
        ends[:, number] = bounds
        integers = converter.integers(ends)[:, number]
        low[number], high[number] = max(low[number], integers[0]), min(high[number], integers[1])
    return Property(item["name"], kind, value, low, high)


def _is_range(value: Any) -> bool:
    return (isinstance(value, list) and len(value) == 2 and all(type(end) in (int, float) for end in value)
            and value[0] <= value[1])


def _check_value(kind: str, value: Any, where: str, task: Task) -> None:
    continuous, choice = isinstance(task.actions, BoxActions), isinstance(task.actions, DiscreteActions)
    if kind == "mirror" and task.converter.offset.any():
        raise ProjectError(f"{where}: mirror negates all features, and observation.offset has the integers begin "
                           "elsewhere; leave mirror out, or train with offsets of 0")
    good = {
        "always": choice and type(value) is int and 0 <= value < task.actions.outputs,
        "never": choice and type(value) is int and 0 <= value < task.actions.outputs,
        "bounded": continuous and _is_range(value), "mirror": value is True and (continuous or choice),
        "monotone": type(value) is int and 0 <= value < task.features,
    }[kind]
    if not good:
        raise ProjectError(
            f"{where}: {kind} = {value}; always and never take the number of a Discrete action, bounded takes [low, "
            "high] of a continuous one, mirror (of either) takes true, monotone a feature's number"
        )
