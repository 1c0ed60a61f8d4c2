"""The frames between host and board, as PROTOCOL.md draws them: pack, check, unpack."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from cobs import cobs

from hls4rl.contract import IntArray

VERSION = 2
WINDOW = 63
"""Requests that may wait for their answers at once: the length of the board's queue."""

DELIMITER = b"\x00"
BITS_PER_BYTE = 10
"""On the wire: start bit, 8 data bits, stop bit."""

_IDENTIFY, _INFER, _INFER_CODED, _IDENTITY, _ACTION = 0x01, 0x02, 0x03, 0x81, 0x82
_LONGEST_RUN = 255
MAXIMUM_ACTION_BITS = 256
"""Of one answer."""
_HEADER = struct.Struct("<BH")
_CHECK = struct.Struct("<I")
_IDENTITY_BODY = struct.Struct("<BHBBQHHIHH")


@dataclass(frozen=True)
class Identity:
    """What a board says of itself."""

    version: int
    """Of the protocol."""
    features: int
    bits: int
    """Width of one feature."""
    action_bits: int
    """Width of one action, all its integers together."""
    policy_hash: int
    """First 64 bits of the SHA-256 of the policy's file."""
    shortest_cycles: int
    """Shortest latency of the policy core that was measured on the chip; 65535 before the first inference."""
    longest_cycles: int
    accepted: int
    """Good requests since power-up, modulo 2³²."""
    damaged: int
    """Frames that failed a check since power-up, at most 65535."""
    dropped: int
    """Good requests without an answer, because too many were in flight, at most 65535."""


@dataclass(frozen=True)
class Action:
    """The answer to one inference request."""

    action: int
    """The bits of the core's action port, read as one number; :meth:`ActionFormat.unpack` takes them apart."""


@dataclass(frozen=True)
class ActionFormat:
    """How an action's integers lie in the core's action port: side by side, the first one lowest."""

    widths: tuple[int, ...]
    """Bits of each integer."""
    signed: bool = False
    """Whether they are two's complement: of continuous actions."""
    choices: tuple[int, ...] = ()
    """How many each may choose from; empty: each of its numbers is one."""

    @property
    def bits(self) -> int:
        """Of the whole action."""
        return sum(self.widths)

    @property
    def answer_bytes(self) -> int:
        """On the wire, of the answer to an inference request: header, action, check, code byte and delimiter."""
        return _HEADER.size + -(-self.bits // 8) + _CHECK.size + 2

    def unpack(self, action: int) -> list[int]:
        """The integers of an :class:`Action`'s bits.

        Raises:
            ValueError: one is none of its choices.
        """
        if action >> self.bits:
            raise ValueError(f"an action of more than {self.bits} bits")
        integers = []
        for place, width in enumerate(self.widths):
            value = action & ((1 << width) - 1)
            action >>= width
            if self.choices and value >= self.choices[place]:
                raise ValueError(f"action {value}, and its policy has {self.choices[place]}")
            integers.append(value - (1 << width) if self.signed and value >> (width - 1) else value)
        return integers

    def pack(self, integers: Iterable[int]) -> int:
        """The inverse of :meth:`unpack`."""
        action = place = 0
        for value, width in zip(integers, self.widths, strict=True):
            action |= (value & ((1 << width) - 1)) << place
            place += width
        return action


class FrameError(ValueError):
    """A frame that is damaged, or none of ours."""


class EchoError(FrameError):
    """A whole frame of a host, not of a board: the port gives back what it's sent."""


def identify_request(sequence: int) -> bytes:
    """The frame that asks for an :class:`Identity`; ``sequence`` is 0 to 65535."""
    return seal(_HEADER.pack(_IDENTIFY, sequence))


def infer_requests(sequences: list[int], packed: list[bytes], coded: bool = False) -> bytes:
    """One frame for each observation, one after the other.

    Args:
        packed: of :func:`pack_observations`, or, if ``coded``, of :func:`code_observations`.
    """
    kind = _INFER_CODED if coded else _INFER
    return b"".join(
        seal(_HEADER.pack(kind, sequence) + data) for sequence, data in zip(sequences, packed, strict=True)
    )


def pack_observations(observations: IntArray, bits: int) -> list[bytes]:
    """Two's complement, ``bits`` a feature, feature 0 and each feature's lowest bit first, zeros at the end.

    Args:
        observations: int64, shape (batch, features), each within the input type.

    Raises:
        ValueError: one is not.
    """
    top = 1 << (bits - 1)
    if observations.size and not (-top <= observations.min() and observations.max() < top):
        raise ValueError(f"observations of {observations.min()} … {observations.max()} do not fit {bits} bits")
    count, features = observations.shape
    fields = ((observations[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8).reshape(count, features * bits)
    rows = np.packbits(fields, axis=1, bitorder="little")
    return [row.tobytes() for row in rows]


def code_observations(observations: IntArray, bits: int, inputs_per_clock: int) -> list[bytes]:
    """The same for a streaming core: words of ``inputs_per_clock`` features, runs of zero words by their length.

    Args:
        observations: int64, shape (batch, features), each within the input type.

    Raises:
        ValueError: one is not.
    """
    count, features = observations.shape
    words = -(-features // inputs_per_clock)
    padded = np.zeros((count, words * inputs_per_clock), dtype=np.int64)
    padded[:, :features] = observations
    packed = pack_observations(padded.reshape(count * words, inputs_per_clock), bits)
    return [_code(packed[row * words:(row + 1) * words]) for row in range(count)]


def _code(words: list[bytes]) -> bytes:
    coded, zeros = bytearray(), 0
    for word in words:
        if not any(word):
            zeros += 1
            continue
        coded += bytes([_LONGEST_RUN] * (zeros // _LONGEST_RUN) + [zeros % _LONGEST_RUN]) + word
        zeros = 0
    return bytes(coded)


def seal(payload: bytes) -> bytes:
    """``payload`` with its CRC-32, COBS-encoded and delimited."""
    encoded: bytes = cobs.encode(payload + _CHECK.pack(zlib.crc32(payload)))
    return encoded + DELIMITER


def unseal(frame: bytes) -> bytes:
    """The payload of a frame (without its delimiter).

    Raises:
        FrameError: COBS or CRC-32 say that it is damaged.
    """
    try:
        data: bytes = cobs.decode(frame)
    except cobs.DecodeError as error:
        raise FrameError(str(error)) from error
    payload, check = data[:-_CHECK.size], data[-_CHECK.size:]
    if len(check) < _CHECK.size or zlib.crc32(payload) != _CHECK.unpack(check)[0]:
        raise FrameError("wrong CRC-32")
    return payload


def read_answer(frame: bytes) -> tuple[int, Identity | Action]:
    """Sequence number and content of an answer frame (without its delimiter).

    Raises:
        FrameError: the frame is damaged, or no answer of this protocol; EchoError: it is a request.
    """
    payload = unseal(frame)
    if len(payload) < _HEADER.size:
        raise FrameError("too short")
    kind, sequence = _HEADER.unpack_from(payload)
    body = payload[_HEADER.size:]
    if kind == _ACTION and 1 <= len(body) <= MAXIMUM_ACTION_BITS // 8:
        return sequence, Action(int.from_bytes(body, "little"))
    if kind == _IDENTITY and len(body) == _IDENTITY_BODY.size:
        version, features, bits, last_bit, *rest = _IDENTITY_BODY.unpack(body)
        return sequence, Identity(version, features, bits, last_bit + 1, *rest)
    if kind in (_IDENTIFY, _INFER, _INFER_CODED):
        raise EchoError("a request, not an answer")
    raise FrameError("unknown kind or length")
