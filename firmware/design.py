"""A policy core inside the link's Verilog: the sources, and the generated top module around them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from hls4rl.artefact import digest
from hls4rl.errors import ProjectError
from hls4rl.firmware.protocol import MAXIMUM_ACTION_BITS, ActionFormat
from hls4rl.hls_projects.fpga.parts import Part, load_part
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.rtl.folded import is_folded, read_folded_info
from hls4rl.hls_projects.rtl.pipelined import CORE, read_info
from hls4rl.hls_projects.rtl.streaming import read_stream_info
from hls4rl.hls_projects.simulation.streaming import is_stream
from hls4rl.plain import read_json
from hls4rl.run import Run

VERILOG = Path(__file__).resolve().parent / "verilog"

_TOP = """// Generated: policy {policy_hash:016x} behind a serial port.
module board (
    input  wire clk,
    input  wire rx,
    output wire tx,
    output wire led{button_port}
);
    wire link_led;
    assign led = {led};
    policy_link #(
        .FEATURES({features}), .BITS({bits}), .ACTION_BITS({action_bits}), .WORDS({words}), .WORD_BITS({word_bits}),
        .HANDSHAKE({handshake}),
        .POLICY_HASH(64'h{policy_hash:016x}), .CLOCKS_PER_BIT({clocks_per_bit})
    ) link (.clk(clk), .reset({reset}), .rx(rx), .tx(tx), .led(link_led));
endmodule
"""


@dataclass(frozen=True)
class Netlist:
    """The policy core as it was synthesised, counted, placed and proven for a part."""

    file: Path
    part: Part
    recipe: str
    """By which it was synthesised."""


@dataclass(frozen=True)
class Design:
    """What goes into a board, whatever board it is."""

    core: Path
    """The policy core's Verilog."""
    features: int
    bits: int
    """Width of one feature."""
    action: ActionFormat
    policy_hash: int
    """First 64 bits of the SHA-256 of the policy's file."""
    inputs_per_clock: int = 0
    """Features that a streaming or folded core takes per clock; 0: all at once."""
    memories: tuple[Path, ...] = ()
    """Files that the core's Verilog reads from the working directory: what its block RAMs hold."""
    folded: bool = False
    """Whether it is a folded core."""

    @property
    def words(self) -> int:
        """Clocks in which a streaming core takes an observation; 0 for other cores."""
        return -(-self.features // self.inputs_per_clock) if self.inputs_per_clock else 0

    def copy_memories(self, directory: Path) -> None:
        """Put :attr:`memories` where the tools will look for them."""
        for path in self.memories:
            shutil.copyfile(path, directory / path.name)

    @property
    def sources(self) -> list[Path]:
        """Verilog files, without the generated top."""
        return [*self.link, self.core]

    @property
    def link(self) -> list[Path]:
        """Verilog files of the link alone."""
        return sorted(VERILOG.glob("*.v"))

    def top(
        self, clocks_per_bit: int, led_active_low: bool = False, button: bool = False, button_active_low: bool = False
    ) -> str:
        """Verilog of the module ``board``: ports ``clk rx tx led`` and, with a reset button, ``button``."""
        return _TOP.format(
            policy_hash=self.policy_hash, features=self.features, bits=self.bits, action_bits=self.action.bits,
            words=self.words, word_bits=max(1, self.inputs_per_clock * self.bits), handshake=int(self.folded),
            clocks_per_bit=clocks_per_bit, led="!link_led" if led_active_low else "link_led",
            button_port=",\n    input  wire button" if button else "",
            reset=("!button" if button_active_low else "button") if button else "1'b0",
        )


def load_design(run: Run, part: str) -> Design:
    """The design of one run, from the core that was built for ``part``.

    Raises:
        ProjectError: it isn't built, or a file of it isn't the one that was made.
    """
    rtl, policy = run.verified(run.part(part)), run.policy
    network = run.load_policy().network
    if is_stream(rtl):
        stream = read_stream_info(rtl)
        format = ActionFormat((stream.action_bits,), choices=(stream.actions,))
        return Design(
            rtl / f"{CORE}.v", stream.features, stream.observation_bits, format, policy_hash(policy), stream.pixels,
            tuple(sorted(rtl.glob("*.hex"))),
        )
    if is_folded(rtl):
        folded = read_folded_info(rtl)
        return Design(
            rtl / f"{CORE}.v", folded.features, folded.observation_bits,
            _checked(ActionFormat(folded.action_widths, folded.action_signed, network.choices), rtl),
            policy_hash(policy), 1, memories=tuple(sorted(rtl.glob("*.hex"))), folded=True,
        )
    info = read_info(rtl)
    format = _checked(ActionFormat(info.action_widths, info.action_signed, network.choices), rtl)
    return Design(rtl / f"{CORE}.v", info.features, info.observation_bits, format, policy_hash(policy))


def _checked(format: ActionFormat, rtl: Path) -> ActionFormat:
    if format.bits > MAXIMUM_ACTION_BITS:
        raise ProjectError(
            f"{rtl}: an action of {format.bits} bits is more than the {MAXIMUM_ACTION_BITS} that an answer of the link "
            "holds; take fewer action.bits"
        )
    return format


def load_netlist(run: Run, part: str) -> Netlist:
    """The core of one run as it was synthesised for ``part``.

    Raises:
        ProjectError: it isn't built, or a file of it isn't the one that was made.
    """
    place, remedy = run.verified(run.part(part)), "build it again with `make synth`"
    result = read_json(place / RESULT, remedy)
    try:
        return Netlist(place / NETLIST, load_part(part), str(result["recipe"]))
    except KeyError as error:
        raise ProjectError(f"{place / RESULT}: no {error}; {remedy}") from error


def policy_hash(policy: Path) -> int:
    """First 64 bits of the SHA-256 of the policy's file."""
    return int(digest(policy)[:16], 16)
