"""From a design and a board to a bitstream: Yosys, nextpnr and the part's packer, with the timing checked."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.firmware.boards import Board
from hls4rl.firmware.design import Design
from hls4rl.firmware.families import FAMILIES, Family
from hls4rl.hls_projects.fpga.yosys import quoted, run_yosys
from hls4rl.processes import run
from hls4rl.stage import write_json

REPORT = "bitstream.json"
ATTEMPTS = 5
"""Placement seeds that are tried until the timing is met."""


def build_bitstream(design: Design, board: Board, directory: Path) -> dict[str, Any]:
    """Write the bitstream of ``design`` on ``board``, and :data:`REPORT`, to ``directory``.

    Returns:
        The report: board, part's options, clock_mhz, fmax_mhz, seed, baud, clocks_per_bit, utilization
        ({cell: [used, available]}), policy_hash, bitstream (file name) and load (the command).

    Raises:
        ProjectError: the design doesn't fit the part, or misses the board's clock with every seed.
    """
    family = FAMILIES[board.family]
    button = board.pins.get("button")
    (directory / "board.v").write_text(design.top(
        board.clocks_per_bit, board.pins["led"].active_low, button is not None,
        button is not None and button.active_low,
    ), encoding="utf-8")
    (directory / family.pins).write_text(
        "".join(family.pin(signal, pin) for signal, pin in board.pins.items()), encoding="utf-8"
    )
    _synthesise(design, family, directory)
    seed, report = _place(board, family, directory)
    _tool([family.pack, *board.packer, *family.pack_files], directory)
    result = {
        "board": board.name, "title": board.title, "device": list(board.device), "clock_mhz": board.clock_mhz,
        "fmax_mhz": round(_fmax(report), 2), "seed": seed, "baud": board.baud, "clocks_per_bit": board.clocks_per_bit,
        "utilization": {
            name: [item["used"], item["available"]] for name, item in report["utilization"].items() if item["used"]
        },
        "policy_hash": f"{design.policy_hash:016x}", "bitstream": family.bitstream,
        "load": f"openFPGALoader -b {board.loader} {family.bitstream}",
    }
    write_json(directory / REPORT, result)
    return result


def _synthesise(design: Design, family: Family, directory: Path) -> None:
    design.copy_memories(directory)
    sources = " ".join(quoted(path) for path in (directory / "board.v", *design.sources))
    run_yosys(
        [f"read_verilog -defer {sources}", f"{family.synthesise} -top board -json board.json"], directory,
        directory / "yosys.log",
    )


def _place(board: Board, family: Family, directory: Path) -> tuple[int, dict[str, Any]]:
    fastest = 0.0
    for seed in range(1, ATTEMPTS + 1):
        _tool([
            family.place, *board.device, *family.files, "--json", "board.json", "--freq", f"{board.clock_mhz:g}",
            "--seed", str(seed), "--timing-allow-fail", "--report", "report.json", "--log", "nextpnr.log", "--quiet",
        ], directory)
        report: dict[str, Any] = json.loads((directory / "report.json").read_text(encoding="utf-8"))
        fastest = max(fastest, _fmax(report))
        if _fmax(report) >= board.clock_mhz:
            return seed, report
    raise ProjectError(
        f"board {board.name}: the design reaches {fastest:.1f} MHz, the board's clock is {board.clock_mhz:g} MHz; "
        "build the policy for a higher CLOCK_MHZ (more pipeline stages) or take a smaller one"
    )


def _fmax(report: dict[str, Any]) -> float:
    # The design has one clock; nextpnr names it after its net.
    return min(float(item["achieved"]) for item in report["fmax"].values())


def _tool(command: list[str], directory: Path) -> None:
    # YoWASP's tools see the working directory under its own name only: all paths are relative to it.
    program = Path(sysconfig.get_path("scripts")) / command[0]
    done = run([program, *command[1:]], directory)
    if done.returncode:
        lines = [line for line in (done.stderr + done.stdout).splitlines() if "ERROR" in line]
        reason = lines[0].strip() if lines else done.stderr.strip()[-300:] or f"status {done.returncode}"
        raise ProjectError(
            f"{command[0]} failed: {reason}; if the design is too large for the part, take a smaller policy or "
            "a larger board"
        )
