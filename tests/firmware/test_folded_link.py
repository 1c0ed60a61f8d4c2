from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from hls4rl.contract import FixedPoint
from hls4rl.firmware import protocol
from hls4rl.firmware.design import Design
from hls4rl.firmware.model import BoardModel, build_board_model, exchange
from hls4rl.firmware.protocol import Action, ActionFormat
from hls4rl.hls_projects.rtl.folded import write_folded
from hls4rl.hls_projects.rtl.pipelined import CORE
from hls4rl.network import IntegerNetwork, Layer

pytestmark = pytest.mark.xdist_group("firmware")


def network() -> IntegerNetwork:
    rng = np.random.default_rng(4)
    sizes, layers = [5, 7, 6, 3], list[Layer]()
    for fan_in, fan_out in itertools.pairwise(sizes):
        kind = None if fan_out == 3 else FixedPoint(6, 6, False)
        layers.append(Layer(rng.integers(-8, 8, (fan_out, fan_in)), 0.125, rng.integers(-9, 9, fan_out), 0.125, kind))
    return IntegerNetwork(FixedPoint(6, 6), tuple(layers))


def test_a_folded_core_answers_behind_the_serial_port(tmp_path: Path) -> None:
    policy = network()
    write_folded(policy, tmp_path, 2)
    design = Design(
        tmp_path / f"{CORE}.v", 5, 6, ActionFormat((2,), choices=(3,)), 0x1234, 1,
        tuple(sorted(tmp_path.glob("*.hex"))), folded=True,
    )
    board = BoardModel(build_board_model(design, tmp_path / "model"))
    exchange(board, protocol.DELIMITER, 3000)  # it listens some clocks after it was switched on
    rng = np.random.default_rng(5)
    observations = rng.integers(-32, 32, (60, 5)) * (rng.random((60, 5)) < 0.7)
    bodies = protocol.code_observations(observations, 6, 1)
    actions = []
    for index, body in enumerate(bodies):
        request = protocol.infer_requests([index], [body], coded=True)
        frames = exchange(board, request, 3000).split(protocol.DELIMITER)
        answers = [protocol.read_answer(frame) for frame in frames if frame]
        assert len(answers) == 1
        sequence, answer = answers[0]
        assert sequence == index
        assert isinstance(answer, Action)
        actions.append(answer.action)
    expected = np.argmax(policy.infer(observations), axis=1)
    assert np.array_equal(actions, expected)
    assert len(np.unique(expected)) > 1
    board.close()
