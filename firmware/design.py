"""A policy core inside the link's Verilog: the sources, and the generated top module around them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hls_projects.rtl import CORE, read_info
from train.policy import load_policy
from train.stage import digest

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
        .FEATURES({features}), .BITS({bits}), .ACTIONS({actions}), .POLICY_HASH(64'h{policy_hash:016x}),
        .CLOCKS_PER_BIT({clocks_per_bit})
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
            clocks_per_bit=clocks_per_bit, led="!link_led" if led_active_low else "link_led",
            button_port=",\n    input  wire button" if button else "",
            reset=("!button" if button_active_low else "button") if button else "1'b0",
        )


def load_design(rtl: Path, policy: Path) -> Design:
    """The design of one run.

    Args:
        rtl: directory of ``policy_core.v`` and ``rtl.json``.
        policy: the policy's file, whose hash the board will answer with.

    Raises:
        ProjectError: one of them is missing or not whole.
    """
    info = read_info(rtl)
    load_policy(policy)
    return Design(rtl / f"{CORE}.v", info.features, info.observation_bits, info.actions, policy_hash(policy))


def policy_hash(policy: Path) -> int:
    """First 64 bits of the SHA-256 of the policy's file."""
    return int(digest(policy)[:16], 16)
