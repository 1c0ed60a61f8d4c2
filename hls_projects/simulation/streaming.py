"""Backends that simulate a streaming core: the Verilog as written, and the netlist of the cells that are placed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.yosys import netlist_commands, quoted, verilog_commands
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGITS
from hls4rl.hls_projects.rtl.streaming import INFO, read_stream_info
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, elaborate, integers_of, lanes_of

_PLACE = "simulation"
_RTL, _NETLIST = "rtl", "netlist"
_MULTIPLIER = Path(__file__).with_name("multiplier.v")
_FRAMES = 4
"""Frames that each lane gets back to back, to bound memory."""


def is_stream(directory: Path) -> bool:
    """Whether the core in ``directory`` is a streaming one."""
    return (directory / INFO).is_file()


def build_rtl_model(directory: Path) -> None:
    """Prepare the Verilog in ``directory`` for :class:`StreamRtlBackend`."""
    source = directory / f"{LOGITS}.v"
    sources = [source, *directory.glob("*.hex")]
    elaborate(verilog_commands([source]), LOGITS, _model(directory, _RTL), roms=True, sources=sources)


def build_netlist_model(directory: Path, netlist: Path, cells: str) -> None:
    """Prepare the deployed core's netlist (JSON of Yosys) for :class:`StreamNetlistBackend`.

    Args:
        cells: Yosys' simulation models of the part's cells, for instance ``+/ecp5/cells_sim.v``.
    """
    commands = netlist_commands(netlist, f"{cells} {quoted(_MULTIPLIER)}")
    elaborate(commands, CORE, _model(directory, _NETLIST), roms=True, sources=[netlist])


class StreamRtlBackend:
    """The Verilog, with its logits brought out."""

    name = "rtl"

    def __init__(self, directory: Path) -> None:
        self._core = _Core(directory, _RTL)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        return self._core.run(observations)


class StreamNetlistBackend:
    """The deployed core after synthesis: the cells that are placed, its block RAMs with what they hold."""

    name = "netlist"

    def __init__(self, directory: Path) -> None:
        self._core = _Core(directory, _NETLIST)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`; only actions leave this core."""
        return self._core.run(observations)


class _Core:
    """A simulated core, fed one word per clock in each lane, frames back to back."""

    def __init__(self, directory: Path, name: str) -> None:
        self._info = info = read_stream_info(directory)
        path = _model(directory, name)
        if not path.is_file():
            raise ProjectError(f"{path}: no such simulation model; build it with `make synth`")
        self._circuit = Circuit.load(path)
        ports = self._circuit.ports
        widths = {
            "restart": 1, "in_valid": 1, "out_valid": 1, "observation": info.pixels * info.observation_bits,
            "action": info.action_bits, "logits": info.actions * info.logit_bits,
        }
        if any(len(ports[name]) != width if name in ports else name != "logits" for name, width in widths.items()):
            raise ProjectError(f"{path}: its ports do not fit {INFO}; build it again with `make synth`")

    def run(self, observations: IntArray) -> Answer:
        """Actions of shape (batch, 1), and logits, shape (batch, actions), where the core has that port."""
        if observations.ndim != 2 or observations.shape[1] != self._info.features:
            raise ValueError(f"observations of shape {observations.shape}, not (batch, {self._info.features})")
        step = _FRAMES * LANES
        starts = range(0, max(1, len(observations)), step)
        answers = [self._stream(observations[start:start + step]) for start in starts]
        logits = [answer.logits for answer in answers if answer.logits is not None]
        actions = np.concatenate([answer.actions for answer in answers])
        return Answer(actions, np.concatenate(logits) if logits else None)

    def _stream(self, observations: IntArray) -> Answer:
        info, count = self._info, len(observations)
        frames = -(-count // LANES)
        rows = np.zeros((frames * LANES, info.words * info.pixels), dtype=np.int64)
        rows[:count, :info.features] = observations
        # Lanes without a frame get zeros, so that all copies read the same addresses.
        words = rows.reshape(frames, LANES, info.words, info.pixels).transpose(3, 0, 2, 1)
        busy = frames * info.words
        clocks = busy + info.cycles
        pixels = np.zeros((info.pixels, clocks, LANES), dtype=np.int64)
        pixels[:, :busy] = words.reshape(info.pixels, busy, LANES)
        valid = np.zeros((clocks, LANES), dtype=np.int64)
        valid[:busy] = 1
        names = [name for name in ("out_valid", "action", "logits") if name in self._circuit.ports]
        outputs = self._circuit.run({
            "restart": lanes_of(np.zeros_like(valid), 1), "in_valid": lanes_of(valid, 1),
            "observation": np.concatenate([lanes_of(pixel, info.observation_bits) for pixel in pixels], axis=1),
        }, names, clocks)
        ends = info.cycles + np.arange(frames) * info.words
        seen = integers_of(outputs["out_valid"])
        if seen[ends].min(initial=1) < 1 or seen.sum() != frames * LANES:
            raise RuntimeError(f"out_valid does not come {info.cycles} clocks after the first word of each frame")
        actions = integers_of(outputs["action"][ends]).reshape(-1)[:count, None]
        if "logits" not in outputs:
            return Answer(actions, None)
        fields = np.split(outputs["logits"][ends], info.actions, axis=1)
        logits = [_signed(integers_of(field), info.logit_bits).reshape(-1)[:count] for field in fields]
        return Answer(actions, np.stack(logits, axis=1))


def _signed(values: IntArray, bits: int) -> IntArray:
    """Numbers of ``bits`` bits read as two's complement."""
    half = 1 << (bits - 1)
    return (values + half) % (1 << bits) - half


def _model(directory: Path, name: str) -> Path:
    place = directory / _PLACE
    place.mkdir(exist_ok=True)
    return place / f"{name}.json"
