"""Runs a circuit on symbols: registers and memories hold literals of one graph in place of bits.

What is the same in every run is a constant there, so a memory read at a known address gives a known word, and a gate
whose inputs decide it is none. What a circuit computes in thousands of clocks thus becomes one function. Bits of which
nothing is known stay so from clock to clock: nothing is remembered of how they hang together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np
from numpy.typing import NDArray

from hls4rl.hls_projects.prove.symbols import UNKNOWN, Arrays, Graph, Literals, One, chosen, firm, settle
from hls4rl.hls_projects.simulation.gates import Circuit

_DEEPEST = 12
"""Address bits with symbols up to which the word of a read-only memory is made by multiplexers."""

_Tables = tuple[
    NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8],
    NDArray[np.int64], NDArray[np.int64], int,
]
"""Gates, held nets, flip-flops; of ROMs table, nets and contents; of RAMs table and nets; the literal that stands for
the first held net where nothing is known of it, the next ones for the others."""


class Machine:
    """A circuit, and the :class:`Graph` that its literals are of, with variables 1 … ``known`` for what comes in.

    A *state* is one array: the literals of flip-flops, of what each memory has read, and of what memories hold.
    """

    def __init__(self, circuit: Circuit, known: int) -> None:
        self._ports = circuit.ports
        read = [memory.outputs for memory in circuit.roms] + [memory.outputs for memory in circuit.rams]
        held = [net for nets in read for net in nets]
        self._registers = len(circuit.flip_flops)
        nets = np.concatenate([circuit.flip_flops[:, 0], np.array(held, dtype=np.int64)])
        sizes = np.array([len(pins) for pins in circuit.ports.values()])
        self.graph = Graph(known, len(nets) + int(sizes.sum()))
        first = known + 1 + len(nets) + np.cumsum(sizes) - sizes
        self._loose = {
            name: np.arange(2 * start, 2 * (start + size), 2, dtype=np.int32)
            for name, start, size in zip(circuit.ports, first.tolist(), sizes.tolist(), strict=True)
        }
        self.size = len(nets) + sum(ram.words * len(ram.outputs) for ram in circuit.rams)
        self._tables: _Tables = (
            circuit.gates, nets, circuit.flip_flops, *_rom_tables(circuit), *_ram_tables(circuit, len(nets)),
            2 * (known + 1))
        trees = [len(rom.outputs) << min(len(rom.address), _DEEPEST) for rom in circuit.roms]
        self._room = len(circuit.gates) + sum(trees) + sum(len(ram.outputs) for ram in circuit.rams)
        self._nets = np.full(circuit.nets, UNKNOWN, dtype=np.int32)
        self._nets[:2] = 0, 1

    def unknown(self) -> Literals:
        """The state of which nothing is known."""
        return np.full(self.size, UNKNOWN, dtype=np.int32)

    def power_up(self) -> Literals:
        """The state after configuration: flip-flops are 0, as in the simulator; memories hold anything."""
        state = self.unknown()
        state[:self._registers] = 0
        return state

    def look(self, port: str) -> Literals:
        """What :meth:`run` or :meth:`clock` left at a port."""
        literals = self._nets[self._ports[port]]
        literals[self.graph.arrays[3][literals >> 1]] = UNKNOWN
        return literals

    def clock(self, state: Literals, inputs: Mapping[str, int | Literals]) -> Literals:
        """The state after the next edge; an input that was never given is unknown."""
        self._drive(inputs)
        self.graph.reserve(self._room)
        after = state.copy()
        _load(state, self._tables, self._nets)
        settle(self.graph.arrays, self._tables[0], self._nets)
        _edge(self.graph.arrays, self._tables, self._nets, after)
        return after

    def run(self, state: Literals, inputs: Mapping[str, int | Literals], until: list[str], clocks: int) -> int:
        """Clock ``state``, in place, until a bit of one of the ports ``until`` is not 0, or so many clocks are over.

        Returns:
            The clocks that it took.
        """
        watched = np.concatenate([self._ports[name] for name in until])
        self._drive(inputs)
        done, stopped = 0, False
        while not stopped:
            self.graph.reserve(self._room)
            more, stopped = _run(
                self.graph.arrays, self._tables, self._nets, state, watched, clocks - done, self._room)
            done += more
        return done

    def _drive(self, inputs: Mapping[str, int | Literals]) -> None:
        for name, value in inputs.items():
            self._nets[self._ports[name]] = self._loose[name] if np.ndim(value) == 0 and value == UNKNOWN else value


def _rom_tables(circuit: Circuit) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Rows (address, outputs, their end, words, content): where in the nets, how many, where in the contents."""
    table, nets, size = [], list[int](), 0
    for rom in circuit.roms:
        first, middle = len(nets), len(nets) + len(rom.address)
        nets += [*rom.address, *rom.outputs]
        table.append((first, middle, len(nets), len(rom.content), size))
        size += rom.content.size
    contents = [np.zeros(0, dtype=np.uint8), *(rom.content.reshape(-1).astype(np.uint8) for rom in circuit.roms)]
    return np.array(table, dtype=np.int64).reshape(-1, 5), np.array(nets, dtype=np.int64), np.concatenate(contents)


