from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from random_run import BITS, STAGES, random_observations

from hls4rl.backend import Backend
from hls4rl.contract import FixedPoint, IntArray
from hls4rl.export.check import check_observations
from hls4rl.firmware import design as design_module
from hls4rl.firmware import protocol
from hls4rl.firmware.design import Design
from hls4rl.firmware.endurance import fuzz
from hls4rl.firmware.hil import Session
from hls4rl.firmware.model import BoardModel, build_board_model, exchange
from hls4rl.firmware.protocol import Action, ActionFormat, Identity

pytestmark = pytest.mark.xdist_group("firmware")

PARITY = """module policy_core (
    input wire clk, input wire in_valid, input wire [{high}:0] observation, output reg out_valid, output reg action
);
    always @(posedge clk) begin
        out_valid <= in_valid;
        action <= ^observation;
    end
endmodule
"""


def read(data: bytes) -> list[tuple[int, Identity | Action]]:
    return [protocol.read_answer(frame) for frame in data.split(protocol.DELIMITER) if frame]


def ask(board: BoardModel, observations: IntArray, bits: int = BITS, first: int = 0) -> list[int]:
    packed = protocol.pack_observations(observations, bits)
    answers = read(exchange(board, protocol.infer_requests([first + index for index in range(len(packed))], packed)))
    assert [number for number, _ in answers] == list(range(first, first + len(packed)))
    return [content.action for _, content in answers if isinstance(content, Action)]


def identify(board: BoardModel) -> Identity:
    ((number, identity),) = read(exchange(board, protocol.DELIMITER + protocol.identify_request(0xFFFE)))
    assert number == 0xFFFE
    assert isinstance(identity, Identity)
    return identity


def test_a_board_says_who_it_is(board: BoardModel, session: Session) -> None:
    design = session.design
    assert identify(board) == Identity(2, 4, BITS, 1, design.policy_hash, 0xFFFF, 0, 1, 0, 0)
    assert identify(board).accepted == 2


def test_every_action_is_the_software_policy_s(board: BoardModel, session: Session, policy: Backend) -> None:
    kind = session.task.observation.type
    observations = check_observations(kind, 4)[:5000]
    batches = [observations[start:start + 63] for start in range(0, len(observations), 63)]
    actions = [action for batch in batches for action in ask(board, batch)]
    assert actions == policy.infer(observations).actions[:, 0].tolist()
    assert len(set(actions)) == 2


def test_the_core_s_latency_is_measured_on_the_chip(board: BoardModel) -> None:
    ask(board, np.zeros((20, 4), dtype=np.int64))
    identity = identify(board)
    assert (identity.shortest_cycles, identity.longest_cycles) == (STAGES, STAGES)


def test_every_single_fault_in_a_request_is_counted_and_not_answered(board: BoardModel) -> None:
    (packed,) = protocol.pack_observations(np.array([[1, -2, 0, 3]]), BITS)
    frame = protocol.infer_requests([0x0100], [packed])
    count = 0
    for place in range(len(frame) - 1):
        for damaged in (
            frame[:place] + frame[place + 1:], frame[:place] + frame[place:place + 1] + frame[place:],
            frame[:place] + bytes([frame[place] ^ 0x10 or 1]) + frame[place + 1:],
        ):
            assert exchange(board, damaged) == b""
            count += 1
    assert identify(board).damaged == count


def test_damage_of_every_kind_is_survived(session: Session, library: Path, policy: Backend) -> None:
    result = fuzz(session.design, library, policy, 3000, seed=1)
    assert (result.wrong, result.unanswered) == (0, 0)
    assert min(result.kinds.values()) > 200


def test_a_receiver_without_its_crc_would_be_caught(
    session: Session, policy: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verilog = tmp_path / "verilog"
    shutil.copytree(design_module.VERILOG, verilog)
    receiver = verilog / "frame_receiver.v"
    text = receiver.read_text(encoding="utf-8")
    receiver.write_text(text.replace("left == 0 && crc_good", "left == 0"), encoding="utf-8")
    assert receiver.read_text(encoding="utf-8") != text
    monkeypatch.setattr(design_module, "VERILOG", verilog)
    library = build_board_model(session.design, tmp_path / "model")
    assert fuzz(session.design, library, policy, 300).wrong > 0


def test_a_flood_of_requests_is_survived(board: BoardModel, policy: Backend) -> None:
    flood = b"".join(protocol.identify_request(number) for number in range(300))
    assert 63 <= len(read(exchange(board, flood))) < 300
    assert identify(board).dropped > 0
    observations = random_observations(10)
    assert ask(board, observations) == policy.infer(observations).actions[:, 0].tolist()


def test_a_line_held_low_is_survived(board: BoardModel, policy: Backend) -> None:
    observations = random_observations(10)
    for clocks in (1, 7, 50, 79, 80, 81, 1000):
        board.hold_low(clocks)
        exchange(board, protocol.DELIMITER)
        assert ask(board, observations) == policy.infer(observations).actions[:, 0].tolist()


def test_nothing_is_answered_before_the_first_delimiter(library: Path) -> None:
    board = BoardModel(library)
    assert exchange(board, protocol.identify_request(1)) == b""
    assert len(read(exchange(board, protocol.identify_request(1)))) == 1


def test_a_doubled_request_is_answered_twice_alike(board: BoardModel) -> None:
    frame = protocol.infer_requests([5], protocol.pack_observations(np.array([[1, 2, 3, -4]]), BITS))
    first, second = read(exchange(board, frame + frame))
    assert first == second


def test_long_observations_and_every_cobs_group(tmp_path: Path) -> None:
    features, bits = 150, 16
    core = tmp_path / "core.v"
    core.write_text(PARITY.format(high=features * bits - 1), encoding="utf-8")
    design = Design(core, features, bits, ActionFormat((1,), choices=(2,)), 1)
    board = BoardModel(build_board_model(design, tmp_path / "model"))
    exchange(board, protocol.DELIMITER)
    kind = FixedPoint(bits, 1)
    noise = np.random.default_rng(0).integers(kind.minimum, kind.maximum + 1, (40, features))
    rows = np.concatenate([
        np.zeros((1, features), dtype=np.int64), np.full((1, features), -1), np.full((1, features), 0x0101),
        np.tri(features, dtype=np.int64)[::11] * 0x0101, noise,
    ])
    parity = [sum(value.bit_count() for value in row) & 1 for row in (rows & 0xFFFF).tolist()]
    assert [action for row in rows for action in ask(board, row[None], bits)] == parity
