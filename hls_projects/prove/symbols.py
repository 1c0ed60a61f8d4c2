"""Boolean functions of an observation as one graph in which no two nodes are the same gate of the same inputs.

A *literal* is a number: 0 and 1 are the constants, 2·n is node n, 2·n + 1 its complement, and :data:`UNKNOWN` a bit of
which nothing is known. The first nodes are variables: those of the observations, then *loose* ones, which stand for a
bit of which nothing is known for as long as one clock is worked out: so x and not x is 0 whatever x is. A later node is
a gate of literals that came before it, and loose if one of them is.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from hls4rl.hls_projects.prove.logic import AND, MUX, NOT, OR, XOR, Logic

Literals = NDArray[np.int32]
One = Any
"""A literal in compiled code: an int64."""
UNKNOWN = -1
_AND, _XOR = 0, 1
"""In a node's third place, where a multiplexer (of the first two) has its select."""
_START = 1 << 16
_FACTORS = tuple(np.uint64(item) for item in (0xA545F4914F6CDD1D, 0x9B873593CC9E2D51, 0xC65667B19E3779F9))

Arrays = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]
"""Of a graph: nodes, shape (capacity, 3); a hash table of their numbers; how many there are, 0 counted; of each node
whether it is loose."""


class Graph:
    """The nodes so far. Compiled code adds to :attr:`arrays`, where :meth:`reserve` has made room."""

    def __init__(self, known: int, loose: int = 0) -> None:
        """With so many variables of each kind: 1 … ``known``, and those after."""
        self.known, self.variables = known, known + loose
        self.arrays = _arrays(_START, np.array([self.variables + 1], dtype=np.int64))
        self.reserve(0)
        self.arrays[3][known + 1:self.variables + 1] = True

    def reserve(self, room: int) -> None:
        """Make room for so many nodes more."""
        nodes, _, count, loose = self.arrays
        capacity = len(nodes)
        while capacity < int(count[0]) + room:
            capacity *= 2
        if capacity > len(nodes):
            self.arrays = _arrays(capacity, count)
            self.arrays[0][:len(nodes)], self.arrays[3][:len(nodes)] = nodes, loose
            _rehash(self.arrays, self.variables + 1)

    def logic(self, inputs: int, outputs: dict[str, Literals]) -> Logic:
        """The gates that ``outputs`` need, in which variables 1 … ``inputs`` are the observation's bits.

        Raises:
            ValueError: an output depends on another variable, or is unknown.
        """
        roots = np.concatenate([np.zeros(0, dtype=np.int32), *outputs.values()])
        if (roots < 0).any():
            raise ValueError("it depends on what was there before")
        needed = _cone(self.arrays[0], roots)
        if needed[inputs + 1:self.variables + 1].any():
            raise ValueError("it depends on another observation")
        gates, nets = _emitted(self.arrays[0], needed, self.variables, inputs, roots)
        ends = np.cumsum([len(item) for item in outputs.values()])
        return Logic(inputs, gates, dict(zip(outputs, np.split(nets, ends[:-1]), strict=True)))


