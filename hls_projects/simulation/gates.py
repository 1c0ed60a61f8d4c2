"""A clocked gate-level simulator: 64 copies of a design side by side, one in each bit of a machine word.

Yosys elaborates Verilog or a netlist down to two-input gates, multiplexers and flip-flops; what is left here
is to evaluate them in order, one clock at a time. Compiling the same designs to C++ (CXXRTL) took 40 s for 16
hidden units of 8 bits and grew from there; this takes the second that Yosys takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hls4rl.checked import read_checked, write_checked
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.read_only import KINDS, Rom, clocks_of, roms_of
from hls4rl.hls_projects.fpga.yosys import run_yosys
from hls4rl.hls_projects.simulation.kernel import runs_of, settle
from hls4rl.hls_projects.simulation.ram import PINS, Ram, exchange, is_written, ram_of, ram_tables
from hls4rl.library import digests_from, require_sources

Words = NDArray[np.uint64]
LANES = 64
"""Copies of the design that run side by side."""

_GATES = {"$_BUF_": 0, "$_NOT_": 1, "$_AND_": 2, "$_OR_": 3, "$_XOR_": 4, "$_XNOR_": 5, "$_MUX_": 6}
_FLIP_FLOP = "$_DFF_P_"
_MAXIMUM_WORDS = 1 << 24
_COARSE = ("proc", "flatten", "opt_expr", "opt_clean")
_FINE = (
    "opt_dff -nodffe -nosdff", "simplemap", "techmap", "opt_expr", f"dfflegalize -cell {_FLIP_FLOP} 0", "simplemap",
    "opt_expr", "opt_merge", "opt_clean -purge",
)


@dataclass(frozen=True, eq=False)
class Circuit:
    """A design as a list of gates in an order in which each gate's inputs come before it."""

    nets: int
    gates: NDArray[np.int64]
    """Shape (gates, 5): operation, output net, then up to three input nets."""
    flip_flops: NDArray[np.int64]
    """Shape (flip-flops, 2): the net of Q, the net of D; all of them start at 0."""
    ports: dict[str, NDArray[np.int64]]
    """Of each port: its nets, lowest bit first."""
    roms: tuple[Rom, ...] = ()
    """Memories that are only read, each of one clock; an address beyond the content reads 0."""
    rams: tuple[Ram, ...] = ()
    """Memories that are written, each of one clock."""

    @classmethod
    def load(cls, path: Path) -> Circuit:
        """Read what :func:`elaborate` wrote.

        Raises:
            ProjectError: the file isn't whole, or a source of it was changed.
        """
        remedy = "build it again with `make synth`"
        data = read_checked(path, remedy)
        require_sources(path.parent, data.get("sources"), remedy)
        try:
            circuit = cls(
                int(data["nets"]), np.array(data["gates"], dtype=np.int64).reshape(-1, 5),
                np.array(data["flip_flops"], dtype=np.int64).reshape(-1, 2),
                {name: np.array(nets, dtype=np.int64).reshape(-1) for name, nets in data["ports"].items()},
                tuple(_rom_of(item) for item in data.get("roms", ())),
                tuple(_written(item) for item in data.get("rams", ())),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ProjectError(f"{path}: no whole circuit; build it again with `make synth`") from error
        # Compiled code follows these numbers without looking: one out of range would write into others' memory.
        nets = [circuit.gates[:, 1:], circuit.flip_flops, *circuit.ports.values()]
        nets += [np.array(pins, dtype=np.int64) for rom in circuit.roms for pins in (rom.address, rom.outputs)]
        nets += [np.array(pins, dtype=np.int64) for ram in circuit.rams for pins in ram.pins.values()]
        if not 2 <= circuit.nets <= path.stat().st_size + 2 or any(
            item.size and not 0 <= item.min() <= item.max() < circuit.nets for item in nets
        ):
            raise ProjectError(f"{path}: a circuit with impossible nets; build it again with `make synth`")
        return circuit

    def run(self, inputs: dict[str, Words], outputs: Sequence[str], clocks: int) -> dict[str, Words]:
        """Clock the design from its reset state.

        Args:
            inputs: of each input port (other than the clock) words of shape (clocks, width): bit ``lane`` of a
                word is what that copy sees before the rising edge.
            outputs: ports to record.

        Returns:
            Of each port in ``outputs``: words of shape (clocks, width), as they are after the rising edge.
        """
        driven = np.concatenate([self.ports[name] for name in inputs])
        stimulus = np.ascontiguousarray(np.concatenate([inputs[name] for name in inputs], axis=1), dtype=np.uint64)
        if stimulus.shape != (clocks, len(driven)):
            raise ValueError(f"stimulus of shape {stimulus.shape} for {clocks} clocks of {len(driven)} bits")
        watched = np.concatenate([self.ports[name] for name in outputs])
        record = np.zeros((clocks, len(watched)), dtype=np.uint64)
        state = np.zeros(self.nets, dtype=np.uint64)
        state[1] = ~np.uint64(0)
        held = {int(net) for net in self.flip_flops[:, 0]}
        held |= {net for rom in self.roms for net in rom.outputs} | {net for ram in self.rams for net in ram.outputs}
        _clock(
            state, *runs_of(self.gates, self.nets), self.flip_flops, *_tables(self.roms), *ram_tables(self.rams),
            driven, stimulus, watched, record, not held.issuperset(int(net) for net in watched),
        )
        ends = np.cumsum([len(self.ports[name]) for name in outputs])
        return dict(zip(outputs, np.split(record, ends[:-1], axis=1), strict=True))


def elaborate(
    preparation: Sequence[str], top: str, result: Path, roms: bool = False, sources: Sequence[Path] = (),
    seconds: float | None = None,
) -> None:
    """Bring the design that the Yosys commands ``preparation`` read down to gates and write it to ``result``.

    Flip-flops must share one clock edge, the rising one, and start at 0 or at any value.

    Args:
        roms: keep memories as :class:`Rom` and :class:`Ram`, where they would become gates; all must be clocked.
        sources: files whose SHA-256 the result keeps: it is refused when one of them is no longer the same.
        seconds: that Yosys may take.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    raw = result.with_suffix(".yosys")
    memories = "memory -nomap" if roms else "memory_map"
    commands = [*preparation, f"hierarchy -top {top}", *_COARSE, memories, *_FINE, f"write_json {raw.name}"]
    run_yosys(commands, result.parent, result.with_suffix(".log"), seconds)
    module = json.loads(raw.read_text(encoding="utf-8"))["modules"][top]
    raw.unlink()
    write_checked(result, {**_levelled(module), "sources": digests_from(result.parent, sources)}, indent=None)


def lanes_of(integers: NDArray[np.int64], width: int) -> Words:
    """Words for a port of ``width`` bits: ``integers`` of shape (clocks, 64) become shape (clocks, width)."""
    words = np.zeros((len(integers), width), dtype=np.uint64)
    places = np.arange(LANES, dtype=np.uint64)
    for bit in range(width):
        words[:, bit] = (((integers >> bit) & 1).astype(np.uint64) << places).sum(axis=1, dtype=np.uint64)
    return words


def integers_of(words: Words) -> NDArray[np.int64]:
    """The inverse of :func:`lanes_of` for up to 64 bits; 64 bits are read as two's complement."""
    places = np.arange(LANES, dtype=np.uint64)
    integers = np.zeros((len(words), LANES), dtype=np.uint64)
    for bit in range(words.shape[1]):
        integers |= ((words[:, bit, None] >> places) & np.uint64(1)) << np.uint64(bit)
    return integers.view(np.int64)


def fields_of(words: Words, widths: Sequence[int], signed: bool) -> NDArray[np.int64]:
    """The integers that lie side by side in a port, the first one lowest; shape (clocks · 64, fields).

    Args:
        words: of the port, shape (clocks, sum of ``widths``).
        signed: whether they are two's complement.
    """
    columns = []
    for port in np.split(words, np.cumsum(widths)[:-1], axis=1):
        values, width = integers_of(port).reshape(-1), port.shape[1]
        columns.append((values << (64 - width)) >> (64 - width) if signed else values)
    return np.stack(columns, axis=1)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _clock(
    state: Words, gates: NDArray[np.int32], runs: NDArray[np.int64], flip_flops: NDArray[np.int64],
    roms: NDArray[np.int64], rom_nets: NDArray[np.int64], contents: NDArray[np.uint8],
    rams: NDArray[np.int64], ram_nets: NDArray[np.int64], kept: Words,
    driven: NDArray[np.int64], stimulus: Words, watched: NDArray[np.int64], record: Words, again: bool,
) -> None:
    # Settled again after the edge only where an output is more than a register.
    held = np.zeros(len(flip_flops), dtype=np.uint64)
    words = np.zeros(len(rom_nets), dtype=np.uint64)
    seen = np.zeros(len(ram_nets), dtype=np.uint64)
    for clock in range(len(record)):
        for index in range(len(driven)):
            state[driven[index]] = stimulus[clock, index]
        settle(state, gates, runs)
        for index in range(len(flip_flops)):
            held[index] = state[flip_flops[index, 1]]
        _read(state, roms, rom_nets, contents, words)
        exchange(state, rams, ram_nets, kept, seen)
        for index in range(len(flip_flops)):
            state[flip_flops[index, 0]] = held[index]
        for rom in range(len(roms)):
            for index in range(roms[rom, 1], roms[rom, 2]):
                state[rom_nets[index]] = words[index]
        for ram in range(len(rams)):
            for index in range(rams[ram, 1], rams[ram, 2]):
                state[ram_nets[index]] = seen[index]
        if again:
            settle(state, gates, runs)
        for index in range(len(watched)):
            record[clock, index] = state[watched[index]]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _read(
    state: Words, roms: NDArray[np.int64], rom_nets: NDArray[np.int64], contents: NDArray[np.uint8], words: Words
) -> None:
    """What each memory reads at this edge, for each copy of the design; see :func:`_tables`."""
    one = np.uint64(1)
    for rom in range(len(roms)):
        first, middle, last, start = roms[rom, 0], roms[rom, 1], roms[rom, 2], roms[rom, 3]
        words[middle:last] = 0
        same = True
        for index in range(first, middle):
            same = same and (state[rom_nets[index]] == 0 or ~state[rom_nets[index]] == 0)
        for lane in range(1 if same else LANES):
            address = 0
            for index in range(first, middle):
                address |= np.int64((state[rom_nets[index]] >> np.uint64(lane)) & one) << (index - first)
            row = start + address * (last - middle)
            mask = ~np.uint64(0) if same else one << np.uint64(lane)
            for index in range(last - middle):
                if contents[row + index]:
                    words[middle + index] |= mask


def _levelled(module: dict[str, Any]) -> dict[str, Any]:
    # Net 0 is constant 0, net 1 constant 1; undefined bits count as 0.
    numbers: dict[Any, int] = {"0": 0, "x": 0, "z": 0, "1": 1}

    found = [(name, cell) for name, cell in sorted(module["cells"].items()) if cell["type"] in KINDS]
    rams = [ram_of(name, cell) for name, cell in found if is_written(cell)]
    roms = [rom for name, cell in found if not is_written(cell) for rom in roms_of(name, cell)]
    names = {bit for cell in module["cells"].values() for bits in cell["connections"].values() for bit in bits}
    for port in module["ports"].values():
        names.update(port["bits"])
    numbers.update({bit: number for number, bit in enumerate(sorted(names - set(numbers)), start=2)})
    gates, flip_flops, clocks = [], [], set[int]()
    for name, cell in sorted(module["cells"].items()):
        if cell["type"] in KINDS:
            clocks.update(numbers[net] for net in clocks_of(cell))
            continue
        pins = {pin: numbers[bits[0]] for pin, bits in cell["connections"].items()}
        if cell["type"] == _FLIP_FLOP:
            flip_flops.append([pins["Q"], pins["D"]])
            clocks.add(pins["C"])
        elif cell["type"] in _GATES:
            gates.append([_GATES[cell["type"]], pins["Y"], pins["A"], pins.get("B", 0), pins.get("S", 0)])
        elif cell["type"] != "$scopeinfo":
            raise RuntimeError(f"cell {name} of type {cell['type']} is no gate that the simulator knows")
    if len(clocks) > 1:
        raise RuntimeError("the flip-flops do not share one clock")
    ports = {name: [numbers[bit] for bit in port["bits"]] for name, port in module["ports"].items()}
    memories = _memories(roms, rams, numbers, flip_flops)
    return {"gates": list(_in_order(gates)), "flip_flops": flip_flops, "ports": ports, **memories}


def _memories(
    roms: Sequence[Rom], rams: Sequence[Ram], numbers: dict[Any, int], flip_flops: list[list[int]]
) -> dict[str, Any]:
    """What is written of memories; an output register becomes flip-flops behind nets of its own."""
    nets = max(numbers.values()) + 1

    def outputs_of(memory: Rom | Ram) -> list[int]:
        nonlocal nets
        outputs = [numbers[net] for net in memory.outputs]
        if memory.clocks == 1:
            return outputs
        read = list(range(nets, nets + len(outputs)))
        flip_flops.extend([list(pair) for pair in zip(outputs, read, strict=True)])
        nets += len(read)
        return read

    only_read = [{
        "address": [numbers[net] for net in rom.address], "outputs": outputs_of(rom), "words": len(rom.content),
        "content": np.packbits(rom.content).tobytes().hex(),
    } for rom in roms]
    written = [
        {name: [numbers[net] for net in pins] for name, pins in ram.pins.items()} | {"outputs": outputs_of(ram)}
        for ram in rams
    ]
    return {"nets": nets, "roms": only_read, "rams": written}


def _written(item: dict[str, Any]) -> Ram:
    """The inverse of what :func:`_levelled` makes of a memory that is written."""
    read, outputs, write, data, enables = (list(item[name]) for name in PINS)
    ram = Ram(read, outputs, write, data, enables)
    same = len(ram.read_address) == len(ram.write_address), len(ram.outputs) == len(ram.data) == len(ram.enables)
    if not all(same) or ram.words > _MAXIMUM_WORDS:
        raise ValueError(f"{ram.words} words with ports that do not fit together")
    return ram


def _rom_of(item: dict[str, Any]) -> Rom:
    """The inverse of what :func:`_levelled` makes of a memory."""
    address, outputs, words = list(item["address"]), list(item["outputs"]), int(item["words"])
    if not 0 < words <= 1 << len(address) <= _MAXIMUM_WORDS:
        raise ValueError(f"{words} words at {len(address)} address lines")
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(item["content"]), dtype=np.uint8), count=words * len(outputs))
    return Rom(address, outputs, bits.reshape(words, len(outputs)))


