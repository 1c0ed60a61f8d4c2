"""A 2 KiB cartridge's program for the 6507, translated to C++ once, so that each of its instructions is compiled.

What is reached from the vectors by branches, jumps, calls and returns is translated. A jump through memory may go to
any byte that is not part of this, so that an instruction is made of each of those. Where the program goes elsewhere, or
meets an instruction that is not documented, it stops and says where.

Meaning and cycles of the instructions: MOS Technology, "MCS6500 Microcomputer Family Programming Manual", 1976.
"""

from __future__ import annotations

from typing import NamedTuple

from hls4rl.errors import ProjectError

SIZE = 2048
TIMER = 0x284
"""Where RIOT's timer is read."""
_LENGTHS = {
    "imp": 1, "acc": 1, "imm": 2, "zp": 2, "zpx": 2, "zpy": 2, "izx": 2, "izy": 2, "rel": 2, "abs": 3, "abx": 3,
    "aby": 3, "ind": 3,
}
_OPCODES = {
    "ADC": "imm:69 zp:65 zpx:75 izx:61 izy:71 abs:6D abx:7D aby:79",
    "AND": "imm:29 zp:25 zpx:35 izx:21 izy:31 abs:2D abx:3D aby:39", "ASL": "acc:0A zp:06 zpx:16 abs:0E abx:1E",
    "BCC": "rel:90", "BCS": "rel:B0", "BEQ": "rel:F0", "BIT": "zp:24 abs:2C", "BMI": "rel:30", "BNE": "rel:D0",
    "BPL": "rel:10", "BRK": "imp:00", "BVC": "rel:50", "BVS": "rel:70", "CLC": "imp:18", "CLD": "imp:D8",
    "CLV": "imp:B8", "CMP": "imm:C9 zp:C5 zpx:D5 izx:C1 izy:D1 abs:CD abx:DD aby:D9", "CPX": "imm:E0 zp:E4 abs:EC",
    "CPY": "imm:C0 zp:C4 abs:CC", "DEC": "zp:C6 zpx:D6 abs:CE abx:DE", "DEX": "imp:CA", "DEY": "imp:88",
    "EOR": "imm:49 zp:45 zpx:55 izx:41 izy:51 abs:4D abx:5D aby:59", "INC": "zp:E6 zpx:F6 abs:EE abx:FE",
    "INX": "imp:E8", "INY": "imp:C8", "JMP": "abs:4C ind:6C", "JSR": "abs:20",
    "LDA": "imm:A9 zp:A5 zpx:B5 izx:A1 izy:B1 abs:AD abx:BD aby:B9", "LDX": "imm:A2 zp:A6 zpy:B6 abs:AE aby:BE",
    "LDY": "imm:A0 zp:A4 zpx:B4 abs:AC abx:BC", "LSR": "acc:4A zp:46 zpx:56 abs:4E abx:5E", "NOP": "imp:EA",
    "ORA": "imm:09 zp:05 zpx:15 izx:01 izy:11 abs:0D abx:1D aby:19", "PHA": "imp:48", "PHP": "imp:08",
    "PLA": "imp:68", "PLP": "imp:28", "ROL": "acc:2A zp:26 zpx:36 abs:2E abx:3E",
    "ROR": "acc:6A zp:66 zpx:76 abs:6E abx:7E", "RTI": "imp:40", "RTS": "imp:60",
    "SBC": "imm:E9 zp:E5 zpx:F5 izx:E1 izy:F1 abs:ED abx:FD aby:F9", "SEC": "imp:38", "SEI": "imp:78",
    "STA": "zp:85 zpx:95 izx:81 izy:91 abs:8D abx:9D aby:99", "STX": "zp:86 zpy:96 abs:8E",
    "STY": "zp:84 zpx:94 abs:8C", "TAX": "imp:AA", "TAY": "imp:A8", "TSX": "imp:BA", "TXA": "imp:8A", "TXS": "imp:9A",
    "TYA": "imp:98",
}
"""Of each instruction, its opcode in each addressing mode."""
DOCUMENTED = {
    int(code, 16): (name, mode)
    for name, codes in _OPCODES.items() for mode, code in (item.split(":") for item in codes.split())
}
"""Instruction and addressing mode by opcode; SED and CLI, which nobody needs here, are not among them."""
_READ_CYCLES = {"imm": 2, "zp": 3, "zpx": 4, "zpy": 4, "izx": 6, "izy": 5, "abs": 4, "abx": 4, "aby": 4}
_WRITE_CYCLES = {"zp": 3, "zpx": 4, "zpy": 4, "izx": 6, "izy": 6, "abs": 4, "abx": 5, "aby": 5}
_CHANGE_CYCLES = {"acc": 2, "zp": 5, "zpx": 6, "abs": 6, "abx": 7}
_OTHER_CYCLES = {"BRK": 7, "JSR": 6, "RTS": 6, "RTI": 6, "PHA": 3, "PHP": 3, "PLA": 4, "PLP": 4}
_BRANCHES = {
    "BCC": "!c", "BCS": "c", "BEQ": "!z", "BNE": "z", "BMI": "n & 0x80", "BPL": "!(n & 0x80)", "BVC": "!v", "BVS": "v",
}
_READS = {
    "LDA": "a = n = z = {};", "LDX": "x = n = z = {};", "LDY": "y = n = z = {};",
    "AND": "a = n = z = a & {};", "ORA": "a = n = z = a | {};", "EOR": "a = n = z = a ^ {};",
    "ADC": "ADD({});", "SBC": "ADD(uint8_t(~{}));",
    "CMP": "COMPARE(a, {});", "CPX": "COMPARE(x, {});", "CPY": "COMPARE(y, {});",
    "BIT": "n = {}; v = n >> 6 & 1; z = a & n;",
}
_CHANGES = {
    "INC": "n = z = {0} = {0} + 1;", "DEC": "n = z = {0} = {0} - 1;",
    "ASL": "c = {0} >> 7; n = z = {0} = {0} << 1;", "LSR": "c = {0} & 1; n = z = {0} = {0} >> 1;",
    "ROL": "{{ int low = c; c = {0} >> 7; n = z = {0} = {0} << 1 | low; }}",
    "ROR": "{{ int high = c; c = {0} & 1; n = z = {0} = {0} >> 1 | high << 7; }}",
}
_PLAIN = {
    "CLC": "c = 0;", "SEC": "c = 1;", "CLV": "v = 0;", "CLD": "", "SEI": "i = 1;", "NOP": "",
    "DEX": "n = z = --x;", "DEY": "n = z = --y;", "INX": "n = z = ++x;", "INY": "n = z = ++y;",
    "TAX": "x = n = z = a;", "TAY": "y = n = z = a;", "TSX": "x = n = z = sp;", "TXA": "a = n = z = x;",
    "TXS": "sp = x;", "TYA": "a = n = z = y;", "PHA": "PUSH(a);", "PHP": "PUSH(STATUS);", "PLA": "a = n = z = PULL;",
    "PLP": "RESTORE(PULL);",
}
_STORES = {"STA": "a", "STX": "x", "STY": "y"}


