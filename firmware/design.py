"""A policy core inside the link's Verilog: the sources, and the generated top module around them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from hls4rl.hls_projects.rtl.pipelined import CORE, read_info
from hls4rl.hls_projects.rtl.streaming import read_stream_info
from hls4rl.hls_projects.simulation.streaming import is_stream
from hls4rl.policy import load_policy
from hls4rl.stage import digest

VERILOG = Path(__file__).resolve().parent / "verilog"
MAXIMUM_ACTIONS = 256

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
        .FEATURES({features}), .BITS({bits}), .ACTIONS({actions}), .WORDS({words}), .WORD_BITS({word_bits}),
        .POLICY_HASH(64'h{policy_hash:016x}), .CLOCKS_PER_BIT({clocks_per_bit})
    ) link (.clk(clk), .reset({reset}), .rx(rx), .tx(tx), .led(link_led));
endmodule
"""


@dataclass(frozen=True)
class Design:
    """What goes into a board, whatever board it is."""

    core: Path
    """The policy core's Verilog."""
    features: int
    bits: int
    """Width of one feature."""
    actions: int
    policy_hash: int
    """First 64 bits of the SHA-256 of the policy's file."""
    word_inputs: int = 0
    """Features that a streaming core takes a clock; 0: all at once."""
    memories: tuple[Path, ...] = ()
    """Files that the core's Verilog reads from the working directory: what a streaming core's block RAMs hold."""

    @property
    def words(self) -> int:
        """Clocks in which a streaming core takes an observation; 0 for other cores."""
        return -(-self.features // self.word_inputs) if self.word_inputs else 0

    def copy_memories(self, directory: Path) -> None:
        """Put :attr:`memories` where the tools will look for them."""
        for path in self.memories:
            shutil.copyfile(path, directory / path.name)

    @property
    def sources(self) -> list[Path]:
        """Verilog files, without the generated top."""
        return [*sorted(VERILOG.glob("*.v")), self.core]

    def top(
        self, clocks_per_bit: int, led_active_low: bool = False, button: bool = False, button_active_low: bool = False
    ) -> str:
        """Verilog of the module ``board``: ports ``clk rx tx led`` and, with a reset button, ``button``."""
        return _TOP.format(
            policy_hash=self.policy_hash, features=self.features, bits=self.bits, actions=self.actions,
            words=self.words, word_bits=max(1, self.word_inputs * self.bits),
            clocks_per_bit=clocks_per_bit, led="!link_led" if led_active_low else "link_led",
            button_port=",\n    input  wire button" if button else "",
            reset=("!button" if button_active_low else "button") if button else "1'b0",
        )


def load_design(rtl: Path, policy: Path) -> Design:
    """The design of one run.

    Args:
        rtl: directory of ``policy_core.v`` and ``rtl.json``, or, of a streaming core, ``stream.json``.
        policy: the policy's file, whose hash the board will answer with.

    Raises:
        ProjectError: one of them is missing or not whole.
    """
    load_policy(policy)
    if is_stream(rtl):
        stream = read_stream_info(rtl)
        return Design(
            rtl / f"{CORE}.v", stream.features, stream.observation_bits, stream.actions, policy_hash(policy),
            stream.pixels, tuple(sorted(rtl.glob("*.hex"))),
        )
    info = read_info(rtl)
    return Design(rtl / f"{CORE}.v", info.features, info.observation_bits, info.outputs, policy_hash(policy))


def policy_hash(policy: Path) -> int:
    """First 64 bits of the SHA-256 of the policy's file."""
    return int(digest(policy)[:16], 16)
