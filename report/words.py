"""What figures mean, in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

ENERGY_ASSUMPTIONS = (
    "An estimate from counted operations, not a measurement.",
    "Energy of one integer or float operation and of one memory access by Table I of the paper (45 nm class).",
    "Arithmetic at the widths that meet in each adder and multiplier, rounded up to those of the table: 8, 16 or 32 "
    "bits. Clock, registers, wires, leakage and pins are left out.",
    "The accelerator's weights are constants in the logic, so that nothing is fetched. What fetching them would cost "
    "stands beside it, for the policy and for the same network in float32 (one multiplication and one addition for "
    "each weight): each parameter read once, packed in words of 32 bits; block RAM is priced as the table's SRAM.",
)

FLOWS = {
    "open": "placed and routed by nextpnr: cells of the part that the bitstream uses; Fmax is the median of the seeds",
    "estimate": "Vitis HLS's guess from the C++: before logic synthesis, often above the truth; Fmax from its "
                "estimated clock period",
    "logic": "after Vivado's logic synthesis: counts of real cells, before placement; clock and cycles still from HLS",
}


def number_formats(contract: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One line of each tensor's type in a number contract (:meth:`hls4rl.contract.Contract.to_json`)."""
    named = [("observation", contract["observation"])]
    last = len(contract["layers"]) - 1
    for index, layer in enumerate(contract["layers"]):
        place = "output" if index == last else "hidden" if last == 1 else f"hidden {index + 1}"
        named += [(f"{place} {kind}", layer[kind]) for kind in ("weight", "bias", "activation") if layer[kind]]
    return [number_format(name, kind) for name, kind in named]


def number_format(name: str, kind: Mapping[str, Any]) -> dict[str, Any]:
    """One line of the number contract: tensor, type, bits, unit, least and greatest value."""
    if kind["type"] == "Table":
        line = number_format(name, kind["output"] | {"type": "FixedPoint"})
        return line | {"type": f"table of {len(kind['values'])} {line['type']}"}
    label = name.replace("_", " ")
    if kind["type"] == "Sign":
        return {"tensor": label, "type": "sign", "bits": 1, "unit": 1.0, "least": -1.0, "greatest": 1.0}
    if kind["type"] == "Binary":
        scale = kind["scale"]
        return {"tensor": label, "type": f"±{scale:g}", "bits": 1, "unit": scale, "least": -scale, "greatest": scale}
    bits, whole, signed = kind["bits"], kind["integer_bits"], kind["signed"]
    unit = 2.0 ** (whole - bits)
    least = -(2 ** (bits - 1)) * unit if signed else 0.0
    greatest = (2 ** (bits - signed) - 1) * unit
    name = f"ap_{'' if signed else 'u'}fixed<{bits},{whole}>"
    return {"tensor": label, "type": name, "bits": bits, "unit": unit, "least": least, "greatest": greatest}


def critical_path(steps: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The longest way between two registers: its segments in ns, and one sentence or two; None where none is known."""
    if not steps:
        return None
    total = _sum(steps, None)
    logic, routing = _sum(steps, "logic"), _sum(steps, "routing")
    cells = [step for step in steps if step["kind"] == "logic"]
    wires = [step for step in steps if step["kind"] == "routing"]
    first, last = register_name(steps[0]["cell"]), register_name(steps[-1]["cell"])
    longest = max(wires, key=lambda step: float(step["delay_ns"]), default=None)
    text = (
        f"A signal leaves {first}, passes {_count(len(cells), 'logic cell')} and {_count(len(wires), 'wire')}, and "
        f"must reach {last} within one clock: {total:.2f} ns. Cells take {logic:.2f} ns, wires {routing:.2f} ns "
        f"({100 * routing / total:.0f} %), the registers the rest."
    )
    if longest is not None:
        text += f" The slowest wire alone takes {longest['delay_ns']:.2f} ns."
    text += " " + _advice(routing / total, len(cells))
    return {
        "from": first, "to": last, "total_ns": total, "logic_ns": logic, "routing_ns": routing,
        "register_ns": round(total - logic - routing, 3), "cells": len(cells), "wires": len(wires), "words": text,
        "steps": [{"kind": step["kind"], "delay_ns": step["delay_ns"]} for step in steps],
    }


def register_name(cell: str) -> str:
    """A netlist's name of a register, as people would say it."""
    # The netlist names a register after the logic that it feeds: stage1_inp, _inst_logic1.op_27.in0, …
    if "model_out" in cell:
        return "the action's register"
    if "model_inp" in cell:
        return "an input's register"
    stage = re.search(r"stage(\d+)_inp|_inst_logic(\d+)\b", cell)
    if stage:
        number = int(stage[1] or stage[2])
        return f"a register before pipeline stage {number + 1}" if number else "an input's register"
    return "register " + re.sub(r"_(TRELLIS_FF|SB_DFF\w*)_.*", "", cell).removeprefix("pipeline.")


def _advice(share: float, cells: int) -> str:
    if share > 0.5:
        return "Wires dominate, as in most cores this small: each level of logic that goes takes its wire along."
    return f"Cells dominate: fewer bits, or one more pipeline stage among the {cells} levels, gain most."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _sum(steps: Sequence[Mapping[str, Any]], kind: str | None) -> float:
    return round(sum(float(step["delay_ns"]) for step in steps if kind in (None, step["kind"])), 3)
