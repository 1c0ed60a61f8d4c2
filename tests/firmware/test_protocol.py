from __future__ import annotations

import random
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hls4rl.firmware import protocol
from hls4rl.firmware.protocol import Action, ActionFormat, FrameError, Identity


def test_the_crc_is_the_catalogue_s_crc_32_iso_hdlc() -> None:
    assert zlib.crc32(b"123456789") == 0xCBF43926


def test_packing_is_the_documented_one() -> None:
    # x = 1, x' = -1, θ = -32, θ' = 5, 6 bits each: 000001 111111 100000 000101, lowest first.
    (packed,) = protocol.pack_observations(np.array([[1, -1, -32, 5]]), 6)
    assert int.from_bytes(packed, "little") == 0b000101_100000_111111_000001
    assert len(packed) == 3


def test_an_observation_outside_its_type_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 … 32 do not fit 6 bits"):
        protocol.pack_observations(np.array([[-1, 0, 32, 5]]), 6)


@settings(deadline=None)
@given(st.integers(1, 16), st.integers(1, 40))
def test_packing_loses_nothing(bits: int, features: int) -> None:
    rng = np.random.default_rng(bits * 100 + features)
    rows = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (3, features))
    for row, data in zip(rows, protocol.pack_observations(rows, bits), strict=True):
        number = int.from_bytes(data, "little")
        fields = [(number >> (bits * index)) & ((1 << bits) - 1) for index in range(features)]
        assert fields == [value % (1 << bits) for value in row.tolist()]
        assert number >> (bits * features) == 0


def test_frames_have_the_documented_length() -> None:
    (packed,) = protocol.pack_observations(np.array([[1, 2, 3, 4]]), 6)
    assert (len(protocol.infer_requests([7], [packed])), len(protocol.seal(bytes(4)))) == (12, 10)
    assert len(protocol.infer_requests([7], protocol.pack_observations(np.ones((1, 4), dtype=np.int64), 6))) == 12
    assert len(protocol.seal(b"\x82\x07\x00\x01")) == ActionFormat((2,)).answer_bytes == 10


@settings(deadline=None)
@given(st.binary(max_size=600))
def test_sealing_can_be_undone(payload: bytes) -> None:
    frame = protocol.seal(payload)
    assert frame.count(protocol.DELIMITER) == 1
    assert frame.endswith(protocol.DELIMITER)
    assert protocol.unseal(frame[:-1]) == payload


def test_every_single_fault_in_an_answer_is_noticed() -> None:
    frame = protocol.seal(bytes([0x82, 0x34, 0x12, 1]))[:-1]
    damaged = [frame[:place] + frame[place + 1:] for place in range(len(frame))]
    damaged += [frame[:place] + frame[place:place + 1] + frame[place:] for place in range(len(frame))]
    damaged += [frame[:place] + bytes([value]) + frame[place + 1:]
                for place in range(len(frame)) for value in range(1, 256) if value != frame[place]]
    for item in damaged:
        with pytest.raises(FrameError):
            protocol.read_answer(item)
    assert protocol.read_answer(frame) == (0x1234, Action(1))


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_noise_is_never_an_answer(noise: bytes) -> None:
    with pytest.raises(FrameError):
        protocol.read_answer(noise)
    with pytest.raises(FrameError):
        protocol.read_answer(protocol.seal(b"\x02" + noise)[:-1])  # whole, but a request


def test_an_identity_is_read_field_by_field() -> None:
    body = bytes.fromhex("81 3412 01 0400 06 01 8877665544332211 0300 0500 78563412 0700 0900".replace(" ", ""))
    assert protocol.read_answer(protocol.seal(body)[:-1]) == (
        0x1234, Identity(1, 4, 6, 2, 0x1122334455667788, 3, 5, 0x12345678, 7, 9)
    )


@settings(deadline=None)
@given(st.lists(st.integers(1, 32), min_size=1, max_size=8), st.booleans(), st.randoms(use_true_random=False))
def test_an_action_s_integers_come_back(widths: list[int], signed: bool, rng: random.Random) -> None:
    format = ActionFormat(tuple(widths), signed)
    low = [-(1 << (width - 1)) if signed else 0 for width in widths]
    integers = [rng.randrange(least, least + (1 << width)) for least, width in zip(low, widths, strict=True)]
    packed = format.pack(integers)
    assert packed < 1 << format.bits
    assert format.unpack(packed) == integers
    body = b"\x82\x07\x00" + packed.to_bytes(-(-format.bits // 8), "little")
    frame = protocol.seal(body)
    assert len(frame) == format.answer_bytes
    assert protocol.read_answer(frame[:-1]) == (7, Action(packed))


def test_a_choice_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="action 3, and its policy has 3"):
        ActionFormat((2,), choices=(3,)).unpack(3)
    with pytest.raises(ValueError, match="more than 3 bits"):
        ActionFormat((2, 1)).unpack(8)
