"""A pipeline as one function: its registers taken for wires, once it is sure that this changes no answer.

A feed-forward pipeline computes, on each clock, a function of the observation that came ``cycles`` clocks
before. :func:`without_registers` checks that a circuit is such a pipeline and gives that function as gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from hls4rl.hls_projects.simulation.gates import LANES, Circuit, Words

NOT, AND, OR, XOR, XNOR, MUX = 1, 2, 3, 4, 5, 6
"""Operations, numbered as in :mod:`hls4rl.hls_projects.simulation.gates`."""
_WIRE = 0
_GROUP = 8
"""Words that the kernel takes through one gate at a time."""


class NotAFunctionError(Exception):
    """A circuit of which it is not shown that each answer is one function of one observation."""


class GivenUpError(NotAFunctionError):
    """A circuit that nothing speaks against, but that takes too long, or too much memory, to look at whole."""


class NotAPipelineError(NotAFunctionError):
    """A circuit whose answer depends on other things than the one observation ``cycles`` clocks before."""


@dataclass(frozen=True, eq=False)
class Logic:
    """Gates without registers, in an order in which each gate's inputs come before it.

    Net 0 is constant 0, net 1 constant 1, nets 2 … ``inputs`` + 1 are the observation's bits, lowest first.
    """

    inputs: int
    gates: NDArray[np.int64]
    """Shape (gates, 4): operation, then up to three input nets. Gate k drives net ``inputs`` + 2 + k."""
    outputs: dict[str, NDArray[np.int64]]
    """Of each output: its nets, lowest bit first."""

    def evaluate(self, stimulus: Words, outputs: Sequence[str]) -> dict[str, Words]:
        """Apply observations, 64 a word.

        Args:
            stimulus: shape (words, inputs): bit ``lane`` of word w is what observation 64·w + lane has there.

        Returns:
            Of each of ``outputs``: words of shape (words, width).
        """
        words = len(stimulus)
        padded = np.zeros((-(-words // _GROUP) * _GROUP, self.inputs), dtype=np.uint64)
        padded[:words] = stimulus
        watched = np.concatenate([self.outputs[name] for name in outputs])
        record = np.zeros((len(padded), len(watched)), dtype=np.uint64)
        _sweep(self.gates, padded, watched, record)
        ends = np.cumsum([len(self.outputs[name]) for name in outputs])
        return dict(zip(outputs, np.split(record[:words], ends[:-1], axis=1), strict=True))


def every_observation(start: int, count: int, bits: int) -> Words:
    """Words for :meth:`Logic.evaluate` of the observations whose bits, read as a number, are start … start + count - 1.

    ``start`` and ``count`` are multiples of 64.
    """
    lanes = np.arange(LANES, dtype=np.uint64)
    words = np.empty((count // LANES, bits), dtype=np.uint64)
    numbers = np.arange(start, start + count, LANES, dtype=np.uint64)
    for bit in range(bits):
        place = np.uint64(bit)
        if 1 << bit < LANES:
            words[:, bit] = (((lanes >> place) & np.uint64(1)) << lanes).sum(dtype=np.uint64)
        else:
            words[:, bit] = np.uint64(0) - ((numbers >> place) & np.uint64(1))
    return words


def without_registers(circuit: Circuit, cycles: int, outputs: Sequence[str]) -> Logic:
    """The function that ``circuit`` computes of ``observation``, ``cycles`` clocks later.

    ``out_valid`` must follow ``in_valid`` by ``cycles`` clocks, and be 0 before; every way from ``observation``
    to one of ``outputs`` must lead through ``cycles`` + 1 registers. Then a valid answer is this function of its
    observation, on every clock and whatever came before or after.

    Raises:
        NotAPipelineError: it is not so.
    """
    _check_valid(circuit, cycles)
    return _logic(circuit, cycles + 1, outputs)


def combinational(circuit: Circuit, outputs: Sequence[str]) -> Logic:
    """The function of ``observation`` that a circuit without registers computes.

    Raises:
        NotAPipelineError: it has registers on the way.
    """
    return _logic(circuit, 0, outputs)


def _logic(circuit: Circuit, registers: int, outputs: Sequence[str]) -> Logic:
    walk = _Walk(circuit, circuit.ports["observation"])
    nets = {name: [walk.visit(int(net)) for net in circuit.ports[name]] for name in outputs}
    for name, found in nets.items():
        for _, delay, age in found:
            if delay not in (None, registers) or age > registers:
                raise NotAPipelineError(f"{name} does not lie {registers} registers after the observation")
    return Logic(
        len(circuit.ports["observation"]), np.array(walk.gates, dtype=np.int64).reshape(-1, 4),
        {name: np.array([net for net, _, _ in found], dtype=np.int64) for name, found in nets.items()},
    )


def _check_valid(circuit: Circuit, cycles: int) -> None:
    walk = _Walk(circuit, circuit.ports["in_valid"])
    net, delay, _ = walk.visit(int(circuit.ports["out_valid"][0]))
    seen = Logic(1, np.array(walk.gates, dtype=np.int64).reshape(-1, 4), {"out_valid": np.array([net])})
    same = seen.evaluate(every_observation(0, LANES, 1), ["out_valid"])["out_valid"] == every_observation(0, LANES, 1)
    # Until the first observation has come through, out_valid shows what its registers hold at the start.
    quiet = circuit.run({"in_valid": np.zeros((cycles + 1, 1), dtype=np.uint64)}, ["out_valid"], cycles + 1)
    if delay != cycles + 1 or not same.all() or quiet["out_valid"].any():
        raise NotAPipelineError(f"out_valid is not in_valid {cycles} clocks before, and 0 until then")


_Net = tuple[int, int | None, int]
"""A net of the result, the registers before it (None for a constant), and the clocks until a constant is there."""


class _Walk:
    """From nets of a circuit back to its inputs: depth first, each net once."""

    def __init__(self, circuit: Circuit, inputs: NDArray[np.int64]) -> None:
        self.gates: list[tuple[int, int, int, int]] = []
        self._first = len(inputs) + 2
        self._found: dict[int, _Net] = {0: (0, None, 0), 1: (1, None, 0)}
        self._found.update({int(net): (place, 0, 0) for place, net in enumerate(inputs, start=2)})
        self._made: dict[tuple[int, int, int, int], int] = {}
        self._driver = {int(gate[1]): (int(gate[0]), *self._pins(gate)) for gate in circuit.gates}
        self._registers = {int(output): int(data) for output, data in circuit.flip_flops}

    @staticmethod
    def _pins(gate: NDArray[np.int64]) -> tuple[int, ...]:
        used = {_WIRE: 1, NOT: 1, MUX: 3}.get(int(gate[0]), 2)
        return tuple(int(net) for net in gate[2:2 + used])

    def visit(self, root: int) -> _Net:
        """The net of the result that stands for ``root``, its registers and its age."""
        path, open_nets = [root], {root}
        while path:
            net = path[-1]
            waiting = [source for source in self._sources(net) if source not in self._found]
            if net in self._found or not waiting:
                if net not in self._found:
                    self._found[net] = self._make(net)
                open_nets.discard(path.pop())
                continue
            if waiting[-1] in open_nets:
                raise NotAPipelineError("a register's content comes back to it")
            open_nets.add(waiting[-1])
            path.append(waiting[-1])
        return self._found[root]

    def _sources(self, net: int) -> tuple[int, ...]:
        if net in self._found:
            return ()
        if net in self._registers:
            return (self._registers[net],)
        if net not in self._driver:
            raise NotAPipelineError("the answer depends on another input, or on a net that nothing drives")
        return self._driver[net][1:]

    def _make(self, net: int) -> _Net:
        if net in self._registers:
            place, delay, age = self._found[self._registers[net]]
            if delay is None:
                return place, None, 0 if place == 0 else age + 1  # registers start at 0
            return place, delay + 1, 0
        operation, *pins = self._driver[net]
        found = [self._found[pin] for pin in pins]
        delays = {delay for _, delay, _ in found if delay is not None}
        age = max(item[2] for item in found)
        if len(delays) > 1:
            raise NotAPipelineError(f"a gate sees what is {min(delays)} and what is {max(delays)} registers old")
        delay = delays.pop() if delays else None
        if delay is not None and age > delay:
            raise NotAPipelineError("a constant comes later than the observation that it is needed for")
        place = self._gate(operation, [item[0] for item in found])
        return (place, None, age) if place < 2 else (place, delay, 0)

    def _gate(self, operation: int, pins: list[int]) -> int:
        if operation == _WIRE:
            return pins[0]
        folded = _folded(operation, pins)
        if folded is not None:
            return folded
        if operation != MUX:
            pins = sorted(pins)
        a, b, s = [*pins, 0, 0][:3]
        key = (operation, a, b, s)
        if key not in self._made:
            self._made[key] = self._first + len(self.gates)
            self.gates.append(key)
        return self._made[key]


def _folded(operation: int, pins: list[int]) -> int | None:
    """The net that a gate with these inputs equals, where constants decide it."""
    if all(pin < 2 for pin in pins):
        a, b, s = [*pins, 0, 0][:3]
        return {NOT: 1 - a, AND: a & b, OR: a | b, XOR: a ^ b, XNOR: 1 - (a ^ b), MUX: b if s else a}[operation]
    if operation == AND and 0 in pins:
        return 0
    if operation == OR and 1 in pins:
        return 1
    neutral = {AND: 1, OR: 0, XOR: 0, XNOR: 1}.get(operation)
    if neutral is not None and neutral in pins:
        return pins[1 - pins.index(neutral)]
    if operation == MUX and pins[2] < 2:
        return pins[pins[2]]
    return None


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _sweep(gates: NDArray[np.int64], stimulus: Words, watched: NDArray[np.int64], record: Words) -> None:
    inputs = stimulus.shape[1]
    state = np.zeros((inputs + 2 + len(gates), _GROUP), dtype=np.uint64)
    state[1, :] = ~np.uint64(0)
    for start in range(0, len(stimulus), _GROUP):
        for index in range(inputs):
            for word in range(_GROUP):
                state[index + 2, word] = stimulus[start + word, index]
        for index in range(len(gates)):
            operation, a, b, s = gates[index, 0], gates[index, 1], gates[index, 2], gates[index, 3]
            net = inputs + 2 + index
            if operation == AND:
                for word in range(_GROUP):
                    state[net, word] = state[a, word] & state[b, word]
            elif operation == OR:
                for word in range(_GROUP):
                    state[net, word] = state[a, word] | state[b, word]
            elif operation == XOR:
                for word in range(_GROUP):
                    state[net, word] = state[a, word] ^ state[b, word]
            elif operation == XNOR:
                for word in range(_GROUP):
                    state[net, word] = ~(state[a, word] ^ state[b, word])
            elif operation == NOT:
                for word in range(_GROUP):
                    state[net, word] = ~state[a, word]
            else:
                for word in range(_GROUP):
                    state[net, word] = (state[a, word] & ~state[s, word]) | (state[b, word] & state[s, word])
        for index in range(len(watched)):
            for word in range(_GROUP):
                record[start + word, index] = state[watched[index], word]
