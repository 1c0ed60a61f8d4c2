"""Proves by induction what a folded core's sequencer never does, whatever is offered and fetched, on every clock.

The layer program is left open: any word may come that keeps what :func:`prove_sequencer` checks of the real ones.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.yosys import run_yosys
from hls4rl.hls_projects.rtl.folded import SOURCE, sequencer_parameters
from hls4rl.network import IntegerNetwork

INVARIANTS = {
    "it loads, waits or runs, one at a time": "loading + loaded + running == 2'd1",
    "while it runs, inputs are read in the first steps of a period and in no others":
        "!running || issuing == (step <= steps)",
    "a group is over with the last clock of its period, and not before":
        "group_over == (running && {1'b0, step} == end_of_period)",
    "no period goes on for ever": "!running || {1'b0, step} <= end_of_period",
    "no word of the program is carried out more often than it says": "!running || repeated <= repeats",
    "the steps of a group fit its period": "!running || ({1'b0, steps} <= end_of_period && !(&period))",
    "nothing starts before the former answer was fetched": "!start || !pending",
    "while it runs, an answer is under way": "!running || pending",
    "nothing is read but while it runs": "running || !issue",
    "no feature is taken beyond the last": "!loading || place < FEATURES",
    "observations go into the first half of the memory": "!(loading || loaded) || !half",
}
"""In words and in Verilog; all are proven together."""
_ASSUMED = (
    "{1'b0, next[STEP_BITS-1:0]} <= next[STEP_BITS +: STEP_BITS] + 1'd1 && !(&next[STEP_BITS +: STEP_BITS])",
    "!store || running",  # results come back within the period of their layer's last group
    "!fetched || (pending && !running)",  # and the answer after it
)
_SECONDS = 120


def prove_sequencer(network: IntegerNetwork, units: int, replaced: tuple[str, str] | None = None) -> None:
    """Prove :data:`INVARIANTS` of the sequencer of ``network`` on ``units`` units, from reset, for all time.

    Args:
        replaced: a piece of the Verilog and what to put there: a fault, to see whether it is found.

    Raises:
        ProjectError: they don't hold, or the program has a word that the proof doesn't cover.
    """
    parameters, program = sequencer_parameters(network, units)
    for entry in program:
        if entry.steps > entry.period - 1 or entry.period > (1 << parameters["STEP_BITS"]):
            raise ProjectError(f"the layer program has a word whose steps do not fit its period: {entry}")
    text = SOURCE.read_text(encoding="utf-8")
    found = re.search(r"^module folded_sequencer .*?^endmodule\n", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    source = _opened(found[0])
    if replaced is not None:
        if replaced[0] not in source:
            raise ValueError(f"no {replaced[0]!r} in the sequencer")
        source = source.replace(*replaced)
    settings = " ".join(f"-set {name} {value}" for name, value in parameters.items())
    with tempfile.TemporaryDirectory(prefix="hls4rl-sequencer-") as folder:
        place = Path(folder)
        (place / "sequencer.v").write_text(source, encoding="utf-8")
        try:
            run_yosys([
                "read_verilog -sv -formal sequencer.v", f"chparam {settings} folded_sequencer",
                "hierarchy -top folded_sequencer", "proc", "opt", "async2sync", "chformal -lower", "opt_clean",
                f"sat -verify -tempinduct -prove-asserts -set-assumes -seq 0 -maxsteps 4 -timeout {_SECONDS}",
            ], place, place / "log")
        except ProjectError as error:
            raise ProjectError(
                f"the sequencer's invariants are not proven ({error}); this is a bug in hls4rl: please report it"
            ) from error


def _opened(source: str) -> str:
    """The module with any word in place of its program's, and with the invariants."""
    lines = [line for line in source.splitlines() if "content [" not in line and "$readmemh" not in line]
    source = "\n".join(lines).replace("next <= content[address]", "next <= any_word").replace(
        "    input wire restart,\n",
        "    input wire restart,\n    input wire [2+BOOK_BITS+REPEAT_BITS+2*STEP_BITS-1:0] any_word,\n",
    )
    claims = [f"assume ({claim});" for claim in _ASSUMED] + [f"assert ({claim});" for claim in INVARIANTS.values()]
    end = "    wire [STEP_BITS:0] end_of_period = period + 2'd1;"
    body = "\n".join([end, "    always @* begin", *claims, "    end"])
    return source.replace("endmodule", f"{body}\nendmodule\n")
