"""The host's end of the link: asks a board, real or simulated, over a serial port, whatever the wire does.

Many requests are in flight at once, so that the wire and not the round trip sets the speed. Every request has a
number, answers come in order: a number that is skipped was lost and is sent again under a new number; a number
that nobody waits for is a doubled or late answer and is dropped. After a silence, or when the port came back, the
board is identified again before anything else is believed. A board that gives no answer of use for the patience's time
is given up, whatever else it sends.
"""

from __future__ import annotations

import contextlib
import random
import termios
import time
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import serial

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.firmware import protocol
from hls4rl.firmware.patience import Counters, Patience, port_error
from hls4rl.firmware.protocol import Action, ActionFormat, EchoError, FrameError, Identity

_MAXIMUM_FRAME = 1 << 10
"""No answer is as long as this; a flood without a delimiter is dropped at this length."""

_POLL = 0.02
"""Seconds between attempts to open a port that went away."""

_KERNEL_BUFFER = 4096
"""Bytes that an operating system keeps for a port, which must drain before it takes more."""


@dataclass(frozen=True)
class Expected:
    """Which policy the host wants to talk to; see :class:`hls4rl.firmware.protocol.Identity`."""

    features: int
    bits: int
    action: ActionFormat
    policy_hash: int
    inputs_per_clock: int = 0
    """Features that a streaming core takes per clock; 0: all at once."""

    def frames(self, sequences: list[int], packed: list[bytes]) -> bytes:
        """Inference requests of what :meth:`pack` gave."""
        return protocol.infer_requests(sequences, packed, coded=self.inputs_per_clock > 0)

    def pack(self, observations: IntArray) -> list[bytes]:
        """The bodies of inference requests; ``observations``: int64, shape (batch, features)."""
        if self.inputs_per_clock:
            return protocol.code_observations(observations, self.bits, self.inputs_per_clock)
        return protocol.pack_observations(observations, self.bits)


