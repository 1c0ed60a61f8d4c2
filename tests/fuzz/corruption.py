"""Corrupted artefacts before every command that reads artefacts: each must be noticed.

A root with runs of everything is made once. A case is a copy of it with one file or folder damaged, and one command.
The command must refuse, in one line that names the place, or make the artefact again so that it is whole.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from artefacts import as_artefact

from hls4rl.__main__ import app
from hls4rl.artefact import METADATA, inputs_of, verified
from hls4rl.checked import read_checked
from hls4rl.errors import ProjectError
from hls4rl.task import TASK_DIRECTORY

TASK, RUN, OTHER = "quick", "binarynet-h2-s0", "binarynet-h2-s1"
PART, BOARD = "ecp5-25f", "ulx3s"
MODEL, PAPER = "model", "paper-results/mountaincar-quick"
_QUICK = {
    "episodes = 2000 ": "episodes = 200 ", "validation_episodes = 100": "validation_episodes = 5",
    "place_seeds = 3": "place_seeds = 1",
}
_PROJECT = ("metadata.json", "project.json", "csim/policy.so", "csim/policy.json", "firmware/policy.cpp", "weights/w")
"""Of the many files of an hls4ml project, those that are damaged."""


@dataclass(frozen=True)
class Command:
    """One command, and what it reads."""

    arguments: tuple[str, ...]
    reads: tuple[str, ...]
    """Artefacts and single files, below the root; patterns of them."""
    cases: int
    """How many of the possible ones are tried: few where each one is built again."""


def _of_run(*names: str) -> tuple[str, ...]:
    return tuple(f"{TASK}/{RUN}/{name}" for name in names)


_STAGES = ("policy", "onnx", "hls4ml", PART)
_SIMULATED = _of_run("policy", PART, "simulated-board")
_CERTIFICATE = f"proof-{PART}/certificate.json"
_OPTIONAL = ("hil.json", "certificate.json", "explore.json")
"""Of a report: what isn't there isn't in it."""
COMMANDS = {
    "evaluate": Command(("evaluate", "RUN", "--episodes", "1"), _of_run(*_STAGES), 150),
    "prove": Command(("prove", "RUN"), _of_run(*_STAGES, f"proof-{PART}/progress.json"), 60),
    "equality": Command(("equality", "--steps", "64", "ROOT"), (*_of_run(*_STAGES), "equality.json"), 40),
    "report": Command(("report", "ROOT"),
        (*_of_run("policy", PART, "report", METADATA, "hil.json", _CERTIFICATE), f"{TASK}/explore/explore.json",
         f"onnx/{MODEL}-*/report"), 80,
    ),
    "export": Command(("export", "POLICY"), _of_run("policy", "onnx"), 20),
    "train": Command(("train", "RUN"), _of_run("policy"), 12),
    "curves": Command(("curves", "TASK"), _of_run("policy"), 12),
    "explore": Command(("explore", "TASK", "--budget", "1s"), (f"{TASK}/explore",), 12),
    "synth": Command(("synth", "RUN"), _of_run(*_STAGES, "report"), 16),
    "synth, imported": Command(
        ("synth", "--onnx", "MODEL", "TASK"),
        tuple(f"onnx/{MODEL}-*/{name}" for name in ("onnx", "hls4ml", PART, "report")), 12,
    ),
    "paper": Command(
        ("paper", "--task", "mountaincar", "--quick", "--workers", "2", "ROOT"),  # the grid's rows, and few of them
        (f"{PAPER}/results.jsonl", f"{PAPER}/tables.md"), 12,
    ),
    "hil": Command(("hil", "RUN", "--episodes", "1"), _SIMULATED, 8),
    "watch": Command(("watch", "RUN"), _SIMULATED, 6),
    "endure": Command(("endure", "RUN", "--minutes", "0.005", "--frames", "50"), _SIMULATED, 6),
    "bitstream": Command(("bitstream", "RUN"), _of_run("policy", PART, f"board-{BOARD}"), 10),
}


@dataclass(frozen=True)
class Case:
    """One damage, and the command that has to notice it."""

    command: str
    place: str
    """The file or folder, below the root."""
    damage: str


def whole_root(root: Path) -> None:
    """Make everything that the commands read, below ``root``."""
    task_file(root)
    for seed in ("1", "0"):
        run("synth", COMMANDS["synth"], root, seed)
    for name in ("prove", "hil", "bitstream"):
        run(name, COMMANDS[name], root)
    run("equality", COMMANDS["equality"], root)
    shutil.copyfile(root / TASK / RUN / "onnx" / "policy.qonnx.onnx", root / f"{MODEL}.onnx")
    run("synth, imported", COMMANDS["synth, imported"], root)
    run("explore", Command(("explore", "TASK", "--budget", "60s", "--workers", "2"), (), 0), root)
    for name, command in COMMANDS.items():  # undamaged, each of them goes through
        run(name, command, root)


def task_file(root: Path) -> None:
    """A task that is trained and placed quickly."""
    text = (TASK_DIRECTORY / "cartpole.toml").read_text(encoding="utf-8")
    for before, after in _QUICK.items():
        assert before in text
        text = text.replace(before, after)
    (root / f"{TASK}.toml").write_text(text, encoding="utf-8")


def run(name: str, command: Command, root: Path, seed: str = "0") -> None:
    """Run a command in this process, silently.

    Raises:
        ProjectError: it refuses.
        AssertionError: it ends with a status other than 0.
    """
    task = ["--env", str(root / f"{TASK}.toml")]
    below = ["--root", str(root)]
    words = {
        "ROOT": below, "TASK": [*task, *below], "MODEL": [str(root / f"{MODEL}.onnx")],
        "POLICY": [str(root / TASK / RUN / "policy" / "policy.safetensors")],
        "RUN": [*task, "--method", "binarynet", "--hidden", "2", "--seed", seed, *below],
    }
    arguments = [word for item in command.arguments for word in words.get(item, [item])]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        status = app(arguments, standalone_mode=False)
    assert not status, f"{name} ended with status {status}"


def cases(root: Path, commands: Sequence[str], fraction: float, start: int = 0) -> list[Case]:
    """So many of the cases of each command, drawn evenly."""
    rng, found = np.random.default_rng(start), []
    for name in commands:
        possible = list(_possible(root, name))
        count = min(len(possible), max(1, round(COMMANDS[name].cases * fraction)))
        found += [possible[index] for index in sorted(rng.choice(len(possible), count, replace=False))]
    return found


def _possible(root: Path, name: str) -> Iterator[Case]:
    found = (path for pattern in COMMANDS[name].reads for path in sorted(root.glob(pattern)))
    for place in (str(path.relative_to(root)) for path in found):
        if (root / place / METADATA).exists() and f"/{RUN}/" in place and _other(root, place).is_dir():
            yield Case(name, place, "folder of another run")
        for path in _files(root / place):
            for damage, work in DAMAGES.items():
                content = path.read_bytes()
                changed = work(content, _other(root, str(path.relative_to(root))), np.random.default_rng(0))
                optional = name == "report" and changed is None and place.endswith(_OPTIONAL)
                if changed != content and not optional:
                    yield Case(name, str(path.relative_to(root)), damage)
    if name == "evaluate":
        for file in ("policy_core.v", "policy_logits.v", "netlist.json"):
            if (root / TASK / RUN / PART / file).exists():
                yield Case(name, f"{TASK}/{RUN}/{PART}/{file}", REHASHED)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    files = [path for path in sorted(place.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    return [path for path in files if place.name != "hls4ml" or any(name in str(path) for name in _PROJECT)]


def _other(root: Path, place: str) -> Path:
    return root / place.replace(f"/{RUN}/", f"/{OTHER}/")


def _flip(content: bytes, other: Path, rng: np.random.Generator) -> bytes:
    place = int(rng.integers(len(content)))
    return content[:place] + bytes([content[place] ^ 1 << int(rng.integers(8))]) + content[place + 1:]


def _forge(content: bytes, other: Path, rng: np.random.Generator) -> bytes:
    """A number in JSON, or the core's answer in Verilog."""
    text = content.replace(b"assign action = ", b"assign action = ~").replace(b"assign model_out", b"assign  model_out")
    if content.startswith((b"{", b"[")):
        text = re.sub(rb'(": |^ +)(\d+)', lambda match: match[1] + b"%d" % (int(match[2]) + 1), text, count=1)
    return text


