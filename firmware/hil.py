"""Hardware in the loop: Gymnasium's environment on the host, the policy on a board, each action checked."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.artefact import Artefact, digest, exclusive
from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.firmware import protocol
from hls4rl.firmware.boards import Board
from hls4rl.firmware.design import Design, load_design
from hls4rl.firmware.link import Expected, Link
from hls4rl.firmware.model import CLOCKS_PER_BIT, LIBRARY, build_board_model
from hls4rl.firmware.simulated_board import IDLE_CLOCKS, Trouble, simulated_board
from hls4rl.gym_loop import play
from hls4rl.hls_projects.evaluate import is_wide
from hls4rl.run import Run
from hls4rl.task import Task
from hls4rl.train.network import TorchBackend
from hls4rl.verdict import is_solved

SIMULATED = "sim"
"""The port's name for the simulated board."""

SIMULATED_STEPS = 300
"""Of an episode from pixels that nobody asked to be played whole, on a simulated board."""

_TIMEOUTS = (0.5, 10.0)
"""Seconds of silence after which answers of a simulated board count as lost: the first where the wire is bad. On a good
one nothing is lost, and a machine that is busy, or a streaming core, only takes its time."""
_PATIENCE = 30.0
"""Seconds without an answer before a board is given up."""


@dataclass(frozen=True)
class Session:
    """Which policy, which board and where."""

    task: Task
    run: Run
    part: str
    """Whose RTL of the run is taken."""
    board: Board
    port: str = SIMULATED

    @property
    def design(self) -> Design:
        """What the board must hold.

        Raises:
            ProjectError: the run isn't built.
        """
        return load_design(self.run, self.part)

    @property
    def expected(self) -> Expected:
        """What the board must say of itself."""
        design = self.design
        return Expected(design.features, design.bits, design.action, design.policy_hash, design.inputs_per_clock)


class TimedBackend:
    """A backend and the time that it took."""

    def __init__(self, link: Link) -> None:
        self.name = link.name
        self.seconds = 0.0
        self._link = link

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        start = time.perf_counter()
        answer = self._link.infer(observations)
        self.seconds += time.perf_counter() - start
        return answer