class Link:
    """A board on a serial port, as a :class:`hls4rl.backend.Backend`.

    Use it as a context manager::

        with Link("/dev/ttyUSB0", 1_000_000, expected) as board:
            actions = board.infer(observations).actions
    """

    name = "board"

    def __init__(
        self, port: str, baud: int, expected: Expected, *, timeout: float = 0.5, patience: float = 10.0,
        window: int = protocol.WINDOW, attempts: int = 1000,
    ) -> None:
        """Describe a link; nothing is opened yet.

        Args:
            port: device, for instance ``/dev/ttyUSB0``.
            baud: bits per second.
            expected: the policy that must answer.
            timeout: seconds of silence after which answers count as lost, at most; while all goes well the limit
                falls to a twenty-fifth of it, or to more where answers counted as lost turned out to be late.
            patience: seconds from one action (or asked-for identity) to the next after which the board is given up,
                whatever it sends meanwhile. So :meth:`infer` takes at most this for each observation.
            window: requests in flight, 1 to :data:`hls4rl.firmware.protocol.WINDOW`.
            attempts: how often one request is sent at most.
        """
        if not 1 <= window <= protocol.WINDOW:
            raise ValueError(f"window is 1 to {protocol.WINDOW}, not {window}")
        self.counters = Counters()
        self.identity: Identity | None = None
        self._port, self._baud, self._expected = port, baud, expected
        if expected.inputs_per_clock:
            window = 1  # the board keeps one such observation
        self._timeout, self._window, self._attempts = timeout, window, attempts
        self._write_timeout = timeout + _KERNEL_BUFFER * protocol.BITS_PER_BYTE / baud
        self._patience = Patience(patience, self.counters)
        self._silence = timeout  # the limit now
        self._shortest = timeout / 25
        self._serial: Any = None
        self._buffer = b""
        self._sequence = random.randrange(1 << 16)
        self._seen = 0  # good answers since the last identity

    def __enter__(self) -> Link:
        """Open the port and identify the board.

        Raises:
            ProjectError: the port is missing or not ours, the board is silent or holds another policy.
        """
        try:
            self._serial = self._open()
        except (OSError, ValueError) as error:
            raise port_error(self._port, error) from error
        try:
            self.identify()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the port."""
        if self._serial is not None:
            with contextlib.suppress(OSError, termios.error):
                self._serial.reset_output_buffer()  # what a board doesn't take would hold the close up
            with contextlib.suppress(OSError):
                self._serial.close()
            self._serial = None

    def identify(self) -> Identity:
        """Ask the board who it is; everything it said before is dropped.

        Raises:
            ProjectError: no answer within the patience, or not the expected policy.
        """
        self._patience.renew()
        return self._identify()

    def _identify(self) -> Identity:
        identity = None
        while identity is None:
            self._check_patience()
            try:
                identity = self._ask_identity()
            except OSError:
                self._reopen()
        self.counters.identities += 1
        self._judge(identity)
        self._account(identity)
        return identity

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`; only actions come from a board.

        Raises:
            ProjectError: no action came for longer than the patience, or one that the policy doesn't have, or the board
                holds another policy now.
        """
        packed = self._expected.pack(observations)
        actions = np.full((len(packed), len(self._expected.action.widths)), -1, dtype=np.int64)
        waiting = deque(range(len(packed)))
        flight: dict[int, int] = {}  # sequence number: row, oldest first
        tries = [0] * len(packed)
        self._patience.renew()
        while waiting or flight:
            try:
                self._send(waiting, flight, packed, tries)
                lost = self._receive(flight, actions)
            except OSError:
                self._reopen()
                lost = None
            if lost is None:  # silence, or a new port: what was in flight is gone
                self._give_back(list(flight.values()), waiting, tries)
                flight.clear()
                self._identify()
            else:
                self._give_back(lost, waiting, tries)
        self._pace(0.7)
        return Answer(actions, None)

    def _send(self, waiting: deque[int], flight: dict[int, int], packed: list[bytes], tries: list[int]) -> None:
        room = min(self._window - len(flight), len(waiting))
        if room <= 0:
            return
        rows = [waiting.popleft() for _ in range(room)]
        numbers = [self._next_sequence() for _ in rows]
        flight.update(zip(numbers, rows, strict=True))
        for row in rows:
            tries[row] += 1
        self.counters.requests += room
        self._write(self._expected.frames(numbers, [packed[row] for row in rows]))

    def _receive(self, flight: dict[int, int], actions: IntArray) -> list[int] | None:
        """Wait for bytes; return the rows found lost, or None after a silence."""
        data = self._read()
        if not data:
            self.counters.silences += 1
            self._pace(2)
            self._check_patience()
            return None
        lost: list[int] = []
        for frame in self._frames(data):
            answer = self._good_answer(frame)
            if answer is None:
                continue
            number, content = answer
            if not isinstance(content, Action) or number not in flight:
                self.counters.surplus_answers += 1
                continue
            integers = self._integers(content.action)
            for older in list(flight):  # answers come in the order of the requests
                if older == number:
                    break
                lost.append(flight.pop(older))
            actions[flight.pop(number)] = integers
            self.counters.answers += 1
            self._patience.renew()
        self._check_patience()
        return lost

    def _give_back(self, rows: list[int], waiting: deque[int], tries: list[int]) -> None:
        self.counters.retries += len(rows)
        for row in rows:
            if tries[row] >= self._attempts:
                raise ProjectError(
                    f"{self._port}: one request was lost {tries[row]} times; check the cable and the baud rate"
                )
        waiting.extendleft(reversed(rows))

    def _ask_identity(self) -> Identity | None:
        number, surplus = self._next_sequence(), self.counters.surplus_answers
        self._buffer = b""
        self._write(protocol.DELIMITER + protocol.identify_request(number))
        while data := self._read():
            for frame in self._frames(data):
                answer = self._good_answer(frame)
                if answer is not None and answer[0] == number and isinstance(answer[1], Identity):
                    if self.counters.surplus_answers > surplus:  # the board was slow, not silent
                        self._shortest = min(2 * self._shortest, self._timeout)
                    return answer[1]
                self.counters.surplus_answers += answer is not None
            if self._patience.is_over:
                return None
        return None

    def _integers(self, action: int) -> list[int]:
        try:
            return self._expected.action.unpack(action)
        except ValueError as error:
            raise ProjectError(
                f"{self._port}: the board answered {error}; load its bitstream anew (make bitstream)"
            ) from error

    def _judge(self, identity: Identity) -> None:
        if identity.version != protocol.VERSION:
            raise ProjectError(
                f"{self._port}: the board speaks version {identity.version} of the protocol, this host "
                f"{protocol.VERSION}; load a bitstream of this release (make bitstream)"
            )
        wanted = self._expected
        if identity.policy_hash != wanted.policy_hash:
            raise ProjectError(
                f"{self._port}: the board holds policy {identity.policy_hash:016x}, not {wanted.policy_hash:016x}; "
                "load that policy's bitstream (make bitstream), or choose the run that is on the board"
            )
        shape = (identity.features, identity.bits, identity.action_bits)
        if shape != (wanted.features, wanted.bits, wanted.action.bits):
            raise ProjectError(
                f"{self._port}: the board takes {shape[0]} features of {shape[1]} bits and gives actions of {shape[2]} "
                f"bits, not {wanted.features}, {wanted.bits} and {wanted.action.bits}; load the right bitstream "
                "(make bitstream)"
            )

    def _account(self, identity: Identity) -> None:
        before = self.identity
        self.identity = identity
        if before is not None:
            forgotten = identity.accepted < before.accepted + self._seen
            self.counters.power_cycles += forgotten
            self.counters.damaged_requests += identity.damaged - (0 if forgotten else before.damaged)
        else:
            self.counters.damaged_requests = 0
        self._seen = 0

    def _good_answer(self, frame: bytes) -> tuple[int, Identity | Action] | None:
        try:
            answer = protocol.read_answer(frame)
        except EchoError:
            self.counters.echoes += 1
            return None
        except FrameError:
            self.counters.damaged_answers += 1
            return None
        self._seen += 1
        return answer

    def _frames(self, data: bytes) -> list[bytes]:
        *whole, self._buffer = (self._buffer + data).split(protocol.DELIMITER)
        if len(self._buffer) > _MAXIMUM_FRAME:
            self._buffer = b""
            self.counters.damaged_answers += 1
        return [frame for frame in whole if frame]

    def _next_sequence(self) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFF
        return self._sequence

    def _read(self) -> bytes:
        limit = min(self._silence, self._patience.remaining)
        if self._serial.timeout != limit:
            self._serial.timeout = limit
        data: bytes = self._serial.read(1)
        if data:
            data += self._serial.read(self._serial.in_waiting)
        self.counters.bytes_received += len(data)
        return data

    def _write(self, data: bytes) -> None:
        limit = min(self._write_timeout, self._patience.remaining)
        if self._serial.write_timeout != limit:
            self._serial.write_timeout = limit
        try:
            self._serial.write(data)
            self.counters.bytes_sent += len(data)
        except serial.SerialTimeoutException:  # what was lost is sent again, as after a silence
            self.counters.blocked_writes += 1

    def _pace(self, factor: float) -> None:
        self._silence = min(max(self._silence * factor, self._shortest), self._timeout)

    def _open(self) -> Any:
        return serial.Serial(self._port, self._baud, timeout=self._silence, write_timeout=self._write_timeout)

    def _reopen(self) -> None:
        self.close()
        while True:
            try:
                self._serial = self._open()
                break
            except (OSError, ValueError) as error:
                if self._patience.is_over:
                    raise port_error(self._port, error) from error
                time.sleep(_POLL)
        self.counters.reconnections += 1

    def _check_patience(self) -> None:
        if self._patience.is_over:
            raise ProjectError(f"{self._port}: {self._patience.cause(self._baud)}")
