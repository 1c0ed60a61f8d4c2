"""Takes registers into the ECP5's block RAMs.

Yosys leaves a memory's second register in flip-flops. In the block RAM it costs nothing, and the slow way to the
memory's output (5.6 ns) is no longer followed by a way through the part's wires.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hls4rl.hls_projects.fpga.read_only import BLOCK_RAM, is_wide, outputs_of, ports_of

_FLIP_FLOP = "TRELLIS_FF"
_PLAIN = {"CEMUX": "1", "LSRMUX": "LSR", "GSR": "DISABLED", "CLKMUX": "CLK", "REGSET": "RESET"}
"""Parameters of a flip-flop that does nothing but delay; absent ones are these. Yosys ends some with a space."""


def take_output_registers(netlist: Path, top: str) -> int:
    """Move flip-flops behind block RAM outputs into the block RAMs of ``netlist`` (Yosys' JSON, changed in place).

    A port's register moves if each output in use drives nothing but the data input of one flip-flop without
    enable and reset, on the port's own clock.

    Returns:
        Number of flip-flops that moved.
    """
    design = json.loads(netlist.read_text(encoding="utf-8"))
    module = design["modules"][top]
    cells = module["cells"]
    users = _users(module)
    moved = 0
    for cell in [cell for cell in cells.values() if cell["type"] == BLOCK_RAM]:
        if is_wide(cell):
            continue  # Yosys ties the register enable of one half to 0, and no document says which one counts
        for port in ports_of(cell):
            pins = cell["connections"]
            used = [pin for pin, _ in outputs_of(cell, port) if pins.get(pin) and users.get(pins[pin][0])]
            registers = [_register(users[pins[pin][0]], cells, pins[f"CLK{port}"]) for pin in used]
            if not registers or None in registers:
                continue
            for pin, register in zip(used, registers, strict=True):
                pins[pin] = cells.pop(register)["connections"]["Q"]
            cell["parameters"][f"REGMODE_{port}"] = "OUTREG"
            moved += len(registers)
    netlist.write_text(json.dumps(design), encoding="utf-8")
    return moved


def _users(module: dict[str, Any]) -> dict[Any, list[tuple[str, str]]]:
    """Of each net the cell inputs (cell, pin) and output ports ("", port) that read it."""
    users: dict[Any, list[tuple[str, str]]] = {}
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] == "input":
                for bit in bits:
                    users.setdefault(bit, []).append((name, pin))
    for name, port in module["ports"].items():
        if port["direction"] == "output":
            for bit in port["bits"]:
                users.setdefault(bit, []).append(("", name))
    return users


def _register(users: list[tuple[str, str]], cells: dict[str, Any], clock: list[Any]) -> str | None:
    """The one flip-flop that ``users`` are, if it does nothing but delay."""
    name, pin = users[0]
    if len(users) != 1 or pin != "DI" or name not in cells or cells[name]["type"] != _FLIP_FLOP:
        return None
    parameters, pins = cells[name]["parameters"], cells[name]["connections"]
    plain = all(parameters.get(key, value).strip() == value for key, value in _PLAIN.items())
    return name if plain and pins["CLK"] == clock and (pins.get("LSR") or ["0"]) == ["0"] else None
