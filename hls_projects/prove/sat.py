"""Equality by SAT: two functions without registers go to ABC, which sweeps them for nodes that are equal.

ABC comes inside pyosys. What it calls a counterexample is tried on both functions before it is believed.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.yosys import ABC
from hls4rl.hls_projects.prove.logic import AND, MUX, NOT, OR, XNOR, Logic
from hls4rl.processes import run

TOOL = f"ABC's &cec (SAT sweeping), from pyosys {importlib.metadata.version('pyosys')}"
_CONFLICTS = 100_000
"""At one node, before ABC leaves it for later."""


@dataclass(frozen=True, eq=False)
class Finding:
    """What a comparison came to: equal, a counterexample, or (both None and False) nothing in the time given."""

    equal: bool
    observation: NDArray[np.uint8] | None = None
    """The bits of an observation on which the two differ."""


def compare(left: Logic, right: Logic, output: str, seconds: float) -> Finding:
    """Ask ABC whether both compute the same ``output`` of every observation.

    Args:
        seconds: after which it is stopped.
    """
    if left.inputs != right.inputs or len(left.outputs[output]) != len(right.outputs[output]):
        raise ValueError("the two functions have different inputs or outputs")
    with tempfile.TemporaryDirectory(prefix="hls4rl-sat-") as folder:
        for name, logic in (("left", left), ("right", right)):
            (Path(folder) / f"{name}.aig").write_bytes(aiger(logic, output))
        said = _abc(f"&r left.aig; &cec -C {_CONFLICTS} right.aig", Path(folder), seconds)
        if "Networks are equivalent" in said:
            return Finding(equal=True)
    bits = _assignment(said, left.inputs)
    if bits is not None and _differ(left, right, output, bits):
        return Finding(equal=False, observation=bits)
    return Finding(equal=False)


def aiger(logic: Logic, output: str) -> bytes:
    """``output`` of ``logic`` in AIGER's binary format: inputs and outputs lowest bit first."""
    graph = _AndInverter(logic.inputs)
    literals = [0, 1, *(2 * (index + 1) for index in range(logic.inputs))]
    for operation, a, b, s in logic.gates.tolist():
        literals.append(graph.gate(operation, literals[a], literals[b], literals[s]))
    return graph.write([literals[net] for net in logic.outputs[output]])


class _AndInverter:
    """AND gates and inverters; literals are 2·variable, plus 1 where inverted."""

    def __init__(self, inputs: int) -> None:
        self._inputs = inputs
        self._ands: list[tuple[int, int]] = []
        self._known: dict[tuple[int, int], int] = {}

    def gate(self, operation: int, a: int, b: int, s: int) -> int:
        """The literal of one gate of :class:`Logic`."""
        if operation == NOT:
            return a ^ 1
        if operation == AND:
            return self._and(a, b)
        if operation == OR:
            return self._and(a ^ 1, b ^ 1) ^ 1
        if operation == MUX:
            return self._either(self._and(a, s ^ 1), self._and(b, s))
        different = self._either(self._and(a, b ^ 1), self._and(a ^ 1, b))
        return different ^ 1 if operation == XNOR else different

    def write(self, outputs: list[int]) -> bytes:
        """The file."""
        count = len(self._ands)
        text = f"aig {self._inputs + count} {self._inputs} 0 {len(outputs)} {count}\n"
        text += "".join(f"{literal}\n" for literal in outputs)
        body = bytearray(text.encode())
        for index, (high, low) in enumerate(self._ands, start=self._inputs + 1):
            for difference in (2 * index - high, high - low):
                while difference > 127:
                    body.append(difference & 127 | 128)
                    difference >>= 7
                body.append(difference)
        return bytes(body)

    def _either(self, a: int, b: int) -> int:
        return self._and(a ^ 1, b ^ 1) ^ 1

    def _and(self, a: int, b: int) -> int:
        high, low = max(a, b), min(a, b)
        if low == 0 or high == low ^ 1:
            return 0
        if low in (1, high):
            return high
        if (high, low) not in self._known:
            self._ands.append((high, low))
            self._known[high, low] = 2 * (self._inputs + len(self._ands))
        return self._known[high, low]


def _abc(commands: str, directory: Path, seconds: float) -> str:
    if not ABC.is_file():
        raise ProjectError(f"{ABC} is missing; install pyosys again")
    try:
        done = run([ABC, "-c", commands], directory, timeout=max(1.0, seconds))
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def _assignment(said: str, inputs: int) -> NDArray[np.uint8] | None:
    """The input bits in ABC's line ``INPUT: a = 24'h3B8F8A.``"""
    match = re.search(r"INPUT: \w+ = \d+'h([0-9A-Fa-f]+)", said)
    if match is None:
        return None
    value = int(match[1], 16)
    return np.array([(value >> place) & 1 for place in range(inputs)], dtype=np.uint8)


def _differ(left: Logic, right: Logic, output: str, bits: NDArray[np.uint8]) -> bool:
    stimulus = bits.astype(np.uint64).reshape(1, -1)
    answers = [logic.evaluate(stimulus, [output])[output] & np.uint64(1) for logic in (left, right)]
    return not np.array_equal(answers[0], answers[1])
