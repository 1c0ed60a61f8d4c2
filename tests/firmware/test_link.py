from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import serial
from random_run import make_run, random_observations

from hls4rl.backend import Backend
from hls4rl.errors import ProjectError
from hls4rl.firmware.faults import Wire
from hls4rl.firmware.hil import Session, board_library
from hls4rl.firmware.link import Link
from hls4rl.firmware.simulated_board import Trouble, simulated_board

pytestmark = pytest.mark.xdist_group("firmware")
BAUD = 1_000_000


@pytest.fixture
def silent_port() -> Iterator[tuple[int, str]]:
    terminal, device = os.openpty()
    tty.setraw(device)
    yield terminal, os.ttyname(device)
    os.close(terminal)
    os.close(device)


def test_a_good_wire_needs_no_retries(session: Session, library: Path, policy: Backend) -> None:
    rows = random_observations(1000)
    with simulated_board(library) as port, Link(port, BAUD, session.expected, timeout=5.0) as board:
        assert np.array_equal(board.infer(rows).actions, policy.infer(rows).actions)
        assert board.infer(rows[:0]).actions.shape == (0, 1)
        assert board.counters.faults == 0
        assert board.identify().accepted == 1002


def test_a_bad_wire_costs_time_but_never_a_wrong_action(
    session: Session, library: Path, policy: Backend, tmp_path: Path
) -> None:
    rows = random_observations(3000)
    report = tmp_path / "report.json"
    trouble = Trouble(0.01, seed=3, unplug_after=(9_000, 27_000), power_cycle_after=(18_000,))
    with simulated_board(library, report, trouble) as port, Link(port, BAUD, session.expected, patience=60) as board:
        for start in range(0, len(rows), 100):
            batch = rows[start:start + 100]
            assert np.array_equal(board.infer(batch).actions, policy.infer(batch).actions)
        board.identify()
        counters = board.counters
    injected = json.loads(report.read_text(encoding="utf-8"))
    assert (counters.reconnections, counters.power_cycles) == (2, 1)
    assert (injected["unplugged"], injected["power_cycled"]) == (2, 1)
    assert counters.answers == len(rows)
    assert counters.requests == counters.answers + counters.retries
    assert counters.retries > 100
    assert counters.damaged_requests > 100
    assert counters.damaged_answers > 100


def test_the_wire_counts_what_it_does() -> None:
    wire = Wire(0.1, np.random.default_rng(0))
    data = bytes(range(256)) * 40
    out, _ = wire.carry(data)
    injected = wire.injected
    assert len(out) == len(data) - injected["dropped"] + injected["doubled"]
    assert all(280 < injected[kind] < 400 for kind in ("dropped", "flipped", "doubled"))
    assert Wire(0.0, np.random.default_rng(0)).carry(data) == (data, False)


def test_the_wrong_policy_is_refused(session: Session, library: Path) -> None:
    other = dataclasses.replace(session.expected, policy_hash=1)
    with (
        simulated_board(library) as port,
        pytest.raises(ProjectError, match=r"holds policy [0-9a-f]{16}, not 0000000000000001; load"),
        Link(port, BAUD, other),
    ):
        pass


def test_another_board_plugged_in_during_a_run_is_refused(session: Session, library: Path, tmp_path: Path) -> None:
    other = board_library(dataclasses.replace(session, run=make_run(tmp_path / "runs", seed=2)))
    port = tmp_path / "port"
    with simulated_board(library) as first:
        port.symlink_to(os.readlink(first))
        link = Link(str(port), BAUD, session.expected).__enter__()
        link.infer(random_observations(50))
    with simulated_board(other) as second:
        port.unlink()
        port.symlink_to(os.readlink(second))
        with pytest.raises(ProjectError, match="holds policy"):
            link.infer(random_observations(50))
    link.close()


def test_a_silent_board_is_given_up(session: Session, silent_port: tuple[int, str]) -> None:
    start = time.monotonic()
    with pytest.raises(ProjectError, match=r"silent for 0\.5 s; check"), \
            Link(silent_port[1], BAUD, session.expected, patience=0.5):
        pass
    assert time.monotonic() - start < 5


def test_a_babbling_port_is_given_up(session: Session, silent_port: tuple[int, str]) -> None:
    over = threading.Event()

    def babble() -> None:
        rng = np.random.default_rng(0)
        while not over.is_set():
            os.write(silent_port[0], rng.bytes(100))
            time.sleep(0.001)

    thread = threading.Thread(target=babble)
    thread.start()
    try:
        with pytest.raises(ProjectError, match="not one whole frame"), \
                Link(silent_port[1], BAUD, session.expected, patience=0.5):
            pass
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize(("port", "words"), [
    ("/dev/ttyNOSUCH", "no such port; plug the board in"),
    ("/dev/null", "cannot be opened as a serial port"),
])
def test_a_port_that_is_none(session: Session, port: str, words: str) -> None:
    with pytest.raises(ProjectError, match=words), Link(port, BAUD, session.expected):
        pass


@pytest.mark.parametrize(("code", "words"), [
    (errno.EACCES, "no permission; add yourself"), (errno.EBUSY, "another program"),
])
def test_a_port_that_is_not_ours(session: Session, code: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # As root every port can be opened, so the operating system's answer is played here.
    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(code, f"could not open port: {os.strerror(code)}")

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(ProjectError, match=words), Link("/dev/ttyUSB0", BAUD, session.expected):
        pass


def test_a_board_that_stays_away_is_given_up(session: Session, library: Path) -> None:
    with simulated_board(library) as port:
        link = Link(port, BAUD, session.expected, patience=0.5).__enter__()
    with pytest.raises(ProjectError, match="no such port"):
        link.infer(random_observations(10))
    link.close()


def test_the_simulated_board_needs_a_compiler(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = dataclasses.replace(session.run, root=tmp_path)
    shutil.copytree(session.run.directory, run.directory, ignore=shutil.ignore_patterns("simulated-board"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProjectError, match="g\\+\\+ is not on the PATH"):
        board_library(dataclasses.replace(session, run=run))
