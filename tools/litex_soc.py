"""A LiteX system around a policy: a RISC-V processor, its program, and the policy on the Wishbone bus.

Run by an interpreter that has LiteX (``python litex_soc.py SHELL-FOLDER RESULT-FOLDER GCC``); it imports nothing of
hls4rl. What is outside the system, an environment, talks to a mailbox: an observation and a number come in, the action
and that number go out.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from litex.build.generic_platform import Pins, Subsignal
from litex.build.sim import SimPlatform
from litex.gen import LiteXModule
from litex.soc.integration.export import get_csr_header, get_mem_header
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect.csr import CSRStatus, CSRStorage
from migen import Case, ClockDomain

CPU = "picorv32"
_ROM, _RAM = 0x4000, 0x1000
_PROGRAM = """
#include "generated/mem.h"
#include "generated/csr.h"
#include "policy.h"

int main(void) {
    int16_t observation[POLICY_FEATURES];
    int32_t action[POLICY_ACTIONS];
    uint32_t done = 0;
    mailbox_fault_write(policy_check((void *)POLICY_BASE) ? 1 : 0);
    policy_reset((void *)POLICY_BASE, 0);
    for (;;) {
        uint32_t asked = mailbox_asked_read();
        if (asked == done) continue;
        for (uint32_t i = 0; i < POLICY_FEATURES; i++) {
            mailbox_index_write(i);
            observation[i] = (int16_t)mailbox_feature_read();
        }
        if (policy_infer((void *)POLICY_BASE, observation, action, 1000)) mailbox_fault_write(2);
        mailbox_action_write((uint32_t)action[0]);
        mailbox_answered_write(done = asked);
    }
}
"""
_START = ".section .text.start\n.global _start\n_start:\n    la sp, _stack\n    call main\n1:  j 1b\n"


class Mailbox(LiteXModule):  # type: ignore[misc]
    """What the environment and the program say to each other."""

    def __init__(self, pads: Any, features: int) -> None:
        self.asked = CSRStatus(32)
        self.feature = CSRStatus(32)
        self.index = CSRStorage(8)
        self.action = CSRStorage(32)
        self.answered = CSRStorage(32)
        self.fault = CSRStorage(8)
        cases = {
            index: self.feature.status.eq(pads.observation[16 * index:16 * index + 16]) for index in range(features)
        }

        self.comb += [
            self.asked.status.eq(pads.asked), Case(self.index.storage, cases), pads.action.eq(self.action.storage),
            pads.answered.eq(self.answered.storage), pads.fault.eq(self.fault.storage),
        ]


class Clocks(LiteXModule):  # type: ignore[misc]
    """One clock, and a reset from outside."""

    def __init__(self, platform: Any) -> None:
        self.cd_sys = ClockDomain()
        self.comb += [self.cd_sys.clk.eq(platform.request("sys_clk")), self.cd_sys.rst.eq(platform.request("sys_rst"))]


def system(shell: Path, features: int, program: list[int]) -> Any:
    """The system, with ``program`` in its memory."""

    pads = ("mailbox", 0, Subsignal("observation", Pins(16 * features)), Subsignal("asked", Pins(32)),
            Subsignal("action", Pins(32)), Subsignal("answered", Pins(32)), Subsignal("fault", Pins(8)))
    platform = SimPlatform("SIM", [("sys_clk", 0, Pins(1)), ("sys_rst", 0, Pins(1)), pads])
    soc = SoCCore(
        platform, 1_000_000, cpu_type=CPU, integrated_rom_size=_ROM, integrated_rom_init=program,
        integrated_sram_size=_RAM, with_uart=False, with_timer=False, with_ctrl=False, ident="", ident_version=False,
    )
    soc.crg = Clocks(platform)
    soc.mailbox = Mailbox(platform.request("mailbox"), features)
    sys.path.insert(0, str(shell))
    from policy_litex import add_policy

    add_policy(soc, name="policy", origin=0x90000000)
    return soc


def compiled(soc: Any, shell: Path, folder: Path, gcc: str) -> list[int]:
    """The words of the program, for the addresses that LiteX chose."""
    constants, regions, ram = soc.constants, soc.csr_regions, soc.mem_regions["sram"].origin
    (folder / "generated").mkdir(exist_ok=True)
    header = get_csr_header(regions, constants, soc.mem_map.get("csr"), with_access_functions=True)
    (folder / "generated" / "csr.h").write_text(header)
    (folder / "generated" / "mem.h").write_text(get_mem_header(soc.mem_regions))
    (folder / "main.c").write_text(_PROGRAM)
    (folder / "start.S").write_text(_START)
    (folder / "link.ld").write_text(
        f"MEMORY {{ rom : ORIGIN = 0, LENGTH = {_ROM} ram : ORIGIN = {ram}, LENGTH = {_RAM} }}\n"
        "SECTIONS { .text : { *(.text.start) *(.text*) *(.rodata*) *(.srodata*) } > rom\n"
        f".data : {{ *(.data*) *(.sdata*) *(.bss*) *(.sbss*) }} > ram\n_stack = {ram} + {_RAM}; }}\n"
    )
    (folder / "hw").mkdir(exist_ok=True)
    (folder / "hw" / "common.h").write_text(
        "#include <stdint.h>\n"
        "static inline void csr_write_simple(unsigned long v, unsigned long a) { *(volatile uint32_t *)a = v; }\n"
        "static inline unsigned long csr_read_simple(unsigned long a) { return *(volatile uint32_t *)a; }\n"
    )
    (folder / "generated" / "soc.h").write_text("")
    (folder / "system.h").write_text("")
    subprocess.run([
        gcc, "-march=rv32i", "-mabi=ilp32", "-Os", "-nostdlib", "-nostartfiles", "-ffreestanding", "-fno-builtin",
        "-I.", f"-I{shell}", "-T", "link.ld", "start.S", "main.c", "-lgcc", "-o", "program.elf",
    ], cwd=folder, check=True)
    objcopy = gcc.removesuffix("gcc") + "objcopy"
    subprocess.run([objcopy, "-O", "binary", "program.elf", "program.bin"], cwd=folder, check=True)
    data = (folder / "program.bin").read_bytes()
    data += bytes(-len(data) % 4)
    return [int.from_bytes(data[at:at + 4], "little") for at in range(0, len(data), 4)]


def main() -> None:
    """Write the system's Verilog, and the names of all that it is made of as ``soc.json``."""
    shell, folder, gcc = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3]
    features = json.loads((shell / "shell.json").read_text())["features"]
    folder.mkdir(parents=True, exist_ok=True)
    program = [0]
    for _ in range(2):  # first for the addresses
        soc = system(shell, features, program)
        soc.finalize()
        program = compiled(soc, shell, folder, gcc)
    os.chdir(folder)
    soc.platform.get_verilog(soc, name="system").write("system.v")
    sources = ["system.v", *(str(item[0]) for item in soc.platform.sources)]
    (folder / "soc.json").write_text(json.dumps({"sources": sources, "features": features, "words": len(program)}))


if __name__ == "__main__":
    main()
