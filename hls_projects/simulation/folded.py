"""Backends that simulate a folded core: the Verilog as written, and the netlist of the cells that are placed.

64 copies run side by side, each with observations of its own; what runs when does not depend on them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.yosys import netlist_commands, quoted, verilog_commands
from hls4rl.hls_projects.rtl.folded import INFO, FoldedInfo, read_folded_info
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGITS
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, Words, elaborate, fields_of, integers_of, lanes_of

_PLACE = "simulation"
_RTL, _NETLIST = "rtl", "netlist"
_HERE = Path(__file__).resolve().parent
_CELLS = {"+/ecp5/cells_sim.v": _HERE / "multiplier.v", "+/ice40/cells_sim.v": _HERE / "ice40_memory.v"}
"""Beside a family's models: those that Yosys lacks, or has in another form than this simulator can take."""
_CLOCKS = 1 << 15
"""Clocks simulated at a time, to bound memory."""


def build_rtl_model(directory: Path) -> None:
    """Prepare the Verilog in ``directory`` for :class:`FoldedRtlBackend`."""
    source = directory / f"{LOGITS}.v"
    sources = [source, *directory.glob("*.hex")]
    elaborate(verilog_commands([source]), LOGITS, _model(directory, _RTL), roms=True, sources=sources)


def build_netlist_model(directory: Path, netlist: Path, cells: str) -> None:
    """Prepare the deployed core's netlist (JSON of Yosys) for :class:`FoldedNetlistBackend`.

    Args:
        cells: Yosys' simulation models of the part's cells, for instance ``+/ecp5/cells_sim.v``.
    """
    elaborate(memory_commands(netlist, cells), CORE, _model(directory, _NETLIST), roms=True, sources=[netlist])


def memory_commands(netlist: Path, cells: str) -> list[str]:
    """Yosys commands that read a synthesised netlist (JSON) with memories and multipliers."""
    commands = netlist_commands(netlist, cells)
    if cells in _CELLS:
        commands.append(f"read_verilog -sv -overwrite -icells -defer {quoted(_CELLS[cells])}")
    return commands


class FoldedRtlBackend:
    """The Verilog, with the last layer's results brought out."""

    name = "rtl"

    def __init__(self, directory: Path) -> None:
        self._core = FoldedCore(directory, _RTL)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        return self._core.run(observations)


class FoldedNetlistBackend:
    """The deployed core after synthesis: the cells that are placed, its block RAMs with what they hold."""

    name = "netlist"

    def __init__(self, directory: Path) -> None:
        self._core = FoldedCore(directory, _NETLIST)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`; only actions leave this core."""
        return self._core.run(observations)


class FoldedCore:
    """A simulated core, given a new observation as soon as it takes one, and read as soon as it answers."""

    def __init__(self, directory: Path, name: str) -> None:
        self._info = info = read_folded_info(directory)
        path = _model(directory, name)
        if not path.is_file():
            raise ProjectError(f"{path}: no such simulation model; build it with `make synth`")
        self._circuit = Circuit.load(path)
        ports = self._circuit.ports
        widths = {
            "restart": 1, "in_valid": 1, "in_ready": 1, "out_valid": 1, "out_ready": 1,
            "observation": info.observation_bits, "action": info.action_bits, "value": info.logit_bits,
        }
        if any(len(ports[name]) != width if name in ports else name != "value" for name, width in widths.items()):
            raise ProjectError(f"{path}: its ports do not fit {INFO}; build it again with `make synth`")

    def run(self, observations: IntArray) -> Answer:
        """Actions, shape (batch, dimensions), and results, shape (batch, outputs), where the core has that port."""
        info = self._info
        if observations.ndim != 2 or observations.shape[1] != info.features:
            raise ValueError(f"observations of shape {observations.shape}, not (batch, {info.features})")
        step = max(1, _CLOCKS // info.interval) * LANES
        starts = range(0, max(1, len(observations)), step)
        answers = [self._stream(observations[start:start + step]) for start in starts]
        logits = [answer.logits for answer in answers if answer.logits is not None]
        actions = np.concatenate([answer.actions for answer in answers])
        return Answer(actions, np.concatenate(logits) if logits else None)

    def _stream(self, observations: IntArray) -> Answer:
        info, count = self._info, len(observations)
        turns = -(-count // LANES)
        clocks = (turns - 1) * info.interval + info.cycles + 1
        rows = np.zeros((turns * LANES, info.features), dtype=np.int64)
        rows[:count] = observations
        starts = np.arange(turns) * info.interval
        always = np.full((clocks, 1), ~np.uint64(0))
        valid = np.zeros((clocks, 1), dtype=np.uint64)
        features = np.full((clocks, info.observation_bits), ~np.uint64(0))
        for place in range(info.features):
            valid[starts + place] = ~np.uint64(0)
            features[starts + place] = lanes_of(rows[:, place].reshape(turns, LANES), info.observation_bits)
        outputs = self._circuit.run({
            "restart": np.zeros((clocks, 1), dtype=np.uint64), "in_valid": valid, "out_ready": always,
            "observation": features,
        }, [name for name in ("out_valid", "action", "value_valid", "value") if name in self._circuit.ports], clocks)
        ends = starts + info.cycles
        expected = np.zeros(clocks, dtype=np.uint64)
        expected[ends] = ~np.uint64(0)
        if not np.array_equal(outputs["out_valid"][:, 0], expected):
            raise RuntimeError(f"out_valid does not come {info.cycles} clocks after each observation's first feature")
        actions = fields_of(outputs["action"][ends], info.action_widths, info.action_signed)[:count]
        if "value" not in outputs:
            return Answer(actions, None)
        return Answer(actions, values_of(outputs["value_valid"], outputs["value"], info)[:count])


def values_of(valid: Words, values: Words, info: FoldedInfo) -> IntArray:
    """The last layer's results, shape (observations, outputs), from what came out side by side in 64 copies.

    Raises:
        RuntimeError: they do not come in whole rows, or not in all copies at once.
    """
    times = np.flatnonzero(valid[:, 0])
    if not (valid[times, 0] == ~np.uint64(0)).all() or len(times) % info.outputs:
        raise RuntimeError(f"the last layer's results do not come {info.outputs} at a time in all copies")
    half = 1 << (info.logit_bits - 1)
    numbers = (integers_of(values[times]) + half) % (2 * half) - half
    return numbers.reshape(-1, info.outputs, LANES).transpose(0, 2, 1).reshape(-1, info.outputs)


def _model(directory: Path, name: str) -> Path:
    place = directory / _PLACE
    place.mkdir(exist_ok=True)
    return place / f"{name}.json"
