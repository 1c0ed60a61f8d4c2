"""The rules of the buses, proven of the shells by SAT: no run of so many clocks from power-up breaks one.

Every input is free in every clock, resets included. That a broken shell fails is shown by breaking it: ``MUTANTS`` has
the ways. ``make prove-shells``; ``python -m tools.shell_proofs CLOCKS BUS …`` for other depths, or some of the buses.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hls4rl.contract import Argmax, FixedPoint
from hls4rl.errors import ProjectError, ToolError
from hls4rl.firmware.shells.shell import BUSES, TOP, Shell, shell_of
from hls4rl.firmware.shells.write import write_shell
from hls4rl.hls_projects.fpga.yosys import run_yosys
from hls4rl.hls_projects.rtl.pipelined import write_rtl
from hls4rl.network import IntegerNetwork, Layer

CLOCKS = 16
"""Enough for the queue to fill up, and for each register to be written, read and reset in between."""
PROPERTIES = Path(__file__).with_name("shell_properties")
_FAILED = "Called with -verify and proof did fail"
CORE = IntegerNetwork(
    FixedPoint(2, 2), (Layer(np.array([[1, -1], [-1, 1]]), 1.0, np.array([0, 0]), 1.0, None),), Argmax((2,)),
)
"""What a solver sees through, with both actions (one that always answers the same would hide mixed-up answers): the
larger of two features. The shell is what is looked at."""


@dataclass(frozen=True)
class Mutant:
    """One way to break a shell."""

    rule: str
    """What it breaks."""
    file: str
    old: str
    new: str


MUTANTS = {
    "axis": (
        Mutant("stays", "shell_core", "assign out_valid = kept != fetched;",
               "assign out_valid = kept != fetched && !answered;"),
        Mutant("stable", "shell_core", "actions[fetched[DEPTH_BITS-1:0]];", "actions[kept[DEPTH_BITS-1:0] - 1'b1];"),
        Mutant("stable", "shell_core", "assign out_bad = bad[fetched", "assign out_bad = bad[ended"),
        Mutant("quiet_after_reset", "shell_core", "            kept <= 0;\n", ""),
        Mutant("one_answer_a_packet", "shell_core", "if (out_valid && out_ready) fetched", "if (out_ready) fetched"),
        Mutant("one_answer_a_packet", "shell_core", "if (answered && !quiet)", "if (!quiet)"),
        Mutant("last", "shell_axis", "m_axis_tlast = 1'b1", "m_axis_tlast = s_axis_tlast"),
    ),
    "axil": (
        Mutant("b_stays", "shell_axil", "(ends || (s_axi_bvalid && !s_axi_bready))", "ends"),
        Mutant("b_stable", "shell_axil", "if (ends) s_axi_bresp", "s_axi_bresp"),
        Mutant("r_stays", "shell_axil", "(answer || (s_axi_rvalid && !s_axi_rready))", "answer"),
        Mutant("r_stable", "shell_axil", "wire answer = asked && !s_axi_rvalid;", "wire answer = asked;"),
        Mutant("quiet_after_reset", "shell_axil", "s_axi_bvalid <= s_axi_aresetn && (", "s_axi_bvalid <= ("),
        Mutant("one_answer_a_write", "shell_axil", "(have_data ? !ends : s_axi_wvalid)",
               "(have_data || s_axi_wvalid)"),
        Mutant("one_answer_a_read", "shell_axil", "(asked ? !answer : s_axi_arvalid)", "(asked || s_axi_arvalid)"),
        Mutant("write_is_answered", "shell_axil", "both && (!good || done)", "both && good && done"),
        Mutant("read_is_answered", "shell_axil", "wire answer = asked && !s_axi_rvalid;",
               "wire answer = asked && there && !s_axi_rvalid;"),
        Mutant("never_okay_exclusive", "shell_axil", "OKAY = 2'b00", "OKAY = 2'b01"),
    ),
    "wishbone": (
        Mutant("only_to_a_request", "shell_wishbone", "ack_o = cyc_i && stb_i && done", "ack_o = done"),
        Mutant("asked_before", "shell_wishbone", "ack_o = cyc_i && stb_i && done && !failed",
               "ack_o = cyc_i && stb_i && !failed"),
        Mutant("one_answer_a_request", "shell_wishbone", "cyc_i && stb_i && !done;", "cyc_i && stb_i;"),
        Mutant("ack_or_err", "shell_wishbone", "err_o = cyc_i && stb_i && done && failed",
               "err_o = cyc_i && stb_i && done"),
        Mutant("quiet_after_reset", "shell_wishbone", "done <= ends && !rst_i;", "done <= ends;"),
        Mutant("is_answered", "shell_wishbone", "asked && (!we_i || !good || written)",
               "asked && good && (!we_i || written)"),
    ),
}


def holds(shell: Shell, clocks: int, folder: Path, mutant: Mutant | None = None) -> bool:
    """Whether no inputs break a rule of ``shell``'s bus in the first ``clocks``; files are left in ``folder``.

    Args:
        mutant: what is broken in the shell before; its rule alone is looked at then.

    Raises:
        ToolError: Yosys failed in another way.
        ValueError: the shell has not what ``mutant`` wants to break.
    """
    written = write_shell(shell, folder)
    if mutant is not None:
        file = folder / f"{mutant.file}.v"
        text = file.read_text(encoding="utf-8")
        if mutant.old not in text:
            raise ValueError(f"{mutant.file}.v has no {mutant.old!r}")
        file.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
    rules = _wrapped(shell, (folder / f"{TOP}.v").read_text(encoding="utf-8"), mutant)
    (folder / "properties.v").write_text(rules, encoding="utf-8")
    log = folder / "proof.log"
    commands = [
        f"read_verilog -defer {' '.join(written['verilog'])}", "read_verilog -formal properties.v",
        "hierarchy -top properties", "proc", "flatten", "memory -nomap", "memory_map", "opt -full", "chformal -lower",
        "opt_clean", f"sat -verify -prove-asserts -seq {clocks} -show-ports",
    ]
    try:
        run_yosys(commands, folder, log)
    except ToolError as error:
        if _FAILED not in str(error):
            raise
        return False
    return True


def _wrapped(shell: Shell, top: str, mutant: Mutant | None) -> str:
    """The module ``properties``: the shell with all its inputs free, and the rules of its bus."""
    ports = re.findall(r"(input|output) +(?:wire|reg) +(\[[^\]]+\])? *(\w+)", top)
    inputs = [f"    input wire {width} {name}" for way, width, name in ports if way == "input"]
    outputs = [f"    wire {width} {name};" for way, width, name in ports if way == "output"]
    pins = ", ".join(f".{name}({name})" for _, _, name in ports)
    lines = (PROPERTIES / f"{shell.bus}.v").read_text(encoding="utf-8").splitlines()
    if mutant is not None:
        lines = [line for line in lines if ": assert (" not in line or f" {mutant.rule}: assert (" in line]
    return "\n".join([
        "module properties (", ",\n".join(inputs), ");", f"    localparam OUT_BITS = {shell.out_bits};", *outputs,
        f"    {TOP} shell ({pins});", *lines, "endmodule", "",
    ])


def main() -> None:
    """Prove the shells, break them, and exit with 1 where a proof fails, or succeeds on what is broken."""
    clocks = int(sys.argv[1]) if len(sys.argv) > 1 else CLOCKS
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        rtl = Path(place) / "core"
        rtl.mkdir()
        write_rtl(CORE, rtl, 1)
        for bus in sys.argv[2:] or BUSES:
            shell = shell_of(rtl, bus, 0x0123456789ABCDEF)
            for mutant in (None, *MUTANTS[bus]):
                with tempfile.TemporaryDirectory() as folder:
                    start = time.perf_counter()
                    proven = holds(shell, clocks, Path(folder), mutant)
                right = proven == (mutant is None)
                wrong += not right
                what = "all rules" if mutant is None else f"broken, {mutant.rule}"
                verdict = f"proven for {clocks} clocks" if proven else "refuted"
                seconds = time.perf_counter() - start
                print(f"{bus:8} {what:32} {verdict}, {seconds:.1f} s{'' if right else '  WRONG'}", flush=True)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    try:
        main()
    except ProjectError as failure:
        sys.exit(f"error: {failure}")
