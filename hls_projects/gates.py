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

from hls_projects.yosys import run_yosys
from train.errors import ProjectError
from train.plain import read_json

Words = NDArray[np.uint64]
LANES = 64
"""Copies of the design that run side by side."""

_GATES = {"$_BUF_": 0, "$_NOT_": 1, "$_AND_": 2, "$_OR_": 3, "$_XOR_": 4, "$_XNOR_": 5, "$_MUX_": 6}
_FLIP_FLOP = "$_DFF_P_"
_ELABORATE = (
    "proc", "flatten", "opt_expr", "opt_clean", "memory_map", "simplemap", "techmap", "opt_expr",
    f"dfflegalize -cell {_FLIP_FLOP} 0", "simplemap", "opt_expr", "opt_merge", "opt_clean -purge",
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

    @classmethod
    def load(cls, path: Path) -> Circuit:
        """Read what :func:`elaborate` wrote.

        Raises:
            ProjectError: the file isn't whole.
        """
        data = read_json(path, "build it again with `make synth`")
        try:
            circuit = cls(
                int(data["nets"]), np.array(data["gates"], dtype=np.int64).reshape(-1, 5),
                np.array(data["flip_flops"], dtype=np.int64).reshape(-1, 2),
                {name: np.array(nets, dtype=np.int64).reshape(-1) for name, nets in data["ports"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ProjectError(f"{path}: no whole circuit; build it again with `make synth`") from error
        # Compiled code follows these numbers without looking: one out of range would write into foreign memory.
        nets = [circuit.gates[:, 1:], circuit.flip_flops, *circuit.ports.values()]
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
        _clock(state, self.gates, self.flip_flops, driven, stimulus, watched, record)
        ends = np.cumsum([len(self.ports[name]) for name in outputs])
        return dict(zip(outputs, np.split(record, ends[:-1], axis=1), strict=True))


def elaborate(preparation: Sequence[str], top: str, result: Path) -> None:
    """Bring the design that the Yosys commands ``preparation`` read down to gates and write it to ``result``.

    Flip-flops must share one clock edge, the rising one, and start at 0 or at any value.
    """
    raw = result.with_suffix(".yosys")
    commands = [*preparation, f"hierarchy -top {top}", *_ELABORATE, f"write_json {raw.name}"]
    run_yosys(commands, result.parent, result.with_suffix(".log"))
    module = json.loads(raw.read_text(encoding="utf-8"))["modules"][top]
    raw.unlink()
    result.write_text(json.dumps(_levelled(module)), encoding="utf-8")


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


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _clock(
    state: Words, gates: NDArray[np.int64], flip_flops: NDArray[np.int64], driven: NDArray[np.int64],
    stimulus: Words, watched: NDArray[np.int64], record: Words,
) -> None:
    held = np.zeros(len(flip_flops), dtype=np.uint64)
    for clock in range(len(record)):
        for index in range(len(driven)):
            state[driven[index]] = stimulus[clock, index]
        _settle(state, gates)
        for index in range(len(flip_flops)):
            held[index] = state[flip_flops[index, 1]]
        for index in range(len(flip_flops)):
            state[flip_flops[index, 0]] = held[index]
        _settle(state, gates)
        for index in range(len(watched)):
            record[clock, index] = state[watched[index]]


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _settle(state: Words, gates: NDArray[np.int64]) -> None:
    for index in range(len(gates)):
        operation, out, a, b = gates[index, 0], gates[index, 1], gates[index, 2], gates[index, 3]
        if operation == 0:
            state[out] = state[a]
        elif operation == 1:
            state[out] = ~state[a]
        elif operation == 2:
            state[out] = state[a] & state[b]
        elif operation == 3:
            state[out] = state[a] | state[b]
        elif operation == 4:
            state[out] = state[a] ^ state[b]
        elif operation == 5:
            state[out] = ~(state[a] ^ state[b])
        else:
            select = state[gates[index, 4]]
            state[out] = (state[a] & ~select) | (state[b] & select)


def _levelled(module: dict[str, Any]) -> dict[str, Any]:
    # Net 0 is constant 0, net 1 constant 1; undefined bits count as 0.
    numbers: dict[Any, int] = {"0": 0, "x": 0, "z": 0, "1": 1}

    names = {bit for cell in module["cells"].values() for bits in cell["connections"].values() for bit in bits}
    for port in module["ports"].values():
        names.update(port["bits"])
    numbers.update({bit: number for number, bit in enumerate(sorted(names - set(numbers)), start=2)})
    gates, flip_flops, clocks = [], [], set()
    for name, cell in sorted(module["cells"].items()):
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
    return {"nets": len(names) + 2, "gates": list(_in_order(gates)), "flip_flops": flip_flops, "ports": ports}


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
