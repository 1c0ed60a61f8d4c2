"""Equality at full length for policies of every form: each executor and the simulated board on visited observations.

    python -m tools.crown [NAME …] [--steps 100000] [--output build/crown]

Policies are trained for a moment: what counts is that every executor gives the reference's integers, to what the
policy sees in its episodes, to random observations and to corners. Equal actions at every step are equal episodes and
equal returns. A call that was stopped goes on where it was; what was compared of other files does not count.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from hls4rl.artefact import digest
from hls4rl.backend import Answer, Backend
from hls4rl.checked import read_if_whole, write_checked
from hls4rl.cli import print_result
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.firmware import protocol
from hls4rl.firmware.boards import load_board
from hls4rl.firmware.hil import Session, board_library
from hls4rl.firmware.model import BoardModel, exchange
from hls4rl.gym_loop import play
from hls4rl.hls_projects.build import synthesise
from hls4rl.hls_projects.evaluate import differing
from hls4rl.hls_projects.executors import BACKENDS, open_backend
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.plain import read_json
from hls4rl.policy import PolicySpec, read_hidden
from hls4rl.run import Run
from hls4rl.task import Task, change, load_task

EXAMPLES = Path(__file__).resolve().parent.parent / "docs" / "examples"
CHUNK = 4096
"""Visited observations that are compared between two savings, at least."""
EPISODES = 16
"""Played at a time."""
FIRST_EPISODE = 4_000_000
"""Seeds that neither training nor evaluation uses."""
CLOCKS = 256
"""Simulated between two looks at what the board says."""
CLOCKS_TO_WAIT = 4_000_000
"""For all answers of a window of requests."""
MOMENT = "training.seeds=1 training.validation_episodes=2 training.evaluation_episodes=2 hardware.place_seeds=1"
"""Settings of all cases; a few episodes of training beside them."""


@dataclass(frozen=True)
class Case:
    """A policy, and how it is built."""

    task: str
    hidden: str
    method: str
    episodes: int
    """Of training."""
    settings: str = ""
    bits: int = 8

    def read(self) -> tuple[Task, PolicySpec]:
        """The task and the policy."""
        task = load_task(self.task)
        task, variant = change(task, f"{MOMENT} training.episodes={self.episodes} {self.settings}")
        return task, PolicySpec(task.name, self.method, read_hidden(self.hidden), 0, self.bits, variant=variant)


CASES = {
    "halfcheetah-0": Case("halfcheetah", "0", "fp", 4, bits=4),
    "pendulum-16": Case("pendulum", "16", "binarynet", 20),
    "greenhouse-8": Case(str(EXAMPLES / "greenhouse.toml"), "8", "fp", 40, bits=6),
    "greenhouse-switches-8x8x6": Case(
        str(EXAMPLES / "greenhouse-switches.toml"), "8x8x6", "compression", 40, 'network.activation="hard-tanh"', bits=6
    ),
    "lunarlander-64x64": Case("lunarlander", "64x64", "fp", 40, "hardware.fold=8"),
    "halfcheetah-64x64": Case("halfcheetah", "64x64", "fp", 4, "hardware.fold=8"),
}


@dataclass
class Standing:
    """How far one case has come, and what was found."""

    policy: str
    """SHA-256 of the policy's file."""
    run: str
    features: int
    outputs: int
    core: dict[str, Any]
    """What was placed."""
    visited: int = 0
    random: int = 0
    """Observations over the whole input type, its corners among them."""
    episodes: int = 0
    actions: int = 0
    """Different ones that the reference gave to the random observations."""
    mismatches: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*BACKENDS[1:], "board"), 0))
    """Of each executor, the observations to which an action or a result differed from the Brevitas policy's."""
    first: dict[str, Any] | None = None
    """The first of those."""


class Pins:
    """The simulated board, fed with the link's frames at its pins, in this process: no port, no driver, no waiting."""

    name = "board"

    def __init__(self, session: Session) -> None:
        self._expected = session.expected
        self._window = 1 if self._expected.inputs_per_clock else protocol.WINDOW
        self._model = BoardModel(board_library(session))
        exchange(self._model, protocol.DELIMITER)  # a board takes nothing for whole before the first one

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        packed, actions = self._expected.pack(observations), []
        for start in range(0, len(packed), self._window):
            few = packed[start:start + self._window]
            actions += self._ask(few)
        return Answer(np.array(actions, dtype=np.int64), None)

    def _ask(self, packed: list[bytes]) -> list[list[int]]:
        numbers, said = list(range(len(packed))), b""
        data = self._expected.frames(numbers, packed)
        ends = self._model.clocks + CLOCKS_TO_WAIT
        while len(frames := [item for item in said.split(protocol.DELIMITER)[:-1] if item]) < len(packed):
            if self._model.clocks > ends:
                raise ProjectError(f"{len(frames)} of {len(packed)} answers in {CLOCKS_TO_WAIT:,} clocks of the board")
            said += self._model.run(data, CLOCKS_TO_WAIT, CLOCKS)[0]
            data = b""
        answers = [protocol.read_answer(frame) for frame in frames]
        assert [number for number, _ in answers] == numbers
        return [self._expected.action.unpack(item.action) for _, item in answers if isinstance(item, protocol.Action)]


