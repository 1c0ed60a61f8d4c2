"""What a shell is: a bus, a core, and how observations and answers are cut into beats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hls4rl.errors import ProjectError
from hls4rl.firmware.design import load_design, policy_hash
from hls4rl.hls_projects.rtl.folded import is_folded, read_folded_info
from hls4rl.hls_projects.rtl.pipelined import CORE, read_info
from hls4rl.hls_projects.rtl.streaming import read_stream_info
from hls4rl.hls_projects.simulation.streaming import is_stream
from hls4rl.run import Run

BUSES = ("axis", "axil", "wishbone")
"""AXI4-Stream; registers on AXI4-Lite; registers on Wishbone B4."""
TOP = "policy"
"""The generated module."""
VERILOG = Path(__file__).resolve().parent / "verilog"
REGISTER_BITS = 32
_STREAM_BITS = 1024
"""Widest beat of a stream: 128 bytes, as AXI4-Stream's data widths end."""
_FIRST_ACTION = 16
"""Number of the register of an action's first integer."""
UNROLLED, STREAMING, FOLDED = range(3)


@dataclass(frozen=True)
class Shell:
    """One core behind one bus."""

    bus: str
    core: Path
    """The policy core's Verilog."""
    memories: tuple[Path, ...]
    """Files that it reads from the working directory."""
    kind: int
    """:data:`UNROLLED`, :data:`STREAMING` or :data:`FOLDED`."""
    features: int
    feature_bits: int
    word_features: int
    """Features that the core takes at once."""
    action_widths: tuple[int, ...]
    action_signed: bool
    cycles: int
    """Of the core: clocks from an observation's first word to its answer."""
    policy_hash: int
    """First 64 bits of the SHA-256 of the policy's file."""

    def __post_init__(self) -> None:
        if self.bus not in BUSES:
            raise ProjectError(f"--bus {self.bus!r}: no such bus; choose one of {', '.join(BUSES)}")

    @property
    def lane_bits(self) -> int:
        """Of a feature in a beat: whole bytes, so that an array of int8_t or int16_t is what goes over the bus."""
        return 8 if self.feature_bits <= 8 else 16

    @property
    def lanes(self) -> int:
        """Features of a beat."""
        return min(self.word_features, (_STREAM_BITS if self.bus == "axis" else REGISTER_BITS) // self.lane_bits)

    @property
    def beats(self) -> int:
        """Beats that make a word of the core."""
        return -(-self.word_features // self.lanes)

    @property
    def words(self) -> int:
        """Words of the core that make an observation."""
        return -(-self.features // self.word_features)

    @property
    def observation_beats(self) -> int:
        """Beats that make an observation."""
        return self.beats * self.words

    @property
    def in_bits(self) -> int:
        """Of ``s_axis_tdata``: a power of two of bytes."""
        return _power(self.lanes * self.lane_bits)

    @property
    def action_lane(self) -> int:
        """Of one integer of the action in ``m_axis_tdata``: 8, 16 or 32 bits."""
        return _power(max(self.action_widths))

    @property
    def out_bits(self) -> int:
        """Of ``m_axis_tdata``."""
        return _power(len(self.action_widths) * self.action_lane)

    @property
    def depth_bits(self) -> int:
        """Of the address of the queue of answers: as many observations as can be under way in the core, and some."""
        under_way = self.cycles + 4 if self.kind == UNROLLED else 4
        return max(2, (under_way - 1).bit_length())

    @property
    def drain(self) -> int:
        """Clocks after a reset for which the core may still answer what it took before."""
        return 1 if self.kind == FOLDED else self.cycles + 2

    @property
    def address_bits(self) -> int:
        """Of a register's number."""
        return (_FIRST_ACTION + len(self.action_widths) - 1).bit_length()

    @property
    def parameters(self) -> dict[str, str]:
        """Of the shell's Verilog, by name."""
        ends = [sum(self.action_widths[:index + 1]) for index in range(len(self.action_widths))]
        packed = sum(end << (16 * index) for index, end in enumerate(ends))
        own: dict[str, int | str]
        own = {"ACTION_LANE": self.action_lane, "IN_BITS": self.in_bits, "OUT_BITS": self.out_bits}
        if self.bus != "axis":
            own = {"POLICY_HASH": f"64'h{self.policy_hash:016x}", "ADDRESS_BITS": self.address_bits}
        values = {
            "KIND": self.kind, "FEATURES": self.features, "FEATURE_BITS": self.feature_bits,
            "LANE_BITS": self.lane_bits, "LANES": self.lanes, "BEATS": self.beats, "WORDS": self.words,
            "WORD_FEATURES": self.word_features, "ACTION_BITS": sum(self.action_widths),
            "ACTIONS": len(self.action_widths), "ACTION_ENDS": f"{16 * len(ends)}'h{packed:x}",
            "ACTION_SIGNED": int(self.action_signed), "DEPTH_BITS": self.depth_bits, "DRAIN": self.drain, **own,
        }
        return {name: str(value) for name, value in values.items()}

    @property
    def sources(self) -> list[Path]:
        """Verilog files beside the generated top and the core."""
        names = ["shell_core", f"shell_{self.bus}", *(["shell_registers"] if self.bus != "axis" else [])]
        return [VERILOG / f"{name}.v" for name in names]


def load_shell(run: Run, part: str, bus: str) -> Shell:
    """The shell for ``bus`` around the core that was built for ``part``.

    Raises:
        ProjectError: it isn't built, a file of it isn't the one that was made, or there is no such bus.
    """
    load_design(run, part)  # its checks
    return shell_of(run.part(part), bus, policy_hash(run.policy))


def shell_of(rtl: Path, bus: str, hash: int) -> Shell:
    """The shell for ``bus`` around the core whose Verilog lies in ``rtl``."""
    core, memories = rtl / f"{CORE}.v", tuple(sorted(rtl.glob("*.hex")))
    if is_stream(rtl):
        stream = read_stream_info(rtl)
        return Shell(
            bus, core, memories, STREAMING, stream.features, stream.observation_bits, stream.pixels,
            (stream.action_bits,), False, stream.cycles, hash,
        )
    if is_folded(rtl):
        folded = read_folded_info(rtl)
        return Shell(
            bus, core, memories, FOLDED, folded.features, folded.observation_bits, 1, folded.action_widths,
            folded.action_signed, folded.cycles, hash,
        )
    info = read_info(rtl)
    return Shell(
        bus, core, (), UNROLLED, info.features, info.observation_bits, info.features, info.action_widths,
        info.action_signed, info.cycles, hash,
    )


def _power(bits: int) -> int:
    """The next width that is a power of two of bytes."""
    return 8 << max(0, (bits - 1).bit_length() - 3)