def run_hil(
    session: Session, episodes: int, faults: float = 0.0, seed: int = 0, whole: bool = True
) -> dict[str, Any]:
    """Play seeded episodes with the software policy, then with the board; compare every action and every return.

    Args:
        episodes: seeds 0 … episodes - 1.
        faults: of all bytes on the simulated wire, in each direction, the share that is dropped, flipped or doubled;
            with any, the board is also unplugged twice and power-cycled once.
        seed: of the faults.
        whole: play episodes to their end; if not, a simulated board, which takes half a second for a picture, ends
            those from pixels after :data:`SIMULATED_STEPS`.

    Returns:
        What ``hil.json`` holds; ``mismatches`` and ``returns_equal`` say whether all was well.

    Raises:
        ProjectError: no board, a wrong one, or one that stays silent.
    """
    if faults and session.port != SIMULATED:
        raise ProjectError("FAULTS are injected by the simulated board only; leave PORT away, or leave FAULTS away")
    if session.port != SIMULATED:
        with open_board(session):
            pass  # what is wrong with the board is told before any episode
    policy, expected = TorchBackend(session.run.load_policy()), session.expected
    task = session.task if whole else _shortened(session)
    steps = mismatches = sent = 0

    def count(observations: IntArray, answer: Answer) -> None:
        nonlocal sent
        sent += len(expected.frames([0] * len(observations), expected.pack(observations)))

    software = play(task, policy, episodes, first_seed=0, watch=count)

    def watch(observations: IntArray, answer: Answer) -> None:
        nonlocal steps, mismatches
        steps += len(answer.actions)
        mismatches += int(np.count_nonzero((answer.actions != policy.infer(observations).actions).any(axis=1)))

    with tempfile.TemporaryDirectory(prefix="hil-") as folder:
        report = Path(folder) / "simulated.json"
        trouble = Trouble(faults, seed, (sent // 4, sent * 3 // 4), (sent // 2,)) if faults else Trouble()
        with open_board(session, report, trouble) as link:
            backend = TimedBackend(link)
            hardware = play(task, backend, episodes, first_seed=0, watch=watch)
            identity = link.identify()
        injected = json.loads(report.read_text(encoding="utf-8")) if session.port == SIMULATED else None
    request, answer = sent / int(software.lengths.sum()), expected.action.answer_bytes
    return {
        "task": session.task.name, "run": session.run.spec.directory_name, "board": session.board.name,
        "port": session.port, "policy_hash": f"{identity.policy_hash:016x}",
        "return_hardware": hardware.mean_return, "return_software": software.mean_return,
        "solved": is_solved(hardware.mean_return, task.solved), "solved_from": task.solved,
        "returns_equal": bool(np.array_equal(hardware.returns, software.returns)),
        "episodes": episodes, "steps_compared": steps, "mismatches": mismatches,
        "link_faults": link.counters.faults, "retries": link.counters.retries, "link": link.counters.to_json(),
        "faults_injected": injected,
        "inferences_per_second": round(steps / backend.seconds, 1), "link_seconds": round(backend.seconds, 3),
        "request_bytes": round(request, 1),
        "wire_us_per_action": round((request + answer) * protocol.BITS_PER_BYTE / session.board.baud * 1e6, 2),
        "core_cycles": identity.longest_cycles, "core_cycles_shortest": identity.shortest_cycles,
        "core_latency_ns": round(identity.longest_cycles / session.board.clock_mhz * 1e3, 1),
        "clocks_per_bit": CLOCKS_PER_BIT if session.port == SIMULATED else session.board.clocks_per_bit,
        "returns": hardware.returns.tolist(),
    }


def require_exact(result: dict[str, Any]) -> None:
    """Insist that the board did what the software policy does.

    Raises:
        ProjectError: an action or a return differed.
    """
    if result["mismatches"] or not result["returns_equal"]:
        raise ProjectError(
            f"{result['mismatches']} of {result['steps_compared']} actions of the board differ from the software "
            "policy's; this is a bug in hls4rl or in a tool it calls: please report it with the run's directory"
        )


@contextlib.contextmanager
def open_board(session: Session, report: Path | None = None, trouble: Trouble | None = None) -> Iterator[Link]:
    """The board, real or simulated, ready to answer; see :class:`hls4rl.firmware.link.Link`."""
    if session.port != SIMULATED:
        with Link(session.port, session.board.baud, session.expected, patience=_PATIENCE / 10) as link:
            yield link
        return
    timeout = _TIMEOUTS[session.design.words > 0 or not (trouble and trouble.rate)]
    with (
        simulated_board(board_library(session), report, trouble, IDLE_CLOCKS + 8 * session.design.words) as port,
        Link(port, session.board.baud, session.expected, timeout=timeout, patience=_PATIENCE) as link,
    ):
        yield link


def board_library(session: Session) -> Path:
    """The simulated board's library of a run, compiled if the run or the Verilog changed."""
    design = session.design
    inputs = {
        "policy": digest(session.run.policy),
        "design": {**asdict(design), "core": str(design.core.relative_to(session.run.directory)),
                   "memories": {path.name: digest(path) for path in design.memories}},
        "sources": {path.name: digest(path) for path in design.sources}, "clocks_per_bit": CLOCKS_PER_BIT,
        "bench": digest(Path(__file__).with_name("uart_bench.cpp")),
    }
    artefact = Artefact(session.run.directory / "simulated-board", inputs)
    with exclusive(session.run.directory):
        if not artefact.is_current:
            with artefact.build() as directory:
                build_board_model(design, directory)
    return artefact.directory / LIBRARY


def _shortened(session: Session) -> Task:
    if session.port != SIMULATED or not is_wide(session.task):
        return session.task
    options = {**session.task.environment_options, "max_episode_steps": SIMULATED_STEPS}
    return replace(session.task, environment_options=options, solved=None)  # episodes cut short solve nothing
