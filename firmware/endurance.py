"""Endurance of the link: frames of noise straight into the board's pin, and long runs over a bad wire."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.backend import Backend
from hls4rl.contract import IntArray
from hls4rl.firmware import protocol
from hls4rl.firmware.design import Design
from hls4rl.firmware.hil import Session, open_board
from hls4rl.firmware.model import BoardModel, exchange
from hls4rl.firmware.protocol import Action, FrameError, Identity
from hls4rl.firmware.simulated_board import Trouble
from hls4rl.train.network import TorchBackend

_BATCH = 128
_BYTES_BETWEEN_EVENTS = 400_000


@dataclass
class FuzzResult:
    """What came of a number of damaged frames."""

    frames: int = 0
    """Damaged ones sent."""
    good: int = 0
    """Good ones sent between them."""
    wrong: int = 0
    """Answers that were wrong, or to no good request: must be 0."""
    unanswered: int = 0
    """Good requests, sent after a delimiter, without an answer: must be 0."""
    kinds: dict[str, int] = field(default_factory=dict)
    """Damaged frames by kind."""


def fuzz(design: Design, library: Path, reference: Backend, frames: int, seed: int = 0) -> FuzzResult:
    """Send ``frames`` damaged frames to a simulated board's pin, with good requests between them.

    After each group of damaged frames comes a delimiter, as a host sends it, and good requests; those must be
    answered, rightly, and nothing else.

    Args:
        reference: the same policy in software.
    """
    rng = np.random.default_rng(seed)
    model = BoardModel(library)
    result = FuzzResult()
    number = 0
    while result.frames < frames:
        observations = _random_observations(rng, design, int(rng.integers(1, 8)))
        packed = protocol.pack_observations(observations, design.bits)
        numbers = [(number + index) & 0xFFFF for index in range(len(packed))]
        number += len(packed)
        sound = protocol.infer_requests(numbers, packed)
        for _ in range(min(int(rng.integers(1, 40)), frames - result.frames)):
            kind = str(rng.choice(list(_DAMAGES)))
            result.frames += 1
            result.kinds[kind] = result.kinds.get(kind, 0) + 1
            if kind == "break":
                model.hold_low(int(rng.integers(1, 500)))
                continue
            damaged = _DAMAGES[kind](rng, _random_request(rng, design))
            result.wrong += sum(1 for _ in _answers(exchange(model, damaged, 400)))
        answers = reference.infer(observations).actions.tolist()
        expected = dict(zip(numbers, map(design.action.pack, answers), strict=True))
        for sequence, answer in _answers(exchange(model, protocol.DELIMITER + sound)):
            right = isinstance(answer, Action) and expected.pop(sequence, None) == answer.action
            result.wrong += not right
        result.good += len(numbers)
        result.unanswered += len(expected)
    model.close()
    return result


def soak(session: Session, minutes: float, faults: float, seed: int = 0) -> dict[str, Any]:
    """Ask the simulated board over a bad wire for ``minutes``, with random observations; compare every action.

    The board is unplugged or power-cycled, in turn, every few ten thousand requests.

    Returns:
        minutes, inferences, mismatches, inferences_per_second, longest_answer_seconds (of one batch of 128), link
        (counters) and faults_injected.
    """
    design = session.design
    policy = TorchBackend(session.run.load_policy())
    rng = np.random.default_rng(seed)
    places = range(_BYTES_BETWEEN_EVENTS, 1 << 30, _BYTES_BETWEEN_EVENTS)[:100]
    trouble = Trouble(faults, seed, tuple(places[::2]), tuple(places[1::2]))
    inferences = mismatches = 0
    longest = 0.0
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        report = Path(folder) / "simulated.json"
        with open_board(session, report, trouble) as link:
            start = time.monotonic()
            while time.monotonic() < start + minutes * 60:
                observations = _random_observations(rng, design, _BATCH)
                asked = time.monotonic()
                actions = link.infer(observations).actions
                longest = max(longest, time.monotonic() - asked)
                mismatches += int(np.count_nonzero((actions != policy.infer(observations).actions).any(axis=1)))
                inferences += len(observations)
            seconds = time.monotonic() - start
            link.identify()
        injected = json.loads(report.read_text(encoding="utf-8"))
    return {
        "minutes": round(seconds / 60, 2), "inferences": inferences, "mismatches": mismatches,
        "inferences_per_second": round(inferences / seconds, 1), "longest_answer_seconds": round(longest, 2),
        "link": link.counters.to_json(), "faults_injected": injected,
    }


def _random_observations(rng: np.random.Generator, design: Design, count: int) -> IntArray:
    top = 1 << (design.bits - 1)
    return rng.integers(-top, top, (count, design.features))


def _random_request(rng: np.random.Generator, design: Design) -> bytes:
    sequence = int(rng.integers(1 << 16))
    return protocol.infer_requests(
        [sequence], protocol.pack_observations(_random_observations(rng, design, 1), design.bits)
    )


def _answers(data: bytes) -> list[tuple[int, Identity | Action]]:
    # The simulated pin loses nothing on the way back, so every frame is whole.
    return [protocol.read_answer(frame) for frame in data.split(protocol.DELIMITER)[:-1]]


def _noise(rng: np.random.Generator, _: bytes) -> bytes:
    return rng.bytes(int(rng.integers(1, 40)))


def _no_zeros(rng: np.random.Generator, _: bytes) -> bytes:
    return bytes(rng.integers(1, 256, int(rng.integers(1, 300)), dtype=np.uint8)) + protocol.DELIMITER


def _flip(rng: np.random.Generator, frame: bytes) -> bytes:
    out = bytearray(frame)
    for _ in range(int(rng.integers(1, 4))):
        out[int(rng.integers(len(out)))] ^= 1 << int(rng.integers(8))
    return _unless_whole(bytes(out))


def _drop(rng: np.random.Generator, frame: bytes) -> bytes:
    place = int(rng.integers(len(frame)))
    return _unless_whole(frame[:place] + frame[place + 1:])


def _double(rng: np.random.Generator, frame: bytes) -> bytes:
    place = int(rng.integers(len(frame)))
    return _unless_whole(frame[:place] + frame[place:place + 1] + frame[place:])


def _cut(rng: np.random.Generator, frame: bytes) -> bytes:
    return frame[:int(rng.integers(1, len(frame) - 1))] + protocol.DELIMITER


def _imported(rng: np.random.Generator, _: bytes) -> bytes:
    # Whole, but nothing that a board answers: another kind or length.
    kind = int(rng.choice([0x00, 0x03, 0x81, 0x82, 0xFF]))
    return protocol.seal(bytes([kind]) + rng.bytes(int(rng.integers(0, 300))))


def _two_in_one(rng: np.random.Generator, frame: bytes) -> bytes:
    return frame[:-1] + frame


def _unless_whole(data: bytes) -> bytes:
    """``data``, or nothing where the damage undid itself."""
    for frame in data.split(protocol.DELIMITER):
        try:
            protocol.unseal(frame)
        except FrameError:
            continue
        return b""
    return data


_DAMAGES: dict[str, Callable[[np.random.Generator, bytes], bytes]] = {
    "noise": _noise, "flood": _no_zeros, "flipped": _flip, "dropped": _drop, "doubled": _double, "cut": _cut,
    "imported": _imported, "merged": _two_in_one, "break": _noise,
}
