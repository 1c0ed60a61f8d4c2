"""Backends that simulate the hardware: the Verilog as written, and the netlist of the cells that are placed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.fpga.parts import Part
from hls4rl.hls_projects.fpga.read_back import bitstream_files, read_back
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.fpga.yosys import netlist_commands, verilog_commands
from hls4rl.hls_projects.rtl.pipelined import CORE, INFO, LOGIT_BITS, LOGITS, RtlInfo, read_info
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, elaborate, fields_of, integers_of, lanes_of

SIMULATION = "simulation"
"""Folder of the models, beside the core."""
BITSTREAM = "bitstream"
"""The model there of what was read back."""
_CLOCKS = 256
"""Clocks simulated at a time, to bound memory."""


def build_rtl_model(directory: Path) -> None:
    """Prepare the RTL in ``directory`` (both cores) for :class:`RtlBackend`."""
    for core in (CORE, LOGITS):
        source = directory / f"{core}.v"
        elaborate(verilog_commands([source]), core, _place(directory, f"rtl_{core}"), sources=[source])


def has_rtl_model(directory: Path) -> bool:
    """Whether :func:`build_rtl_model` was here."""
    return all((directory / SIMULATION / f"rtl_{core}.json").is_file() for core in (CORE, LOGITS))


def build_netlist_model(directory: Path, netlist: Path, cells: str) -> None:
    """Prepare the deployed core's netlist (JSON of Yosys) for :class:`NetlistBackend`.

    Args:
        cells: Yosys' simulation models of the part's cells, for instance ``+/ecp5/cells_sim.v``.
    """
    elaborate(netlist_commands(netlist, cells), CORE, _place(directory, "netlist"), sources=[netlist])


def build_bitstream_model(directory: Path, part: Part) -> None:
    """Prepare the bitstream in ``directory``, read back, for :class:`BitstreamBackend`."""
    with tempfile.TemporaryDirectory(dir=directory, prefix=".bitstream-") as work:
        netlist = Path(work) / NETLIST
        read_back(directory, part, CORE, netlist)
        commands = netlist_commands(netlist, part.tools.models)
        elaborate(commands, CORE, _place(directory, BITSTREAM), sources=bitstream_files(directory, part))


def has_bitstream_model(directory: Path) -> bool:
    """Whether :func:`build_bitstream_model` was here."""
    return (directory / SIMULATION / f"{BITSTREAM}.json").is_file()


class RtlBackend:
    """The Verilog of both cores: actions of the deployed one, logits of the one that brings them out."""

    name = "rtl"

    def __init__(self, directory: Path) -> None:
        self._core = _Core(directory, f"rtl_{CORE}")
        self._check = _Core(directory, f"rtl_{LOGITS}")

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        _, logits = self._check.run(observations)
        return Answer(self._core.run(observations)[0], logits)


class NetlistBackend:
    """The deployed core after synthesis: the cells that are placed."""

    name = "netlist"

    def __init__(self, directory: Path) -> None:
        self._core = _Core(directory, "netlist")

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`; only actions leave this core."""
        return Answer(self._core.run(observations)[0], None)


class BitstreamBackend:
    """The deployed core as its bitstream, read back, makes it of the chip."""

    name = "bitstream"

    def __init__(self, directory: Path) -> None:
        self._core = _Core(directory, BITSTREAM)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`; only actions leave the chip."""
        return Answer(self._core.run(observations)[0], None)


class _Core:
    """A simulated core, fed one observation per clock in each lane."""

    def __init__(self, directory: Path, name: str) -> None:
        self._info = read_info(directory)
        path = directory / SIMULATION / f"{name}.json"
        if not path.is_file():
            raise ProjectError(f"{path}: no such simulation model; build it with `make synth`")
        self._circuit = Circuit.load(path)
        info, ports = self._info, self._circuit.ports
        widths = {
            "in_valid": 1, "out_valid": 1, "observation": info.features * info.observation_bits,
            "action": info.action_bits, "logits": info.outputs * LOGIT_BITS,
        }
        if any(len(ports[name]) != width if name in ports else name != "logits" for name, width in widths.items()):
            raise ProjectError(f"{path}: its ports do not fit {INFO}; build it again with `make synth`")

    def run(self, observations: IntArray) -> tuple[IntArray, IntArray | None]:
        """Actions, shape (batch, dimensions), and outputs, shape (batch, outputs), where the core has that port."""
        if observations.ndim != 2 or observations.shape[1] != self._info.features:
            raise ValueError(f"observations of shape {observations.shape}, not (batch, {self._info.features})")
        step = _CLOCKS * LANES
        starts = range(0, max(1, len(observations)), step)
        answers = [self._stream(observations[start:start + step]) for start in starts]
        logits = [item for _, item in answers if item is not None]
        return np.concatenate([item for item, _ in answers]), np.concatenate(logits) if logits else None

    def _stream(self, observations: IntArray) -> tuple[IntArray, IntArray | None]:
        info, count = self._info, len(observations)
        busy = -(-count // LANES)
        clocks = busy + info.cycles
        rows = np.zeros((clocks * LANES, info.features), dtype=np.int64)
        rows[:count] = observations
        valid = (np.arange(clocks * LANES) < count).astype(np.int64).reshape(clocks, LANES)
        words = [lanes_of(column.reshape(clocks, LANES), info.observation_bits) for column in rows.T]
        names = [name for name in ("out_valid", "action", "logits") if name in self._circuit.ports]
        inputs = {"in_valid": lanes_of(valid, 1), "observation": np.concatenate(words, axis=1)}
        outputs = self._circuit.run(inputs, names, clocks)
        _check_valid(integers_of(outputs["out_valid"]), valid, info)
        actions = fields_of(outputs["action"][info.cycles:], info.action_widths, info.action_signed)[:count]
        if "logits" not in outputs:
            return actions, None
        fields = np.split(outputs["logits"][info.cycles:], info.outputs, axis=1)
        return actions, np.stack([integers_of(field).reshape(-1)[:count] for field in fields], axis=1)


def _check_valid(seen: IntArray, given: IntArray, info: RtlInfo) -> None:
    expected = np.zeros_like(given)
    expected[info.cycles:] = given[:len(given) - info.cycles]
    if not np.array_equal(seen, expected):
        raise RuntimeError(f"out_valid does not follow in_valid by {info.cycles} clocks")


def _place(directory: Path, name: str) -> Path:
    place = directory / SIMULATION
    place.mkdir(exist_ok=True)
    return place / f"{name}.json"