def _arrays(capacity: int, count: NDArray[np.int64]) -> Arrays:
    return (np.zeros((capacity, 3), dtype=np.int32), np.zeros(4 * capacity, dtype=np.int32), count,
            np.zeros(capacity, dtype=np.bool_))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _hash(a: One, b: One, s: One, size: int) -> Any:
    # Without a sign: what signed numbers overflow to is not the same everywhere in compiled code.
    mixed = np.uint64(a) * _FACTORS[0] + np.uint64(b) * _FACTORS[1] + np.uint64(s) * _FACTORS[2]
    return np.int64((mixed ^ (mixed >> np.uint64(29)) ^ (mixed >> np.uint64(47))) & np.uint64(size - 1))


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _rehash(graph: Arrays, first: int) -> None:
    nodes, table, count, _ = graph
    for node in range(first, count[0]):
        place = _hash(np.int64(nodes[node, 0]), np.int64(nodes[node, 1]), np.int64(nodes[node, 2]), len(table))
        while table[place]:
            place = (place + 1) & (len(table) - 1)
        table[place] = node


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _node(graph: Arrays, a: One, b: One, s: One) -> One:
    """The literal of a gate, which is made if there is none."""
    nodes, table, count, loose = graph
    place = _hash(a, b, s, len(table))
    while table[place]:
        node = np.int64(table[place])
        if nodes[node, 0] == a and nodes[node, 1] == b and nodes[node, 2] == s:
            return 2 * node
        place = (place + 1) & (len(table) - 1)
    node = count[0]
    nodes[node, 0], nodes[node, 1], nodes[node, 2] = a, b, s
    loose[node] = loose[a >> 1] or loose[b >> 1] or loose[s >> 1]
    table[place] = node
    count[0] = node + 1
    return 2 * node


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def inverted(a: One) -> One:
    """Not."""
    return a if a < 0 else a ^ 1


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def firm(graph: Arrays, a: One) -> One:
    """The same, but unknown where it is loose."""
    return -1 if a < 0 or graph[3][a >> 1] else a


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def both(graph: Arrays, a: One, b: One) -> One:
    """And."""
    if a == 0 or b == 0:
        return 0
    if a == 1 or a == b:
        return b
    if b == 1:
        return a
    if a < 0 or b < 0:
        return -1
    if a == b ^ 1:
        return 0
    return _node(graph, min(a, b), max(a, b), _AND)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def different(graph: Arrays, a: One, b: One) -> One:
    """Exclusive or."""
    if a < 0 or b < 0:
        return -1
    flip = (a ^ b) & 1
    a, b = a >> 1 << 1, b >> 1 << 1
    if a == b:
        return flip
    if a == 0 or b == 0:
        return (a | b) ^ flip
    return _node(graph, min(a, b), max(a, b), _XOR) ^ flip


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def chosen(graph: Arrays, a: One, b: One, s: One) -> One:
    """``a`` where ``s`` is 0, ``b`` where it is 1."""
    if s == 0 or a == b:
        return a
    if s == 1:
        return b
    if s < 0 or a < 0 or b < 0:
        return -1
    if s & 1:
        a, b, s = b, a, s ^ 1
    if a == 0 or a == s:
        return both(graph, s, b)
    if b == 1 or b == s:
        return inverted(both(graph, s ^ 1, a ^ 1))
    if a == 1 or a == s ^ 1:
        return inverted(both(graph, s, b ^ 1))
    if b == 0 or b == s ^ 1:
        return both(graph, s ^ 1, a)
    if a == b ^ 1:
        return different(graph, a, s)
    flip = a & 1
    return _node(graph, a ^ flip, b ^ flip, s) ^ flip


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def settle(graph: Arrays, gates: NDArray[np.int64], literals: Literals) -> None:
    """Bring all gates' outputs in ``literals`` (one of each net) up to date.

    Args:
        gates: as :class:`hls4rl.hls_projects.simulation.gates.Circuit` has them.
    """
    for index in range(len(gates)):
        operation = gates[index, 0]
        a, b = np.int64(literals[gates[index, 2]]), np.int64(literals[gates[index, 3]])
        if operation == 0:
            result = a
        elif operation == 1:
            result = inverted(a)
        elif operation == 2:
            result = both(graph, a, b)
        elif operation == 3:
            result = inverted(both(graph, inverted(a), inverted(b)))
        elif operation == 4:
            result = different(graph, a, b)
        elif operation == 5:
            result = inverted(different(graph, a, b))
        else:
            result = chosen(graph, a, b, np.int64(literals[gates[index, 4]]))
        literals[gates[index, 1]] = result


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _cone(nodes: NDArray[np.int32], roots: Literals) -> NDArray[np.bool_]:
    """Of each node up to the last root whether a root needs it."""
    needed = np.zeros(max(roots.max(), 1) // 2 + 1, dtype=np.bool_)
    for root in roots:
        needed[root >> 1] = True
    for node in range(len(needed) - 1, 0, -1):
        if needed[node]:
            needed[nodes[node, 0] >> 1] = True
            needed[nodes[node, 1] >> 1] = True
            needed[nodes[node, 2] >> 1] = True
    return needed


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _emitted(
    nodes: NDArray[np.int32], needed: NDArray[np.bool_], variables: int, inputs: int, roots: Literals
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gates as :class:`Logic` has them, and the roots' nets."""
    nets = np.full(2 * len(needed), -1, dtype=np.int64)      # of each literal
    nets[0], nets[1] = 0, 1
    for node in range(1, min(inputs + 1, len(needed))):
        nets[2 * node] = node + 1
    gates = np.zeros((3 * len(needed) + len(roots), 4), dtype=np.int64)
    count = 0
    for node in range(variables + 1, len(needed)):
        if not needed[node]:
            continue
        a, b, s = nodes[node, 0], nodes[node, 1], nodes[node, 2]
        neither = s == _AND and a & 1 == 1 and b & 1 == 1    # two complements: or, of which this is the complement
        pins = np.array([a ^ neither, b ^ neither, 0 if s < 2 else s])
        for index in range(3):
            count = _inverter(gates, nets, pins[index], inputs, count)
        gates[count, 0] = OR if neither else AND if s == _AND else XOR if s == _XOR else MUX
        for index in range(3):
            gates[count, index + 1] = nets[pins[index]]
        nets[2 * node + neither] = inputs + 2 + count
        count += 1
    for root in roots:
        count = _inverter(gates, nets, root, inputs, count)
    return gates[:count].copy(), nets[roots]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _inverter(gates: NDArray[np.int64], nets: NDArray[np.int64], literal: int, inputs: int, count: int) -> int:
    """Give ``literal`` a net if only its complement has one; returns the number of gates."""
    if nets[literal] < 0:
        gates[count, 0], gates[count, 1] = NOT, nets[literal ^ 1]
        nets[literal] = inputs + 2 + count
        count += 1
    return count
