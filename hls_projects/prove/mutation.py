"""Faults put into a netlist on purpose: a proof that cannot fail is worth nothing.

Each mutant has one change in one cell: a bit of a look-up table's or a memory's content, two exchanged inputs, or an
input that is stuck. The check that proves the netlist must catch each one, or show that it makes no difference.
"""

from __future__ import annotations

import copy
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.checked import read_checked, write_checked
from hls4rl.errors import ProjectError, ToolError
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.prove import sat
from hls4rl.hls_projects.prove.claims import OPEN, PROVEN, REFUTED, Claim
from hls4rl.hls_projects.prove.design import DesignUnderProof
from hls4rl.hls_projects.prove.exhaustion import Checked, Gates, exhaust
from hls4rl.hls_projects.prove.functions import function_of, netlist_circuit
from hls4rl.hls_projects.prove.logic import GivenUpError, Logic, NotAFunctionError
from hls4rl.hls_projects.prove.prover import ENUMERABLE_BITS
from hls4rl.hls_projects.rtl.pipelined import CORE

MUTATIONS = "mutations.json"
KINDS = ("flipped bit", "exchanged inputs", "stuck input")
CAUGHT, EQUIVALENT, UNDECIDED = "caught", "equivalent", "undecided"
_TABLE_BITS = 16
_CONTROL = ("CLK", "C", "CE", "E", "LSR", "R", "S", "CLKA", "CLKB", "RCLK", "WCLK")
"""Pins of flip-flops and clocks of memories, which carry no data."""


@dataclass(frozen=True)
class Mutant:
    """One change in one cell of a netlist."""

    kind: str
    cell: str
    detail: str
    netlist: dict[str, Any]


def mutants(netlist: dict[str, Any], seed: int) -> Iterator[Mutant]:
    """Mutants of ``netlist`` (Yosys' JSON) without end, the kinds in turn, each one once."""
    rng = np.random.default_rng(seed)
    seen: set[tuple[str, str, str]] = set()
    cells = sorted(
        name for name, cell in netlist["modules"][CORE]["cells"].items() if cell["type"] != "$scopeinfo"
    )
    while True:
        for kind in KINDS:
            changed = copy.deepcopy(netlist)
            name = cells[rng.integers(len(cells))]
            detail = _CHANGES[kind](changed["modules"][CORE]["cells"][name], rng)
            if detail is not None and (kind, name, detail) not in seen:
                seen.add((kind, name, detail))
                yield Mutant(kind, name, detail, changed)


def try_mutants(
    design: DesignUnderProof, count: int, minutes: float, seed: int = 0, report: Callable[[int], None] = lambda _: None
) -> Path:
    """Try ``count`` mutants of the design's netlist, which is proven already; results lie beside the certificate.

    Each mutant is held against the netlist as it was, by the method that proved that one.

    Args:
        report: called with the number of mutants tried.

    Returns:
        The path of ``mutations.json``: how many were caught, equivalent or undecided when the time was over, and
        of each one the change, its fate and the observation or the reason by which it was caught.

    Raises:
        ProjectError: the part's cells have no simulation models.
    """
    if not design.models:
        raise ProjectError(f"no models of {design.part}'s cells are known; take an ECP5 or iCE40 PART for mutations")
    netlist = json.loads((design.built / NETLIST).read_text(encoding="utf-8"))
    path, results = design.proof / MUTATIONS, list[dict[str, Any]]()
    design.proof.mkdir(exist_ok=True)
    deadline = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="hls4rl-mutants-") as folder:
        trial = _Trial(design, Path(folder), deadline)
        for mutant in itertools.islice(mutants(netlist, seed), count):
            if time.monotonic() > deadline:
                break
            fate, how = trial.fate(mutant.netlist)
            results.append({
                "kind": mutant.kind, "cell": mutant.cell, "change": mutant.detail, "fate": fate, "by": how,
            })
            write_checked(path, {
                "netlist": design.netlist.files, "seed": seed, "asked": count, "tried": len(results),
                **{name: sum(item["fate"] == name for item in results) for name in (CAUGHT, EQUIVALENT, UNDECIDED)},
                "mutants": results,
            })
            report(len(results))
    return path


