"""When a board is given up, and why: the time since it last helped, and what came from it meanwhile."""

from __future__ import annotations

import dataclasses
import errno
import time
from dataclasses import dataclass, fields

from serial.tools import list_ports

from hls4rl.errors import ProjectError


@dataclass
class Counters:
    """What happened on the link since it was opened."""

    requests: int = 0
    """Inference frames sent, repeated ones included."""
    answers: int = 0
    """Actions received and used."""
    retries: int = 0
    """Requests sent again: they or their answers were lost."""
    damaged_answers: int = 0
    """Frames from the board that failed a check."""
    damaged_requests: int = 0
    """Frames that the board dropped because they failed a check, as far as it could tell us."""
    surplus_answers: int = 0
    """Good answers that nobody waited for: doubled or late."""
    identities: int = 0
    """Times that the board said who it is, when asked."""
    echoes: int = 0
    """Frames that came back as the host had sent them."""
    silences: int = 0
    """Times that answers were due and nothing came."""
    blocked_writes: int = 0
    """Times that the port took no more bytes."""
    reconnections: int = 0
    """Times that the port went away and came back."""
    power_cycles: int = 0
    """Times that the board had forgotten what it had counted."""
    bytes_sent: int = 0
    bytes_received: int = 0

    @property
    def faults(self) -> int:
        """Faults noticed: each lost request or answer, each surplus answer, each reconnection and power cycle."""
        return self.retries + self.surplus_answers + self.reconnections + self.power_cycles

    def to_json(self) -> dict[str, int]:
        """The counters by name."""
        return {item.name: int(getattr(self, item.name)) for item in fields(self)}


class Patience:
    """The time that a board has to give one answer that is of use, whatever else it sends."""

    def __init__(self, seconds: float, counters: Counters) -> None:
        """Start to wait now.

        Args:
            seconds: from one answer of use to the next.
            counters: of the link, which tell what came instead.
        """
        self.seconds, self._counters = seconds, counters
        self.renew()

    def renew(self) -> None:
        """An answer was of use, or the first one is due from now on."""
        self._deadline = time.monotonic() + self.seconds
        self._before = dataclasses.replace(self._counters)

    @property
    def remaining(self) -> float:
        """Seconds that are left, never below 0."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time has passed."""
        return time.monotonic() >= self._deadline

    def cause(self, baud: int) -> str:
        """Why no answer was of use since the last that was, and what to do, in one sentence."""
        new = {name: value - getattr(self._before, name) for name, value in self._counters.to_json().items()}
        seconds, received = f"{self.seconds:g} s", f"{new['bytes_received']:,} bytes"
        if new["identities"]:
            return (
                f"the board says who it is, but answered none of {new['requests']:,} requests for {seconds} "
                f"({new['damaged_answers']:,} damaged frames came); load its bitstream anew (make bitstream)"
            )
        if new["echoes"]:
            return (
                f"the port gives back what it is sent, for {seconds}; this is no board, or its two data lines touch: "
                "choose another port, or check the wires"
            )
        if new["surplus_answers"]:
            return (
                f"{new['surplus_answers']:,} answers in {seconds}, but none to a request of this host; close the other "
                "program that uses the board, or load its bitstream anew (make bitstream)"
            )
        if new["bytes_received"]:
            return (
                f"{received} in {seconds}, but not one whole frame; check that this is the board's port, that its "
                f"bitstream is loaded (make bitstream) and that it runs at {baud} baud"
            )
        if new["reconnections"]:
            return f"the port went away {new['reconnections']:,} times in {seconds}; check the cable and the power"
        if new["blocked_writes"]:
            return f"the port takes no bytes for {seconds}; check its flow control, and that this is the board's port"
        return (
            f"the board is silent for {seconds}; check that it has power, that its bitstream is loaded (make "
            f"bitstream) and that it runs at {baud} baud"
        )


def port_error(port: str, error: Exception) -> ProjectError:
    """Why ``port`` cannot be opened, and what to do."""
    code = getattr(error, "errno", None)
    if code == errno.EACCES:
        return ProjectError(f"{port}: no permission; add yourself to the group that owns it (sudo usermod -aG dialout "
                            "$USER, then log in again)")
    if code == errno.EBUSY:
        return ProjectError(f"{port}: another program has it open; close that one")
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        found = ", ".join(sorted(item.device for item in list_ports.comports())) or "none"
        return ProjectError(f"{port}: no such port; plug the board in or choose another one (found: {found}), "
                            "or PORT=sim for the simulated board")
    return ProjectError(f"{port}: cannot be opened as a serial port ({' '.join(str(error).split())}); choose another")
