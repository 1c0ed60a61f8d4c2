from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hls4rl.firmware.design import VERILOG as LINK
from hls4rl.firmware.shells.shell import BUSES, VERILOG, shell_of
from hls4rl.hls_projects.rtl import pipelined
from tools.shell_proofs import CORE, MUTANTS, PROPERTIES, holds

# IEEE 1800: what a tool that takes our Verilog for SystemVerilog would not have as a name.
KEYWORDS = set(re.findall(r"\w+", """
accept_on alias always_comb always_ff always_latch assert assume before bind bins binsof bit break byte chandle
checker class clocking const constraint context continue cover covergroup coverpoint cross dist do enum eventually
expect export extends extern final first_match foreach forkjoin global iff ignore_bins illegal_bins implements
implies import inside int interconnect interface intersect join_any join_none let local logic longint matches
modport nettype new nexttime null package packed priority program property protected pure rand randc randcase
randsequence ref reject_on restrict return s_always s_eventually s_nexttime s_until s_until_with sequence shortint
shortreal soft solve static string strong struct super sync_accept_on sync_reject_on tagged this throughout
timeprecision timeunit type typedef union unique unique0 until until_with untyped var virtual void wait_order weak
wildcard with within
"""))


def test_the_rules_of_wishbone_hold_and_a_broken_shell_breaks_them(tmp_path: Path) -> None:
    pipelined.write_rtl(CORE, tmp_path, 1)
    shell = shell_of(tmp_path, "wishbone", 0)
    mutant = next(item for item in MUTANTS["wishbone"] if item.rule == "one_answer_a_request")
    for broken in (None, mutant):
        folder = tmp_path / str(broken is None)
        folder.mkdir()
        assert holds(shell, 5, folder, broken) == (broken is None)
    with pytest.raises(ValueError, match=r"shell_wishbone\.v has no 'no such line'"):
        holds(shell, 5, folder, replace(mutant, old="no such line"))


def test_each_rule_has_a_mutant_that_fits_the_shells() -> None:
    for bus in BUSES:
        rules = set(re.findall(r"(\w+): assert \(", (PROPERTIES / f"{bus}.v").read_text(encoding="utf-8")))
        assert {item.rule for item in MUTANTS[bus]} == rules
        for item in MUTANTS[bus]:
            assert item.old in (VERILOG / f"{item.file}.v").read_text(encoding="utf-8")
    seen = np.array([[low, high] for low in range(-2, 2) for high in range(-2, 2)])
    assert set(CORE.act(seen)[:, 0].tolist()) == {0, 1}, "a core that always answers the same hides mixed-up answers"


def test_no_name_in_our_verilog_is_a_keyword_of_systemverilog() -> None:
    files = [*VERILOG.glob("*.v"), *LINK.glob("*.v"), *Path(pipelined.__file__).parent.glob("*.v")]
    assert len(files) > 10
    for file in files:
        text = re.sub(r"//[^\n]*|/\*.*?\*/|\"[^\"]*\"", "", file.read_text(encoding="utf-8"), flags=re.S)
        assert not set(re.findall(r"(?<![\w$\\`])[a-z]\w*", text)) & KEYWORDS, file.name