def read_mutations(path: Path) -> dict[str, Any]:
    """What :func:`try_mutants` left in ``path``."""
    return read_checked(path, "run `make prove` with MUTATIONS again")


class _Trial:
    """Holds mutants against the netlist that they come from."""

    def __init__(self, design: DesignUnderProof, work: Path, deadline: float) -> None:
        self._subject, self._work, self._deadline = design, work, deadline
        self._original = self._logic(design.built / NETLIST)

    def fate(self, netlist: dict[str, Any]) -> tuple[str, Any]:
        """What becomes of a mutant, and by which observation or for which reason."""
        path = self._work / "mutant.json"
        path.write_text(json.dumps(netlist), encoding="utf-8")
        try:
            logic = self._logic(path)
        except GivenUpError:
            return UNDECIDED, None
        except (NotAFunctionError, RuntimeError, ToolError) as error:
            return CAUGHT, str(error).splitlines()[0]
        network = self._subject.network
        if network.input.bits * network.features > ENUMERABLE_BITS:
            finding = sat.compare(logic, self._original, "action", self._deadline - time.monotonic())
            bits = None if finding.observation is None else finding.observation.tolist()
            return (EQUIVALENT, None) if finding.equal else (UNDECIDED, None) if bits is None else (CAUGHT, bits)
        return self._enumerate(logic)

    def _enumerate(self, logic: Logic) -> tuple[str, Any]:
        design, network = self._subject, self._subject.network
        total = 1 << (network.input.bits * network.features)
        claim = Claim(design.netlist, design.netlist, "action", "", "", total)
        sides: list[tuple[Claim, Checked]] = [(claim, Gates(logic, design.info))]
        original = Gates(self._original, design.info)
        exhaust(sides, original, network.input, network.features, self._deadline, lambda: None)
        by = claim.counterexample["observation"] if claim.counterexample else None
        return {REFUTED: CAUGHT, PROVEN: EQUIVALENT, OPEN: UNDECIDED}[claim.status], by

    def _logic(self, netlist: Path) -> Logic:
        design = self._subject
        circuit = netlist_circuit(netlist, design.models, design.info, self._work / "model.json")
        return function_of(circuit, design.info, ["action"], self._deadline)


def _flip(cell: dict[str, Any], rng: np.random.Generator) -> str | None:
    names = [
        name for name, value in cell["parameters"].items()
        if "INIT" in name and len(value) >= _TABLE_BITS and set(value) <= set("01")
    ]
    if not names:
        return None
    name = names[rng.integers(len(names))]
    value = cell["parameters"][name]
    place = int(rng.integers(len(value)))
    cell["parameters"][name] = value[:place] + "10"[int(value[place])] + value[place + 1:]
    return f"{name}[{len(value) - 1 - place}]"


def _exchange(cell: dict[str, Any], rng: np.random.Generator) -> str | None:
    pins = _data_pins(cell)
    pairs = [(a, b) for a, b in itertools.combinations(pins, 2) if cell["connections"][a] != cell["connections"][b]]
    if not pairs:
        return None
    a, b = pairs[rng.integers(len(pairs))]
    wires = cell["connections"]
    wires[a], wires[b] = wires[b], wires[a]
    return f"{a} and {b}"


def _stick(cell: dict[str, Any], rng: np.random.Generator) -> str | None:
    pins = [pin for pin in _data_pins(cell) if cell["connections"][pin][0] not in ("0", "1")]
    if not pins:
        return None
    pin, value = pins[rng.integers(len(pins))], "01"[rng.integers(2)]
    cell["connections"][pin] = [value]
    return f"{pin} at {value}"


def _data_pins(cell: dict[str, Any]) -> list[str]:
    return [
        pin for pin, bits in sorted(cell["connections"].items())
        if cell["port_directions"][pin] == "input" and pin not in _CONTROL and len(bits) == 1
    ]


_CHANGES = dict(zip(KINDS, (_flip, _exchange, _stick), strict=True))