def _ram_tables(circuit: Circuit, first: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (read address, write address, data, enables, their end, content): in the nets; the last one in a state."""
    table, nets = [], list[int]()
    for ram in circuit.rams:
        row = []
        for pins in (ram.read_address, ram.write_address, ram.data, ram.enables):
            row.append(len(nets))
            nets += pins
        table.append((*row, len(nets), first))
        first += ram.words * len(ram.outputs)
    return np.array(table, dtype=np.int64).reshape(-1, 6), np.array(nets, dtype=np.int64)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _run(
    graph: Arrays, tables: _Tables, literals: Literals, state: Literals, watched: NDArray[np.int64], clocks: int,
    room: int,
) -> tuple[int, bool]:
    """The clocks that it took, and whether it is over: where the graph is full, it is not."""
    for clock in range(clocks + 1):
        if graph[2][0] + room > len(graph[0]):
            return clock, False
        _load(state, tables, literals)
        settle(graph, tables[0], literals)
        for net in watched:
            if literals[net] != 0:
                return clock, True
        if clock < clocks:
            _edge(graph, tables, literals, state)
    return clocks, True


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _load(state: Literals, tables: _Tables, literals: Literals) -> None:
    held, loose = tables[1], tables[8]
    for index in range(len(held)):
        literals[held[index]] = loose + 2 * index if state[index] < 0 else state[index]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _edge(graph: Arrays, tables: _Tables, literals: Literals, state: Literals) -> None:
    """What registers and memories take over of the settled ``literals``."""
    _, _, flip_flops, roms, rom_nets, contents, rams, ram_nets, _ = tables
    for index in range(len(flip_flops)):
        state[index] = firm(graph, np.int64(literals[flip_flops[index, 1]]))
    place = len(flip_flops)
    for rom in range(len(roms)):
        _read_only(graph, roms[rom], rom_nets, contents, literals, state, place)
        place += roms[rom, 2] - roms[rom, 1]
    for ram in range(len(rams)):
        _exchange(graph, rams[ram], ram_nets, literals, state, place)
        place += rams[ram, 3] - rams[ram, 2]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _address(nets: NDArray[np.int64], first: int, end: int, literals: Literals) -> One:
    """The address, or -1 where it is none of constants."""
    address: One = 0
    for index in range(first, end):
        literal = np.int64(literals[nets[index]])
        if literal < 0 or literal > 1:
            return -1
        address |= literal << (index - first)
    return address


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _read_only(
    graph: Arrays, row: NDArray[np.int64], nets: NDArray[np.int64], contents: NDArray[np.uint8], literals: Literals,
    state: Literals, place: int,
) -> None:
    """A word of a memory; beyond its content nothing is known."""
    first, middle, end, words, start = row
    width, base, depth = end - middle, 0, 0
    selects, steps = np.zeros(_DEEPEST, dtype=np.int64), np.zeros(_DEEPEST, dtype=np.int64)
    for index in range(first, middle):
        literal = firm(graph, np.int64(literals[nets[index]]))
        if literal == 1:
            base |= 1 << (index - first)
        elif literal != 0:
            if literal < 0 or depth == _DEEPEST:
                state[place:place + width] = -1
                return
            selects[depth], steps[depth] = literal, 1 << (index - first)
            depth += 1
    values = np.zeros(1 << depth, dtype=np.int64)
    for bit in range(width):
        for case in range(1 << depth):
            address = base
            for level in range(depth):
                address += steps[level] * (case >> level & 1)
            values[case] = contents[start + address * width + bit] if address < words else -1
        for level in range(depth):                           # the lowest bit chooses first
            for case in range(1 << (depth - level - 1)):
                values[case] = chosen(graph, values[2 * case], values[2 * case + 1], selects[level])
        state[place + bit] = values[0]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _exchange(
    graph: Arrays, row: NDArray[np.int64], nets: NDArray[np.int64], literals: Literals, state: Literals, place: int
) -> None:
    """What a memory reads and writes at this edge; nothing is known of a word that is read while it is written."""
    at, to, data, enables, _, start = row
    width, words = enables - data, 1 << (to - at)
    read, write = _address(nets, at, to, literals), _address(nets, to, data, literals)
    for bit in range(width):
        enable = np.int64(literals[nets[enables + bit]])
        disturbed = enable != 0 and (write < 0 or write == read)
        state[place + bit] = -1 if read < 0 or disturbed else state[start + read * width + bit]
        if enable == 0:
            continue
        if write < 0:
            for word in range(words):
                state[start + word * width + bit] = -1
        else:
            kept = start + write * width + bit
            state[kept] = firm(graph, chosen(
                graph, np.int64(state[kept]), firm(graph, np.int64(literals[nets[data + bit]])), enable))
