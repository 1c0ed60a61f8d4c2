"""Proves one built policy: each claim by the method that its number of possible observations allows.

Up to 32 bits an observation, every observation is tried, on the gates and on each executor in software. Beyond,
the gates go to a SAT solver, and software is compared on a sample, which proves nothing and is called so.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.artefact import digest
from hls4rl.contract import Argmax
from hls4rl.errors import ProjectError
from hls4rl.export.check import corner_observations
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.read_back import read_back
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.fpga.yosys import verilog_commands
from hls4rl.hls_projects.prove import sat
from hls4rl.hls_projects.prove.claims import OPEN, PROVEN, REFUTED, Certificate, Claim, Side
from hls4rl.hls_projects.prove.design import DesignUnderProof
from hls4rl.hls_projects.prove.exhaustion import (
    CHUNK,
    Checked,
    Gates,
    Reference,
    Software,
    checked,
    chunk_of,
    counterexample,
    exhaust,
    note,
)
from hls4rl.hls_projects.prove.functions import found_wrong, function_of, netlist_circuit, rtl_circuit
from hls4rl.hls_projects.prove.logic import Logic, NotAFunctionError, combinational
from hls4rl.hls_projects.prove.reference import REFERENCE, reference_verilog
from hls4rl.hls_projects.rtl.folded import FoldedInfo
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGIT_BITS, LOGITS, RtlInfo
from hls4rl.hls_projects.simulation.gates import Circuit, elaborate
from hls4rl.network import IntegerNetwork

ENUMERABLE_BITS = 32
"""Bits of an observation up to which every observation is tried."""
SAMPLE = 1 << 18
"""Observations on which software is compared where not all can be tried."""

_STATEMENT = (
    "From the reset state, on every clock: out_valid is what in_valid was {cycles} clocks before (0 until then); "
    "whenever it is 1, action is {decision} for the observation of {cycles} clocks before, whatever came before and "
    "after it."
)
_FOLDED_STATEMENT = (
    "From power-up and from a restart at any time and in any state, for every course of in_valid, out_ready and "
    "observation, pauses, answers left waiting and restarts included: in_ready and out_valid do not depend on "
    "observations; each observation whose {features} features were taken is answered once, in order, from "
    "{due} clocks after the edge that takes its last feature or, if that comes later, the former answer ({cycles} "
    "after its first feature's if all come one per clock) until out_ready: action is {decision} for this observation, "
    "whatever came before and after it."
)
_BOARDS = (
    "a bitstream of `make bitstream` holds the module policy_core of this very netlist, cell by cell, if its "
    "bitstream.json names the same core; a board answers with policy_hash"
)
_TRUSTED = (
    "Yosys reads Verilog and the netlist, and has models of the part's cells, as the part behaves",
    "the code of hls4rl.hls_projects.prove, and what it runs on: Python, NumPy, numba, this machine",
)
_UNREAD = "not in this proof: place and route, the bitstream packer, the clock's timing"
_READ = (
    "what IceStorm documents of the part's bits, in the chip database beside nextpnr, and its iceunpack; which pin is "
    "which port: core.pcf; not in this proof: the clock's timing"
)
_ENUMERATION = "every observation, one after another"
_SIMULATOR = f"hls4rl's gate simulator on gates from pyosys {importlib.metadata.version('pyosys')}"
_SWEEPING = "SAT sweeping of both sides"
_AS_FUNCTION = {
    RtlInfo: "registers taken for wires",
    FoldedInfo: "all states walked through on symbols",
}
_SAMPLING = "corners and random observations: a test, no proof"

Report = Callable[[Certificate], None]


def prove(design: DesignUnderProof, minutes: float, report: Report = lambda _: None) -> Certificate:
    """Prove what can be proven of ``design`` in ``minutes``; what an earlier call settled is kept.

    Args:
        report: called now and then with how far things are.

    Returns:
        The certificate, which is on disk by then.
    """
    with tempfile.TemporaryDirectory(prefix="hls4rl-prove-") as folder:
        proof = _Proof(design, time.monotonic() + 60 * minutes, report, Path(folder))
        if design.network.input.bits * design.network.features <= ENUMERABLE_BITS:
            proof.enumerate()
        else:
            proof.solve()
    return proof.certificate


def require_no_counterexample(certificate: Certificate) -> None:
    """Insist that nothing was refuted.

    Raises:
        ProjectError: a claim was; the message has the observation.
    """
    for claim in certificate.claims:
        if claim.status == REFUTED and claim.counterexample is not None:
            found = claim.counterexample
            raise ProjectError(
                f"{claim.name} is refuted by the observation {found['observation']}: {claim.left.name} says "
                f"{found['left']}, {claim.right.name} says {found['right']}; this is a bug in hls4rl or in a tool it "
                f"calls: please report it with {certificate.path}"
            )


@dataclass
class _Proof:
    """One call of :func:`prove`."""

    design: DesignUnderProof
    deadline: float
    report: Report
    work: Path
    _known: dict[str, Logic] = field(default_factory=dict)

    @cached_property
    def certificate(self) -> Certificate:
        """What is proven so far."""
        trusted = (_UNREAD if self.design.bitstream is None else _READ, *_TRUSTED)
        return Certificate(self.design.proof, _design(self.design), trusted)

    @cached_property
    def reference(self) -> Reference:
        """The integer network."""
        return Reference(self.design.network)

    def enumerate(self) -> None:
        """Every observation, first on gates, which are quick, then in software."""
        design = self.design
        outputs = {design.netlist: "action", design.rtl: "action", design.rtl_logits: "logits and action"}
        if not design.models:
            del outputs[design.netlist]
        if design.bitstream is not None:
            outputs[design.bitstream] = "action"
        method = f"{_ENUMERATION}; {_AS_FUNCTION[type(design.info)]}"
        gates = [self._claim(side, design.reference, what, method, _SIMULATOR) for side, what in outputs.items()]
        software = [
            (self._claim(side, design.reference, "logits and action", _ENUMERATION, tool), opener)
            for side, tool, opener in design.software()
        ]
        self._save()
        self._exhaust([(claim, self._gates(claim.left)) for claim in gates if self._is_function(claim, claim.left)])
        self._exhaust([(claim, Software(opener)) for claim, opener in software if claim.status == OPEN])

    def solve(self) -> None:
        """The gates by SAT; software on a sample."""
        design = self.design
        pairs = [(design.netlist, design.rtl), (design.rtl, design.reference)]
        if design.bitstream is not None:
            pairs.append((design.bitstream, design.netlist))
        method = f"{_SWEEPING}; {_AS_FUNCTION[type(design.info)]}"
        gates = [
            self._claim(left, right, "action", method, sat.TOOL)
            for left, right in pairs if design.models or left is not design.netlist
        ]
        software = [
            (self._claim(side, design.reference, "logits and action", _SAMPLING, tool), opener)
            for side, tool, opener in design.software()
        ]
        self._save()
        for claim, opener in software:
            if claim.status == OPEN and claim.covered == 0:
                self._sample(claim, Software(opener), self.reference)
            claim.reason = "too many observations to try them all; no proof goes through this software"
        self._save()
        for number, claim in enumerate(gates):
            if self._is_function(claim, claim.left) and self._is_function(claim, claim.right):
                self._solve(claim, (self.deadline - time.monotonic()) / (len(gates) - number))
            self._save()

    def _claim(self, left: Side, right: Side, outputs: str, method: str, tool: str) -> Claim:
        kind, features = self.design.network.input, self.design.network.features
        return self.certificate.add(Claim(left, right, outputs, method, tool, 1 << (kind.bits * features)))

    def _exhaust(self, sides: list[tuple[Claim, Checked]]) -> None:
        network = self.design.network
        exhaust(sides, self.reference, network.input, network.features, self.deadline, self._save)

    def _solve(self, claim: Claim, seconds: float) -> None:
        start = time.monotonic()
        left, right = self._logic(claim.left), self._logic(claim.right)
        # A wrong design is mostly found out at once by trying.
        claim.covered = 0
        self._sample(claim, Gates(left, self.design.info), Gates(right, self.design.info))
        if claim.status == OPEN:
            finding = sat.compare(left, right, "action", seconds)
            if finding.equal:
                claim.status = PROVEN
            elif finding.observation is not None:
                self._refute(claim, finding.observation)
            else:
                claim.reason = f"ABC had not finished after {time.monotonic() - start:.0f} s"
        claim.seconds = time.monotonic() - start

    def _refute(self, claim: Claim, bits: NDArray[np.uint8]) -> None:
        network, info = self.design.network, self.design.info
        fields = bits.astype(np.int64).reshape(network.features, network.input.bits)
        numbers = (fields << np.arange(network.input.bits)).sum(axis=1)
        observation = np.where(numbers > network.input.maximum, numbers - (1 << network.input.bits), numbers)
        chunk = chunk_of(observation[None, :], network.input)
        left, right = (Gates(self._logic(side), info).answer(chunk) for side in (claim.left, claim.right))
        claim.status, claim.counterexample = REFUTED, counterexample(observation, left, right, 0)

    def _sample(self, claim: Claim, left: Checked, right: Checked) -> None:
        network, rng = self.design.network, np.random.default_rng(0)
        low, high = network.input.minimum, network.input.maximum
        rows = [corner_observations(network.input, network.features, rng)]
        rows += [
            rng.integers(low, high, size=(CHUNK, network.features), endpoint=True) for _ in range(SAMPLE // CHUNK)
        ]
        for observations in rows:
            chunk = chunk_of(observations, network.input)
            note(claim, claim.covered + len(observations), checked(left, chunk, right.answer(chunk)))
            if claim.status == REFUTED or time.monotonic() > self.deadline:
                break

    def _is_function(self, claim: Claim, side: Side) -> bool:
        """Whether ``side`` is a function of one observation, which is needed where ``claim`` is still open."""
        if claim.status != OPEN:
            return False
        try:
            self._logic(side)
        except subprocess.TimeoutExpired:
            claim.reason = f"the time given was over before Yosys had read {side.name}"
            return False
        except NotAFunctionError as error:
            kind = "folded core" if isinstance(self.design.info, FoldedInfo) else "pipeline"
            claim.reason = f"{side.name} is not shown to be a {kind} of {self.design.info.cycles} clocks: {error}"
            circuit = Circuit.load(self.work / f"{side.name}.json")
            claim.counterexample = found_wrong(circuit, self.design.network, self.design.info)
            claim.status = OPEN if claim.counterexample is None else REFUTED
            return False
        return True

    def _gates(self, side: Side) -> Checked:
        return Gates(self._logic(side), self.design.info)

    def _logic(self, side: Side) -> Logic:
        if side.name not in self._known:
            design, model = self.design, self.work / f"{side.name}.json"
            if side.name == design.reference.name:
                source = self.work / f"{REFERENCE}.v"
                source.write_text(reference_verilog(design.network, LOGIT_BITS), "utf-8")
                left = max(1.0, self.deadline - time.monotonic())
                elaborate(verilog_commands([source]), REFERENCE, model, seconds=left)
                self._known[side.name] = combinational(Circuit.load(model), ["action"])
            else:
                outputs = ["action", "logits"] if side == design.rtl_logits else ["action"]
                top = LOGITS if side == design.rtl_logits else CORE
                if side in (design.rtl, design.rtl_logits):
                    circuit = rtl_circuit(design.built / f"{top}.v", design.info, model)
                else:
                    circuit = netlist_circuit(self._netlist(side), design.models, design.info, model)
                self._known[side.name] = function_of(circuit, design.info, outputs, self.deadline)
        return self._known[side.name]

    def _netlist(self, side: Side) -> Path:
        """What was synthesised, or is read back of the bitstream."""
        if side == self.design.netlist:
            return self.design.built / NETLIST
        read_back(self.design.built, load_part(self.design.part), CORE, self.work / NETLIST)
        return self.work / NETLIST

    def _save(self) -> None:
        self.certificate.save()
        self.report(self.certificate)


def _design(design: DesignUnderProof) -> dict[str, Any]:
    network = design.network
    return {
        "task": design.run.spec.task,
        "run": design.run.directory.name,
        "part": design.part,
        "policy": digest(design.run.policy),
        "policy_hash": digest(design.run.policy)[:16],
        "core": {"part": design.part, "recipe": design.recipe, "netlist": digest(design.built / NETLIST)},
        "boards": _BOARDS,
        "statement": _statement(design),
        "input_type": {
            "features": network.features, "bits": network.input.bits, "signed": network.input.signed,
            "observations": 1 << (network.features * network.input.bits),
        },
    }


def _statement(design: DesignUnderProof) -> str:
    network, info = design.network, design.info
    if isinstance(info, RtlInfo):
        return _STATEMENT.format(cycles=info.cycles, decision=_decision(network))
    return _FOLDED_STATEMENT.format(
        features=info.features, due=info.cycles - info.features + 1, cycles=info.cycles, decision=_decision(network))


def _decision(network: IntegerNetwork) -> str:
    if not isinstance(network.output, Argmax):
        return f"the reference's {network.outputs} outputs, side by side,"
    groups = network.output.sizes(network.outputs)
    if groups == (network.outputs,) and network.outputs > 1:
        return "the argmax (ties to the lowest index) of the reference's logits"
    return (
        f"the argmax (ties to the lowest index) of each of the groups of {', '.join(map(str, groups))} of the "
        "reference's logits, where a single logit is held against 0,"
    )
