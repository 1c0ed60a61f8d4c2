"""Writes a shell's folder: the top module and all that it needs, a C header, a LiteX module, a description."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from hls4rl.artefact import write_json
from hls4rl.firmware.shells.shell import TOP, Shell

HEADER, LITEX, INFO = "policy.h", "policy_litex.py", "shell.json"
_TEMPLATES = Path(__file__).resolve().parent / "templates"
_PORTS = {
    "axis": (
        "input  wire aclk", "input  wire aresetn", "input  wire s_axis_tvalid", "output wire s_axis_tready",
        "input  wire [{in_high}:0] s_axis_tdata", "input  wire s_axis_tlast", "output wire m_axis_tvalid",
        "input  wire m_axis_tready", "output wire [{out_high}:0] m_axis_tdata", "output wire m_axis_tlast",
        "output wire m_axis_tuser",
    ),
    "axil": (
        "input  wire s_axi_aclk", "input  wire s_axi_aresetn", "input  wire s_axi_awvalid",
        "output wire s_axi_awready", "input  wire [{byte_high}:0] s_axi_awaddr", "input  wire [2:0] s_axi_awprot",
        "input  wire s_axi_wvalid", "output wire s_axi_wready", "input  wire [31:0] s_axi_wdata",
        "input  wire [3:0] s_axi_wstrb", "output wire s_axi_bvalid", "input  wire s_axi_bready",
        "output wire [1:0] s_axi_bresp", "input  wire s_axi_arvalid", "output wire s_axi_arready",
        "input  wire [{byte_high}:0] s_axi_araddr", "input  wire [2:0] s_axi_arprot", "output wire s_axi_rvalid",
        "input  wire s_axi_rready", "output wire [31:0] s_axi_rdata", "output wire [1:0] s_axi_rresp",
        "output wire irq",
    ),
    "wishbone": (
        "input  wire clk_i", "input  wire rst_i", "input  wire cyc_i", "input  wire stb_i", "input  wire we_i",
        "input  wire [{word_high}:0] adr_i", "input  wire [3:0] sel_i", "input  wire [31:0] dat_i",
        "output wire [31:0] dat_o", "output wire ack_o", "output wire err_o", "output wire irq",
    ),
}
REGISTERS = {
    "ID": (0x00, "read", "0x34534c48: \"HLS4\", lowest byte first"),
    "SHAPE": (0x04, "read", "features (bits 15-0), bits of one (23-16), features of a write to OBSERVATION (31-24)"),
    "ANSWER": (0x08, "read", "integers of an action (bits 7-0), bits of a feature's lane in OBSERVATION (15-8)"),
    "HASH_LOW": (0x0C, "read", "of the policy: first 64 bits of its file's SHA-256"),
    "HASH_HIGH": (0x10, "read", "its upper half"),
    "CONTROL": (0x14, "read, write", "bit 0: interrupt while there is an answer; bit 1, reads 0: forget everything"),
    "STATUS": (0x18, "read, write", "bit 0 READY: an observation may begin; bit 1 ANSWERED: ACTION is an answer; "
                                    "bit 2 OVERRUN: one was begun without READY, write 1 to go on; bit 3: begun"),
    "COUNT": (0x1C, "read", "answers fetched since the reset of the bus"),
    "OBSERVATION": (0x20, "write", "the next features, each in a lane of its own, the first one lowest"),
    "NEXT": (0x24, "write", "any value: ACTION has been read, the next answer may come"),
    "ACTION": (0x40, "read", "the first integer of the action, extended by its sign if it has one; more follow"),
}
"""Byte offset, access and meaning of each register."""


def write_shell(shell: Shell, directory: Path) -> dict[str, Any]:
    """Write the shell to ``directory``; same input, same bytes.

    Returns:
        The content of ``shell.json``: what it is, its files, its registers.
    """
    (directory / f"{TOP}.v").write_text(top_verilog(shell), encoding="utf-8")
    for path in (*shell.sources, shell.core, *shell.memories):
        shutil.copyfile(path, directory / path.name)
    made = [f"{TOP}.v", *(path.name for path in shell.sources), shell.core.name]
    if shell.bus != "axis":
        (directory / HEADER).write_text(header(shell), encoding="utf-8")
    if shell.bus == "wishbone":
        (directory / LITEX).write_text(_filled("policy_litex.py.txt", shell), encoding="utf-8")
    described = {key: value for key, value in asdict(shell).items() if key not in ("core", "memories")}
    result = {
        **described, "policy_hash": f"{shell.policy_hash:016x}", "top": TOP, "verilog": made,
        "memories": [path.name for path in shell.memories], "parameters": shell.parameters,
        "observation_beats": shell.observation_beats,
        "registers": {} if shell.bus == "axis" else {name: list(item) for name, item in REGISTERS.items()},
    }
    write_json(directory / INFO, result)
    return result


def top_verilog(shell: Shell) -> str:
    """The module ``policy``: the shell with this core's numbers."""
    high = {"in_high": shell.in_bits - 1, "out_high": shell.out_bits - 1, "byte_high": shell.address_bits + 1,
            "word_high": shell.address_bits - 1}
    ports = [port.format(**high) for port in _PORTS[shell.bus]]
    names = [port.split()[-1] for port in ports]
    settings = ",\n".join(f"        .{name}({value})" for name, value in shell.parameters.items())
    return "\n".join([
        f"// Generated: policy {shell.policy_hash:016x} on {shell.bus}; docs/shells.md of hls4rl has its signals.",
        f"module {TOP} (", ",\n".join(f"    {port}" for port in ports), ");",
        f"    shell_{shell.bus} #(", settings, "    ) shell (",
        ",\n".join(f"        .{name}({name})" for name in names), "    );", "endmodule", "",
    ])


def header(shell: Shell) -> str:
    """The C header: offsets, and functions that no answer can hang."""
    return _filled("policy.h.txt", shell)


def _filled(template: str, shell: Shell) -> str:
    offsets = "\n".join(
        f"#define POLICY_{name} 0x{offset:02X}u /* {access}: {meaning} */"
        for name, (offset, access, meaning) in REGISTERS.items()
    )
    return Template((_TEMPLATES / template).read_text(encoding="utf-8")).substitute(
        offsets=offsets, features=shell.features, bits=shell.feature_bits, actions=len(shell.action_widths),
        lanes=shell.lanes, lane_bits=shell.lane_bits, beats=shell.observation_beats, word_beats=shell.beats,
        word_features=shell.word_features, low=f"0x{shell.policy_hash & 0xffffffff:08x}",
        high=f"0x{shell.policy_hash >> 32:08x}", address_bits=shell.address_bits, size=4 << shell.address_bits,
        sources=", ".join(f'"{name}.v"' for name in (TOP, *(p.stem for p in shell.sources), shell.core.stem)),
        memories="".join(f'"{path.name}", ' for path in shell.memories),
    )
