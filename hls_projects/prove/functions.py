"""From the files of a core to the function of an observation that it computes, whichever kind of core it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hls4rl.hls_projects.fpga.yosys import netlist_commands, verilog_commands
from hls4rl.hls_projects.prove.folded import folded_function
from hls4rl.hls_projects.prove.folded_stream import folded_counterexample
from hls4rl.hls_projects.prove.logic import Logic, without_registers
from hls4rl.hls_projects.prove.stream import stream_counterexample
from hls4rl.hls_projects.rtl.folded import FoldedInfo
from hls4rl.hls_projects.rtl.pipelined import CORE, RtlInfo
from hls4rl.hls_projects.simulation.folded import memory_commands
from hls4rl.hls_projects.simulation.gates import Circuit, elaborate
from hls4rl.network import IntegerNetwork

Info = RtlInfo | FoldedInfo


def netlist_circuit(netlist: Path, models: str, info: Info, result: Path) -> Circuit:
    """A netlist (JSON of Yosys) as gates, which are left in the file ``result``.

    Args:
        models: Yosys' models of the part's cells.

    Raises:
        RuntimeError, ToolError: it has something that isn't understood.
    """
    folded = isinstance(info, FoldedInfo)
    elaborate((memory_commands if folded else netlist_commands)(netlist, models), CORE, result, roms=folded)
    return Circuit.load(result)


def rtl_circuit(source: Path, info: Info, result: Path) -> Circuit:
    """Verilog, whose module is named as its file, as gates, which are left in the file ``result``.

    Raises:
        RuntimeError, ToolError: it has something that isn't understood.
    """
    elaborate(verilog_commands([source]), source.stem, result, roms=isinstance(info, FoldedInfo))
    return Circuit.load(result)


def function_of(circuit: Circuit, info: Info, outputs: Sequence[str], deadline: float = float("inf")) -> Logic:
    """The function that a core's answers are of their observations.

    Args:
        outputs: ``action``, and ``logits`` where the core shows them.
        deadline: in units of :func:`time.monotonic`.

    Raises:
        NotAFunctionError: it is not shown that they are.
    """
    if isinstance(info, FoldedInfo):
        return folded_function(circuit, info, outputs, deadline)
    return without_registers(circuit, info.cycles, outputs)


def found_wrong(circuit: Circuit, network: IntegerNetwork, info: Info) -> dict[str, Any] | None:
    """An observation to which the core gives a wrong answer, or none, in random streams of them; None if there is
    none."""
    if isinstance(info, FoldedInfo):
        return folded_counterexample(circuit, network, info)
    return stream_counterexample(circuit, network, info)