class Instruction(NamedTuple):
    """One instruction at its place."""

    place: int
    name: str
    mode: str
    operand: int
    """Where a branch goes, for branches."""

    @property
    def next(self) -> int:
        """Address of the one that follows."""
        return self.place + _LENGTHS[self.mode]


def translate(rom: bytes) -> str:
    """The body of a function in C++ that runs ``rom`` until a picture is complete; see ``console.cpp``.

    Raises:
        ProjectError: not a cartridge of 2 KiB.
    """
    if len(rom) != SIZE:
        raise ProjectError(f"a cartridge of {len(rom)} bytes; what is compiled here are those of {SIZE}")
    return _Translation(rom).text()


class _Translation:
    """Instructions that are reached, and the addresses at which a jump may arrive whose target is not in the code."""

    def __init__(self, rom: bytes) -> None:
        self._rom = rom
        self._code: dict[int, Instruction | None] = {}
        self._entries = {self._word(0xFFFC), self._word(0xFFFE)}
        self._follow_all()
        first = self._word(0xFFFC) // SIZE * SIZE
        self._entries |= set(range(first, first + SIZE)) - self._covered()
        self._follow_all()

    def text(self) -> str:
        """The function's body."""
        cases = "\n".join(f"case 0x{place:04x}: goto L_{place:04x};" for place in sorted(self._entries))
        parts = [f"go:\nswitch (pc) {{\n{cases}\ndefault: REFUSE(pc);\n}}"]
        for place, found in sorted(self._code.items()):
            body = f"REFUSE(0x{place:04x});" if found is None else self._instruction(found)
            parts.append(f"L_{place:04x}: {body}")
        return "\n".join(parts) + "\n"

    def _byte(self, place: int) -> int:
        return self._rom[place % SIZE]

    def _word(self, place: int) -> int:
        return self._byte(place) | self._byte(place + 1) << 8

    def _decode(self, place: int) -> Instruction | None:
        found = DOCUMENTED.get(self._byte(place))
        if found is None:
            return None
        name, mode = found
        operand = {1: 0, 2: self._byte(place + 1), 3: self._word(place + 1)}[_LENGTHS[mode]]
        if mode == "rel":
            operand = (place + 2 + operand - 2 * (operand & 0x80)) & 0xFFFF
        return Instruction(place, name, mode, operand)

    def _follow(self, start: int) -> None:
        """Decode all that is reached from ``start``."""
        waiting = [start]
        while waiting:
            place = waiting.pop()
            if place in self._code:
                continue
            found = self._code[place] = self._decode(place)
            if found is None:
                continue
            if found.name == "BRK":
                self._entries.add(place + 2)
            elif found.name == "JSR" or _may_stop(found):
                self._entries.add(found.next)
            if found.mode == "rel" or found.name == "JSR" or (found.name, found.mode) == ("JMP", "abs"):
                waiting.append(found.operand)
            if found.name not in ("BRK", "JMP", "RTS", "RTI"):
                waiting.append(found.next)

    def _follow_all(self) -> None:
        """Decode all that is reached from an entry, and what returns to entries found on the way."""
        while waiting := self._entries - set(self._code):
            for place in sorted(waiting):
                self._follow(place)

    def _covered(self) -> set[int]:
        """Addresses that an instruction lies on."""
        lengths = {place: _LENGTHS[found.mode] if found else 1 for place, found in self._code.items()}
        return {place + index for place, length in lengths.items() for index in range(length)}

    def _instruction(self, found: Instruction) -> str:
        _, name, mode, operand = found
        flow = f" goto L_{found.next:04x};"
        if name in _BRANCHES:
            taken = 2 if (found.next ^ operand) & 0xFF00 else 1
            return f"t += 2; if ({_BRANCHES[name]}) {{ t += {taken}; goto L_{operand:04x}; }}{flow}"
        if name in _READS:
            wait = self._wait(found)
            return f"{wait}t += {_READ_CYCLES[mode]}; {self._read(found)}{flow}"
        if name in _STORES:
            stop = f" STOP(0x{found.next:04x});" if _may_stop(found) else ""
            return f"t += {_WRITE_CYCLES[mode]}; {_write(found)}{stop}{flow}"
        if name in _CHANGES:
            return f"t += {_CHANGE_CYCLES[mode]}; {_changed(found)}{flow}"
        return self._flow(found) if name in ("JMP", "JSR", "BRK", "RTS", "RTI") else _plain(found) + flow

    def _flow(self, found: Instruction) -> str:
        """Of an instruction after which another than the next one follows."""
        place, name, mode, operand = found
        back, cycles = place + 2, f"t += {_OTHER_CYCLES.get(name, 3)}; "
        if name == "JMP":
            if mode == "abs":
                return f"{cycles}goto L_{operand:04x};"
            if operand & 0xFF == 0xFF:
                return f"REFUSE(0x{place:04x});"
            return f"t += 5; pc = {_peek(operand)} | {_peek(operand + 1)} << 8; goto go;"
        if name == "JSR":
            return f"{cycles}PUSH({back >> 8}); PUSH({back & 0xFF}); goto L_{operand:04x};"
        if name == "BRK":
            pushes = f"b = 1; PUSH({back >> 8}); PUSH({back & 0xFF}); PUSH(STATUS); i = 1; "
            return f"{cycles}{pushes}goto L_{self._word(0xFFFE):04x};"
        restored = "RESTORE(PULL); " if name == "RTI" else ""
        return f"{cycles}{restored}pc = PULL; pc |= PULL << 8; {'' if restored else 'pc += 1; '}goto go;"

    def _wait(self, found: Instruction) -> str:
        """For a read of the timer that is repeated until it is 0: the passing of the time in one step."""
        after = self._code.get(found.next)
        if found[1:] != ("LDA", "abs", TIMER) or after is None or (after.name, after.operand) != ("BNE", found.place):
            return ""
        loop = 4 + 2 + (2 if (after.next ^ found.place) & 0xFF00 else 1)
        return f"t = m.await_timer(t + 4, {loop}) - 4; "

    def _read(self, found: Instruction) -> str:
        _, name, mode, operand = found
        if mode == "imm":
            return _READS[name].format(f"uint8_t({operand})")
        if mode == "izy":
            to = f"int to = {_peek(operand)} | {_peek(operand + 1)} << 8; t += ((to & 0xff) + y) >> 8; "
            return "{ " + to + _READS[name].format("m.peek(to + y, to >> 8, t)") + " }"
        if mode in ("zp", "abs"):
            return _READS[name].format(_peek(operand, operand if mode == "zp" else operand >> 8))
        if mode in ("zpx", "zpy"):
            return _READS[name].format(f"m.peek(uint8_t({operand} + {mode[2]}), {operand}, t)")
        if mode in ("abx", "aby"):
            page = f"t += (0x{operand & 0xFF:02x} + {mode[2]}) >> 8; "
            return page + _READS[name].format(f"m.peek(0x{operand:04x} + {mode[2]}, {operand >> 8}, t)")
        return f"REFUSE(0x{found.place:04x});"