def _tables(roms: Sequence[Rom]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """The memories in three arrays for compiled code: table, nets, contents.

    A row of the table: where in ``nets`` a memory's address begins, where its outputs begin and end, and where
    in ``contents`` its words begin, one for each address that can occur.
    """
    table, contents, start = [], [], 0
    nets: list[int] = []
    for rom in roms:
        first, middle = len(nets), len(nets) + len(rom.address)
        nets += [*rom.address, *rom.outputs]
        table.append((first, middle, len(nets), start))
        whole = np.zeros((1 << len(rom.address), len(rom.outputs)), dtype=np.uint8)
        whole[:len(rom.content)] = rom.content
        contents.append(whole.reshape(-1))
        start += whole.size
    return (
        np.array(table, dtype=np.int64).reshape(-1, 4), np.array(nets, dtype=np.int64),
        np.concatenate([np.zeros(0, dtype=np.uint8), *contents]),
    )


def _in_order(gates: list[list[int]]) -> Iterator[list[int]]:
    """Depth-first from each gate to what drives it; a loop of gates is refused."""
    driver = {gate[1]: index for index, gate in enumerate(gates)}
    done = [0] * len(gates)  # 0: unseen, 1: on the path, 2: given out
    for root in range(len(gates)):
        path = [root]
        while path:
            index = path[-1]
            if done[index] == 2:
                path.pop()
                continue
            waiting = [driver[source] for source in gates[index][2:] if source in driver]
            waiting = [other for other in waiting if done[other] != 2]
            if not waiting:
                done[index] = 2
                path.pop()
                yield gates[index]
                continue
            if done[index] == 1 and any(done[other] == 1 for other in waiting):
                raise RuntimeError("the design has a loop without a flip-flop")
            done[index] = 1
            path.extend(waiting)
