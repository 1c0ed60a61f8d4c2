"""A random policy's run and its simulated board: what most tests here need."""

from __future__ import annotations

from pathlib import Path

import pytest
from random_run import PART, make_run

from hls4rl.backend import Backend
from hls4rl.firmware import protocol
from hls4rl.firmware.boards import load_board
from hls4rl.firmware.hil import Session, board_library
from hls4rl.firmware.model import BoardModel, exchange
from hls4rl.policy import load_policy
from hls4rl.task import load_task
from hls4rl.train.network import TorchBackend


@pytest.fixture(scope="session")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    run = make_run(tmp_path_factory.mktemp("runs"), seed=1)
    return Session(load_task("cartpole"), run, PART, load_board("ulx3s"))


@pytest.fixture(scope="session")
def library(session: Session) -> Path:
    return board_library(session)


@pytest.fixture(scope="session")
def policy(session: Session) -> Backend:
    return TorchBackend(load_policy(session.run.policy))


@pytest.fixture
def board(library: Path) -> BoardModel:
    model = BoardModel(library)
    exchange(model, protocol.DELIMITER)  # a board takes nothing for whole before the first one
    return model
