from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hls4rl.contract import FixedPoint, IntArray
from hls4rl.firmware import protocol
from hls4rl.firmware.design import Design
from hls4rl.firmware.model import BoardModel, build_board_model, exchange
from hls4rl.firmware.protocol import Action, ActionFormat, Identity
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.hls_projects.rtl.streaming import write_stream
from hls4rl.network import IntegerNetwork, Layer

pytestmark = pytest.mark.xdist_group("firmware")

FEATURES, HIDDEN = 599, 4
IDLE = 10_000


def network() -> IntegerNetwork:
    rng = np.random.default_rng(11)
    hidden, output = rng.choice([-1, 1], (HIDDEN, FEATURES)), rng.integers(-9, 10, (3, HIDDEN))
    return IntegerNetwork(FixedPoint(2, 2), (
        Layer(hidden, 0.25, np.array([3, 0, 5, 2]), 0.25, FixedPoint(8, 6, False)),
        Layer(output, 0.25, np.zeros(3, dtype=np.int64), 2.0**-4, None),
    ))


def frames(count: int = 20) -> IntArray:
    """Few pixels, all zero, all set, the last alone: short bodies, the longest one, and runs of every length."""
    rng = np.random.default_rng(2)
    dense = rng.integers(-2, 2, (count, FEATURES))
    thin = dense * (rng.random(dense.shape) < np.geomspace(0.002, 0.5, count)[:, None])
    corners = np.array([np.zeros(FEATURES), np.full(FEATURES, -2), np.eye(FEATURES)[-1], np.eye(FEATURES)[0]])
    return np.concatenate([thin, dense[:3], corners.astype(np.int64)])


@pytest.fixture(scope="module", params=[2, 7], ids=["words of 4 bits", "words of 14 bits"])
def board(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[BoardModel, int]:
    inputs_per_clock = int(request.param)
    directory: Path = tmp_path_factory.mktemp("stream-board")
    write_stream(network(), directory, inputs_per_clock)
    design = Design(
        directory / f"{CORE}.v", FEATURES, 2, ActionFormat((2,), choices=(3,)), 0x1234, inputs_per_clock,
        tuple(sorted(directory.glob("*.hex"))),
    )
    return BoardModel(build_board_model(design, directory / "model")), inputs_per_clock


def ask(board: BoardModel, requests: bytes) -> list[tuple[int, Identity | Action]]:
    answers = exchange(board, requests, IDLE).split(protocol.DELIMITER)
    return [protocol.read_answer(frame) for frame in answers if frame]


def coded(observations: IntArray, inputs_per_clock: int, first: int = 0) -> list[bytes]:
    packed = protocol.code_observations(observations, 2, inputs_per_clock)
    return [protocol.infer_requests([first + index], [body], coded=True) for index, body in enumerate(packed)]


def counted(model: BoardModel) -> Identity:
    ((_, identity),) = ask(model, protocol.DELIMITER + protocol.identify_request(9))
    assert isinstance(identity, Identity)
    return identity


def test_every_action_is_the_network_s(board: tuple[BoardModel, int]) -> None:
    model, inputs_per_clock = board
    observations = frames()
    expected = network().act(observations)[:, 0]
    assert len(np.unique(expected)) == 3
    assert ask(model, protocol.DELIMITER) == []
    for number, request in enumerate(coded(observations, inputs_per_clock)):
        assert ask(model, request) == [(number, Action(int(expected[number])))]
    identity = counted(model)
    assert (identity.features, identity.bits, identity.action_bits) == (FEATURES, 2, 2)
    words = -(-FEATURES // inputs_per_clock)
    assert words < identity.shortest_cycles < identity.longest_cycles < 6 * words + 60


def test_damaged_and_surplus_requests_leave_no_trace(board: tuple[BoardModel, int]) -> None:
    model, inputs_per_clock = board
    observations = frames()
    expected = network().act(observations)[:, 0]
    requests = coded(observations, inputs_per_clock)
    before = counted(model)
    for number in range(4, 16):
        request = bytearray(requests[number])
        request[len(request) // 2] ^= 0x55
        broken = bytes(request).replace(b"\0", b"\1") + b"\0"  # the flip may have made a delimiter
        assert ask(model, broken + requests[number]) == [(number, Action(int(expected[number])))]
    after = counted(model)
    assert after.damaged == before.damaged + 12
    assert after.dropped == before.dropped
    # Of requests that come while one is answered, none, or one of them, is answered, and rightly.
    quick, slow = np.argsort([len(request) for request in requests])[[1, -1]]
    answers = ask(model, requests[slow] + requests[quick] * 5)
    assert answers[0] == (int(slow), Action(int(expected[slow])))
    assert all(answer == (int(quick), Action(int(expected[quick]))) for answer in answers[1:])
    assert counted(model).dropped == after.dropped + 6 - len(answers)


def test_a_plain_request_is_refused(board: tuple[BoardModel, int]) -> None:
    model, _ = board
    before = counted(model).damaged
    plain = protocol.infer_requests([1], protocol.pack_observations(frames()[:1], 2))
    assert ask(model, plain) == []
    assert counted(model).damaged == before + 1


def test_runs_are_coded_in_few_bytes() -> None:
    observation = np.zeros((1, 6400), dtype=np.int64)
    assert protocol.code_observations(observation, 2, 4) == [b""]
    observation[0, [0, 5, 4 * 256 + 8]] = [1, -1, 1]
    (body,) = protocol.code_observations(observation, 2, 4)
    assert body == bytes([0, 0b01, 0, 0b1100, 255, 1, 0b01])