def _plain(found: Instruction) -> str:
    """Of an instruction without an operand."""
    stop = f" STOP(0x{found.next:04x});" if _may_stop(found) else ""
    return f"t += {_OTHER_CYCLES.get(found.name, 2)}; {_PLAIN[found.name]}{stop}"


def _may_stop(found: Instruction) -> bool:
    """Whether it may end the picture, which a write to VSYNC does."""
    if found.name in _STORES:
        return found.mode not in ("zp", "abs") or found.operand & 0x10BF == 0
    return found.name in ("PHA", "PHP")


def _peek(place: int, bus: int = 0) -> str:
    """What is read at a place that is known now; ``bus``: what the data bus held before."""
    if place & 0x1000:
        return f"ROM[0x{place % SIZE:03x}]"
    if not place & 0x80:
        return f"m.peek_tia({place & 15}, {bus}, t)"
    return f"m.peek_riot({place & 7}, t)" if place & 0x200 else f"m.ram[{place & 127}]"


def _write(found: Instruction) -> str:
    place, name, mode, operand = found
    value = _STORES[name]
    if mode in ("zp", "abs"):
        if operand & 0x1000:
            return f"REFUSE(0x{place:04x});"
        if not operand & 0x80:
            return f"t = m.poke_tia<{operand & 63}>({value}, t);"
        if operand & 0x200:
            return f"m.poke_riot({operand & 31}, {value}, t);"
        return f"m.ram[{operand & 127}] = {value};"
    if mode in ("zpx", "zpy"):
        return f"t = m.poke(uint8_t({operand} + {mode[2]}), {value}, t);"
    if mode in ("abx", "aby"):
        return f"t = m.poke(0x{operand:04x} + {mode[2]}, {value}, t);"
    if mode == "izy":
        return f"t = m.poke(({_peek(operand)} | {_peek(operand + 1)} << 8) + y, {value}, t);"
    return f"REFUSE(0x{place:04x});"


def _changed(found: Instruction) -> str:
    """Of a register or a byte of memory; devices are not changed by what was read from them."""
    place, name, mode, operand = found
    if mode == "acc":
        return _CHANGES[name].format("a")
    if mode == "zp" and operand & 0x80:
        return _CHANGES[name].format(f"m.ram[{operand & 127}]")
    if mode == "zpx":
        change = _CHANGES[name].format("m.ram[at & 127]")
        return f"{{ uint8_t at = {operand} + x; if (!(at & 0x80)) REFUSE(0x{place:04x}); {change} }}"
    return f"REFUSE(0x{place:04x});"