def compare(case: Case, steps: int, root: Path, known: Any) -> Iterator[Standing]:
    """Build ``case`` where it isn't, and go on from ``known``; yields after each chunk."""
    task, spec = case.read()
    synthesise(task, spec, root=root, episodes=1, console=Console(stderr=True))
    run, part = Run(spec, root), task.hardware.part
    standing = _standing(task, run, known)
    if standing.visited >= steps and standing.random:
        yield standing
        return
    reference, *others = (open_backend(name, run, part) for name in BACKENDS)
    others.append(Pins(Session(task, run, part, load_board(task.hardware.board))))
    while standing.visited < steps:
        rows = _visited(task, reference, standing)
        _hold(rows, reference, others, standing)
        standing.visited += len(rows)
        yield standing
    if not standing.random:
        rows = check_observations(task.observation.type, task.features)
        standing.actions = _hold(rows, reference, others, standing)
        standing.random = len(rows)
    yield standing


def _standing(task: Task, run: Run, known: Any) -> Standing:
    built = read_json(run.part(task.hardware.part) / RESULT, "build it again")
    core = {key: built.get(key) for key in ("part", "lut", "ff", "dsp", "bram", "fmax_mhz", "cycles", "fold")}
    policy, (features, outputs) = digest(run.policy), task.spaces
    if known and known["policy"] == policy and known["core"] == core:
        return Standing(**known)
    return Standing(policy, str(Path(run.spec.task) / run.directory.name), features, outputs, core)


def _visited(task: Task, reference: Backend, standing: Standing) -> IntArray:
    seen: list[IntArray] = []
    while sum(map(len, seen)) < CHUNK:
        play(task, reference, EPISODES, FIRST_EPISODE + standing.episodes, lambda rows, _: seen.append(rows))
        standing.episodes += EPISODES
    return np.concatenate(seen)


def _hold(rows: IntArray, reference: Backend, others: list[Backend], standing: Standing) -> int:
    """Hold ``others`` against ``reference``; how many different actions that gave."""
    expected = reference.infer(rows)
    for backend in others:
        wrong = np.flatnonzero(differing(backend.infer(rows), expected))
        standing.mismatches[backend.name] += len(wrong)
        if len(wrong) and standing.first is None:
            standing.first = {"executor": backend.name, "observation": rows[wrong[0]].tolist()}
    return len(np.unique(expected.actions, axis=0))


def run_case(name: str, steps: int, output: Path) -> None:
    """Compare the case ``name``; what was found lies in ``<output>/cases/<name>.json`` after each chunk."""
    path = output / "cases" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    for standing in compare(CASES[name], steps, output / "runs", read_if_whole(path)):
        write_checked(path, asdict(standing))
        print(f"{name}: {standing.visited:,} visited, {sum(standing.mismatches.values())} mismatches", file=sys.stderr)


def collect(output: Path) -> dict[str, Any]:
    """All that was found so far, by the cases' names; it also lies in ``<output>/crown.json``."""
    found = {name: read_if_whole(output / "cases" / f"{name}.json") for name in CASES}
    results = {name: item for name, item in found.items() if item is not None}
    write_checked(output / "crown.json", {"cases": results})
    return results


def main() -> None:
    """Run the cases, print the table and, last, the path of the JSON result."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}; default: all")
    options.add_argument("--steps", type=int, default=100_000, help="visited observations of each case")
    options.add_argument("--output", type=Path, default=Path("build/crown"))
    chosen = options.parse_args()
    if unknown := [name for name in chosen.names if name not in CASES]:
        options.error(f"no case {unknown[0]!r}; there are {', '.join(CASES)}")
    sys.path.insert(0, str(EXAMPLES))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(EXAMPLES), os.environ.get("PYTHONPATH", "")]))
    for name in chosen.names or CASES:
        run_case(name, chosen.steps, chosen.output)
    results = collect(chosen.output)
    table = Table()
    for label in ("case", "visited", "random", "actions", *BACKENDS[1:], "board"):
        table.add_column(label, justify="left" if label == "case" else "right")
    for name, item in results.items():
        counts = (item["visited"], item["random"], item["actions"], *item["mismatches"].values())
        table.add_row(name, *(f"{count:,}" for count in counts))
    Console(width=130).print(table)
    print_result(chosen.output / "crown.json")
    sys.exit(any(item["first"] is not None for item in results.values()))


if __name__ == "__main__":
    main()