Damage = Callable[[bytes, Path, np.random.Generator], bytes | None]
DAMAGES: dict[str, Damage] = {
    "truncated": lambda content, other, rng: content[:len(content) // 2],
    "emptied": lambda content, other, rng: b"",
    "one bit flipped": _flip,
    "another run's": lambda content, other, rng: other.read_bytes() if other.is_file() else content,
    "forged": _forge,
    "missing": lambda content, other, rng: None,
}
REHASHED = "forged, and the artefact's hashes with it"


def try_case(case: Case, root: Path, work: Path, start: int = 0) -> str:
    """Whether the command ``refused``, or ``made again`` what was damaged.

    Raises:
        AssertionError: neither, or with a message that does not help; whatever else the command raises goes through.
    """
    copy = work / "root"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(root, copy, copy_function=_linked)
    place = copy / case.place
    _damage(case, place, copy, np.random.default_rng(start))
    with contextlib.chdir(copy):
        try:
            run(case.command, COMMANDS[case.command], copy)
        except ProjectError as error:
            message = str(error)
            assert "; " in message, f"a refusal without a remedy: {message}"
            names = (place.name, str(place.parent), f"/{place.parent.name}/", f"/{RUN}:", f"/{RUN};")
            assert any(name in message for name in names), f"a refusal that does not name the place: {message}"
            return "refused"
    assert case.damage != REHASHED, "accepted"
    if case.place.startswith(PAPER):  # no artefact: a file that equal jobs fill with equal bytes
        assert place.read_bytes() == (root / case.place).read_bytes(), "accepted"
    else:
        _require_whole(place, copy)
    return "made again"


def _linked(source: str, target: str) -> None:
    """Commands put whole files into place; only a search's journal grows where it lies."""
    (shutil.copyfile if source.endswith(".journal") else os.link)(source, target)


def _damage(case: Case, place: Path, root: Path, rng: np.random.Generator) -> None:
    other = _other(root, case.place)
    if place.is_dir():
        shutil.rmtree(place)
        shutil.copytree(other, place, copy_function=_linked)
        return
    content = place.read_bytes()
    changed = DAMAGES["forged" if case.damage == REHASHED else case.damage](content, other, rng)
    place.unlink()  # shared with the root that is whole
    if changed is not None:
        place.write_bytes(changed)
    if case.damage == REHASHED:
        inputs = json.loads((place.parent / METADATA).read_text(encoding="utf-8"))["inputs"]
        as_artefact(place.parent, **inputs)


def _require_whole(place: Path, root: Path) -> None:
    """Insist that what was damaged is whole again."""
    try:
        artefact = next((folder for folder in (place, *place.parents) if (folder / METADATA).is_file()), None)
        if place.suffix == ".json" and (artefact is None or artefact.name == RUN):
            read_checked(place, "again")
        else:
            assert artefact is not None
            verified(artefact, "again", **({} if place.is_file() else _inputs(artefact, root)))
    except ProjectError as error:
        raise AssertionError(f"accepted: {error}") from error


def _inputs(artefact: Path, root: Path) -> dict[str, object]:
    spec = inputs_of(root / TASK / RUN / "policy", "again")["spec"]
    return {"spec": spec} if artefact.name == "policy" else {}


def corrupted_artefacts(fraction: float, start: int = 0) -> dict[str, int]:
    """Try so many of the cases of every command; returns how many were refused and how many made again.

    Raises:
        AssertionError: some were not noticed; each is printed.
    """
    counts = {"cases": 0, "refused": 0, "made again": 0}
    failures = []
    with tempfile.TemporaryDirectory(prefix="corruption-") as work:
        root = Path(work) / "whole"
        root.mkdir()
        whole_root(root)
        for case in cases(root, list(COMMANDS), fraction, start):
            counts["cases"] += 1
            try:
                counts[try_case(case, root, Path(work), start + counts["cases"])] += 1
            except Exception as error:  # the others are still to be tried
                failures.append(f"{case}: {type(error).__name__}: {str(error)[:300]}")
                print(failures[-1], flush=True)
    assert not failures, f"{len(failures)} of {counts['cases']} cases were not noticed, the first: {failures[0]}"
    return counts
