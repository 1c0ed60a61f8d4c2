"""Boards that lie, stammer, flood and fall silent, on real pseudo-terminals; and both drivers against them.

A board is honest up to a :class:`Phase`, and from there on does what its malice says. What it answers honestly is
known (:func:`honest_action`), so that a driver is right only if it returns these actions or gives the board up in time.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hls4rl import firmware
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.firmware import protocol
from hls4rl.firmware.link import Expected, Link
from hls4rl.firmware.protocol import ActionFormat

DRIVER = Path(firmware.__file__).parent / "driver"
ACTIONS = 3
EXPECTED = Expected(
    features=4, bits=6, action=ActionFormat((2,), choices=(ACTIONS,)), policy_hash=0x0123_4567_89AB_CDEF
)
PATIENCE, TIMEOUT = 0.4, 0.06
"""Of both drivers, in seconds."""
SLACK = 1.0
"""Seconds that a busy machine may add."""
HANG = 15.0
ROWS = np.random.default_rng(5).integers(-32, 32, (70, EXPECTED.features))
HONEST_ANSWERS = 3
RARE = 0.15
"""Share of answers that a board leaves out or damages now and then."""
_IDENTIFY, _INFER, _IDENTITY, _ACTION = 0x01, 0x02, 0x81, 0x82


class Phase(Enum):
    """From when on a board is malicious."""

    START = "from the start"
    INFERENCE = "honest identity, malicious answers"
    LATER = f"after {HONEST_ANSWERS} honest answers"


class Request(NamedTuple):
    """What the host asked."""

    kind: int
    sequence: int
    body: bytes


Reply = Iterator[bytes | float]
"""Bytes to send and seconds to wait, in turn."""


def honest_action(body: bytes) -> int:
    """The action for a packed observation."""
    return sum(body) % ACTIONS


def identity(sequence: int, **changes: int) -> bytes:
    """The frame of an honest identity, but for ``changes``."""
    fields = {"version": protocol.VERSION, "features": EXPECTED.features, "bits": EXPECTED.bits,
              "last_action": EXPECTED.action.bits - 1, "policy_hash": EXPECTED.policy_hash, "shortest": 3, "longest": 3,
              "accepted": 9, "damaged": 0, "dropped": 0} | changes
    body = protocol._IDENTITY_BODY.pack(*fields.values())
    return protocol.seal(protocol._HEADER.pack(_IDENTITY, sequence & 0xFFFF) + body)


def action(sequence: int, value: int, kind: int = _ACTION, more: bytes = b"") -> bytes:
    """The frame of an action."""
    return protocol.seal(protocol._HEADER.pack(kind, sequence & 0xFFFF) + bytes([value]) + more)


def honest(request: Request) -> bytes:
    """What a good board answers."""
    if request.kind == _IDENTIFY:
        return identity(request.sequence)
    return action(request.sequence, honest_action(request.body))


@dataclass(frozen=True)
class Malice:
    """What a board does instead of answering."""

    name: str
    reply: Callable[[Request, np.random.Generator], Reply]
    """To each request."""
    causes: str = ""
    """Words of the Python driver's message; empty: the board is slow or doubles things, but its answers are right."""
    statuses: frozenset[int] = frozenset()
    """Of the C driver, likewise."""
    flood: Callable[[np.random.Generator], bytes] | None = None
    """Sent all the time besides."""
    hang_up: str = ""
    """'stay': the line is closed for good at a request; 'return': a new one opens at once; 'block': takes no bytes."""

    fickle: bool = False
    """Whether a driver may get all actions or give the board up, for whatever cause."""

    @property
    def works(self) -> bool:
        """Whether a driver must get all actions."""
        return not self.causes and not self.fickle


def _nothing(request: Request, rng: np.random.Generator) -> Reply:
    yield from ()


def _damaged(request: Request, rng: np.random.Generator) -> Reply:
    frame = bytearray(honest(request))
    place = int(rng.integers(len(frame) - 1))
    frame[place] = frame[place] % 255 + 1  # another byte, and no delimiter
    yield bytes(frame)


def _bytewise(request: Request, rng: np.random.Generator) -> Reply:
    for byte in honest(request):
        yield bytes([byte])
        yield 0.001


def _drip(values: bytes) -> Callable[[Request, np.random.Generator], Reply]:
    def reply(request: Request, rng: np.random.Generator) -> Reply:
        for _ in range(40):
            yield bytes([values[int(rng.integers(len(values)))]])
            yield 0.01

    return reply


def _sent(*frames: Callable[[Request], bytes]) -> Callable[[Request, np.random.Generator], Reply]:
    def reply(request: Request, rng: np.random.Generator) -> Reply:
        for frame in frames:
            yield frame(request)

    return reply


def _late(seconds: float) -> Callable[[Request, np.random.Generator], Reply]:
    def reply(request: Request, rng: np.random.Generator) -> Reply:
        yield seconds
        yield honest(request)

    return reply


def _now_and_then(request: Request, rng: np.random.Generator) -> Reply:
    if request.kind == _IDENTIFY or rng.random() > RARE:
        yield honest(request)


def _damaged_now_and_then(request: Request, rng: np.random.Generator) -> Reply:
    return _damaged(request, rng) if rng.random() < RARE else iter([honest(request)])


def _mixed(request: Request, rng: np.random.Generator) -> Reply:
    """What one of the others does, drawn anew for each request."""
    kinds = [malice for malice in MALICES if not malice.hang_up and malice.name != "lies under the number before"]
    if rng.random() < 0.6:
        return iter([honest(request)])
    malice = kinds[int(rng.integers(len(kinds)))]
    return iter([malice.flood(rng)]) if malice.flood else malice.reply(request, rng)


def _changed_identity(**changes: int) -> Callable[[Request, np.random.Generator], Reply]:
    def reply(request: Request, rng: np.random.Generator) -> Reply:
        yield identity(request.sequence, **changes) if request.kind == _IDENTIFY else b""

    return reply


def _out_of_range(value: int) -> Callable[[Request, np.random.Generator], Reply]:
    def reply(request: Request, rng: np.random.Generator) -> Reply:
        yield honest(request) if request.kind == _IDENTIFY else action(request.sequence, value)

    return reply


def _to_wrong_number(offset: int) -> Callable[[Request], bytes]:
    def frame(request: Request) -> bytes:
        lie = (honest_action(request.body) + 1) % ACTIONS
        number = request.sequence + offset
        return identity(number, policy_hash=1) if request.kind == _IDENTIFY else action(number, lie)

    return frame


def _swapped(request: Request) -> bytes:
    return action(request.sequence, 0) if request.kind == _IDENTIFY else identity(request.sequence)


def _noise(rng: np.random.Generator) -> bytes:
    return rng.bytes(256)


def _non_zeros(rng: np.random.Generator) -> bytes:
    return bytes(rng.integers(1, 256, 256, dtype=np.uint8))


def _unasked_actions(rng: np.random.Generator) -> bytes:
    # No driver here has asked under a number with these low bits by the time that it gives up: see `Board.run`.
    return b"".join(action(int(number), int(rng.integers(ACTIONS))) for number in rng.integers(0, 1 << 16, 20))


def _unasked_identities(rng: np.random.Generator) -> bytes:
    return b"".join(identity(int(number)) for number in rng.integers(0, 1 << 16, 8))


_SILENT, _GARBAGE, _UNASKED = "silent|takes no bytes", "whole frame", "none to a request"
_MIXED = f"{_GARBAGE}|{_UNASKED}"
_TURN = "says who it is"

MALICES = (
    Malice("silent", _nothing, _SILENT, frozenset({-1})),
    Malice("drips zeros", _drip(b"\0"), _GARBAGE, frozenset({-5})),
    Malice("drips bytes that are not zero", _drip(b"\x01\x7f\xff"), _GARBAGE, frozenset({-5})),
    Malice("floods with zeros", _nothing, _GARBAGE, frozenset({-5}), flood=lambda rng: bytes(256)),
    Malice("floods with bytes that are not zero", _nothing, _GARBAGE, frozenset({-5}), flood=_non_zeros),
    Malice("floods with one byte", _nothing, _GARBAGE, frozenset({-5}), flood=lambda rng: b"\x01" * 256),
    Malice("floods with noise", _nothing, _GARBAGE, frozenset({-5}), flood=_noise),
    Malice("floods with empty frames of one byte", _nothing, _GARBAGE, frozenset({-5}),
           flood=lambda rng: b"\x01\0" * 128),
    Malice("floods with frames that are too long", _nothing, _GARBAGE, frozenset({-5, -6}),
           flood=lambda rng: protocol.seal(bytes([_ACTION]) + rng.bytes(700))),
    Malice("floods with actions nobody asked for", _nothing, _UNASKED, frozenset({-6}), flood=_unasked_actions),
    Malice("floods with identities nobody asked for", _nothing, _UNASKED, frozenset({-6}), flood=_unasked_identities),
    Malice("floods between its damaged answers", _damaged, _GARBAGE, frozenset({-5}), flood=_noise),
    Malice("damages each answer", _damaged, _GARBAGE, frozenset({-5})),
    Malice("answers with a body that is too long", _sent(lambda r: action(r.sequence, 1, more=b"\1")),
           f"{_GARBAGE}|{_UNASKED}|an action of more than 2 bits", frozenset({-6})),
    Malice("answers with no body", _sent(lambda r: protocol.seal(protocol._HEADER.pack(_ACTION, r.sequence))), _GARBAGE,
           frozenset({-6})),
    Malice("answers with another kind", _sent(lambda r: action(r.sequence, 1, kind=0x83)), _GARBAGE, frozenset({-6})),
    Malice("answers identities with actions and actions with identities", _sent(_swapped), _UNASKED, frozenset({-6})),
    Malice("lies under the number before", _sent(_to_wrong_number(-1)), _UNASKED, frozenset({-6})),
    Malice("lies under a far number", _sent(_to_wrong_number(0x4000)), _UNASKED, frozenset({-6})),
    Malice("sends the first halves", _sent(lambda r: honest(r)[:5]), _GARBAGE, frozenset({-5})),
    Malice("sends ended halves", _sent(lambda r: honest(r)[:5] + b"\0"), _GARBAGE, frozenset({-5})),
    Malice("never ends a frame", _sent(lambda r: honest(r)[:-1]), _GARBAGE, frozenset({-5})),
    Malice("echoes", _sent(lambda r: protocol.seal(protocol._HEADER.pack(r.kind, r.sequence) + r.body)),
           "gives back what it is sent", frozenset({-6})),
    Malice("answers an action beyond the last", _out_of_range(ACTIONS), "answered action 3", frozenset({-8})),
    Malice("answers action 255", _out_of_range(255), "an action of more than 2 bits", frozenset({-8})),
    Malice("holds another policy", _changed_identity(policy_hash=1), "holds policy", frozenset({-2})),
    Malice("takes other observations", _changed_identity(features=5), "takes 5 features", frozenset({-2})),
    Malice("has more actions", _changed_identity(last_action=7), "actions of 8 bits", frozenset({-2})),
    Malice("speaks another version", _changed_identity(version=9), "speaks version 9", frozenset({-2})),
    Malice("hangs up", _nothing, "no such port", frozenset({-3}), hang_up="stay"),
    Malice("hangs up in the middle of an answer", _sent(lambda r: honest(r)[:4]), "no such port", frozenset({-3}),
           hang_up="stay"),
    Malice("hangs up and returns", _nothing, "went away", frozenset({-3}), hang_up="return"),
    Malice("takes no bytes", _nothing, _SILENT, frozenset({-3, -1}), hang_up="block"),
    Malice("answers later than the patience", _late(1.5 * PATIENCE), _SILENT, frozenset({-1})),
    Malice("answers later than an answer counts", _late(2.5 * TIMEOUT), f"{_UNASKED}|{_SILENT}", frozenset({-6, -1})),
    Malice("answers byte by byte", _bytewise),
    Malice("answers three times", _sent(honest, honest, honest)),
    Malice("answers after noise", lambda request, rng: iter([rng.bytes(30) + b"\0", honest(request)])),
    Malice("answers after a lie under a far number", _sent(_to_wrong_number(0x4000), honest)),
    Malice("leaves answers out", _now_and_then),
    Malice("damages answers now and then", _damaged_now_and_then),
    Malice("ends each answer twice", _sent(honest, lambda request: b"\0\0")),
)


@dataclass(frozen=True)
class Board:
    """One malicious board."""

    malice: Malice
    phase: Phase

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.malice.name}, {self.phase.value}"


BOARDS = tuple(Board(malice, phase) for malice, phase in product(MALICES, Phase))
FICKLE = Board(Malice("draws what it does anew for each request", _mixed, fickle=True), Phase.LATER)
"""Another board with each seed."""


class Peer:
    """A board at work behind the symbolic link ``port``, in a thread of its own."""

    def __init__(self, board: Board, folder: Path, seed: int) -> None:
        self.port = folder / "port"
        self._board, self._rng = board, np.random.default_rng(seed)
        self._over = threading.Event()
        self._terminal = self._device = -1
        self._buffer, self._answers, self._asked = b"", 0, set[int]()
        self._plug()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._unplug()

    def _run(self) -> None:
        malice, started = self._board.malice, False
        while not self._over.is_set():
            for request in self._requests():
                self._asked.add(request.sequence)
                if not self._is_malicious(request):
                    started = started or self._board.phase is Phase.INFERENCE
                    self._answers += request.kind == _INFER
                    self._say(honest(request))
                    continue
                started = True
                for item in malice.reply(request, self._rng):
                    if isinstance(item, bytes):
                        self._say(item)
                    elif self._over.wait(item):
                        return
                if malice.hang_up:
                    self._hang_up(malice.hang_up)
                    break
            if malice.flood and (started or self._board.phase is Phase.START):
                self._say(self._without_answers(malice.flood(self._rng)))

    def _is_malicious(self, request: Request) -> bool:
        if self._board.phase is Phase.LATER:
            return self._answers >= HONEST_ANSWERS
        return self._board.phase is Phase.START or request.kind != _IDENTIFY

    def _without_answers(self, flood: bytes) -> bytes:
        """The flood without frames that happen to answer a request, now or soon."""
        near = {(number + more) & 0xFFFF for number in self._asked for more in range(200)}
        frames = flood.split(protocol.DELIMITER)
        kept = []
        for frame in frames:
            with contextlib.suppress(protocol.FrameError):
                if protocol.read_answer(frame)[0] in near or not near:
                    continue
            kept.append(frame)
        return protocol.DELIMITER.join(kept)

    def _requests(self) -> list[Request]:
        if self._terminal < 0:
            self._over.wait(0.01)
            return []
        ready, _, _ = select.select([self._terminal], [], [], 0.001)
        data = b""
        if ready:
            with contextlib.suppress(OSError):
                data = os.read(self._terminal, 1 << 16)
        *frames, self._buffer = (self._buffer + data).split(protocol.DELIMITER)
        found = []
        for frame in filter(None, frames):
            with contextlib.suppress(protocol.FrameError):
                payload = protocol.unseal(frame)
                found.append(Request(*protocol._HEADER.unpack_from(payload), payload[protocol._HEADER.size:]))
        return found

    def _say(self, data: bytes) -> None:
        while data and not self._over.is_set():
            try:
                data = data[os.write(self._terminal, data):]
            except BlockingIOError:
                select.select([], [self._terminal], [], 0.01)
            except OSError:
                return

    def _hang_up(self, how: str) -> None:
        if how == "block":
            termios.tcflow(self._device, termios.TCOOFF)
            return
        time.sleep(0.005)  # so that what was said is heard
        self._unplug()
        if how == "return":
            self._plug()

    def _plug(self) -> None:
        self._terminal, self._device = os.openpty()
        tty.setraw(self._device)
        os.set_blocking(self._terminal, False)
        partial = self.port.with_suffix(".new")
        partial.symlink_to(os.ttyname(self._device))
        partial.replace(self.port)

    def _unplug(self) -> None:
        if self._terminal < 0:
            return
        self.port.unlink(missing_ok=True)
        os.close(self._terminal)
        os.close(self._device)
        self._terminal = self._device = -1
        self._buffer = b""


@dataclass(frozen=True)
class Outcome:
    """How a driver fared with a board."""

    actions: list[int]
    cause: str = ""
    """Why it gave up; empty: it did not."""
    seconds: float = 0.0
    """That the call took which gave up."""


def judge(board: Board, outcome: Outcome, cause_fits: Callable[[str], bool]) -> str:
    """What was wrong with ``outcome``; empty: nothing."""
    expected = [honest_action(packed) for packed in EXPECTED.pack(ROWS)]
    if outcome.actions != expected[:len(outcome.actions)]:
        return "a wrong action"
    if board.malice.fickle and not outcome.cause.startswith("exit status"):
        late = outcome.cause and outcome.seconds > PATIENCE + SLACK
        return f"given up after {outcome.seconds:.1f} s" if late else ""
    if board.malice.works:
        return "" if not outcome.cause and len(outcome.actions) == len(expected) else f"given up: {outcome.cause}"
    if not outcome.cause:
        return "not given up"
    if outcome.seconds > PATIENCE + SLACK:
        return f"given up after {outcome.seconds:.1f} s"
    return "" if cause_fits(outcome.cause) else f"another cause: {outcome.cause}"


def try_python(board: Board, seed: int = 0) -> str:
    """What was wrong with the Python driver at this board; empty: nothing."""
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder, Peer(board, Path(folder), seed) as peer:
        thread = threading.Thread(target=lambda: outcomes.append(_ask_python(str(peer.port))), daemon=True)
        thread.start()
        thread.join(HANG)
    if not outcomes:
        return f"still waiting after {HANG:g} s"
    causes = board.malice.causes if board.phase is Phase.START else f"{board.malice.causes}|{_TURN}"
    if board.malice.causes == _GARBAGE:
        causes += f"|{_UNASKED}"  # where the answers before were late
    return judge(board, outcomes[0], lambda cause: bool(re.search(causes, cause)))


def _ask_python(port: str) -> Outcome:
    actions: list[int] = []
    began = time.monotonic()
    try:
        with Link(port, 1_000_000, EXPECTED, timeout=TIMEOUT, patience=PATIENCE) as link:
            for rows in np.split(ROWS, [1, 2, 3, 4, 10]):
                began = time.monotonic()
                actions += link.infer(rows).actions[:, 0].tolist()
    except ProjectError as error:
        return Outcome(actions, str(error), time.monotonic() - began)
    return Outcome(actions)


def try_c(board: Board, host: Path, seed: int = 0) -> str:
    """What was wrong with the C driver at this board; empty: nothing."""
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder, Peer(board, Path(folder), seed) as peer:
        try:
            outcome = _ask_c(host, str(peer.port), ROWS)
        except subprocess.TimeoutExpired:
            return f"still waiting after {HANG:g} s"
    statuses = board.malice.statuses | (set() if board.phase is Phase.START else {-7})
    return judge(board, outcome, lambda cause: cause in {f"status {status}" for status in statuses})


def _ask_c(host: Path, port: str, rows: IntArray) -> Outcome:
    limits = (str(round(PATIENCE * 1000)), str(round(TIMEOUT * 1000)))
    done = subprocess.run(
        [host, port, f"{EXPECTED.policy_hash:x}", str(EXPECTED.features), str(EXPECTED.bits), str(ACTIONS),
         *limits], input="\n".join(" ".join(map(str, row)) for row in rows.tolist()), capture_output=True, text=True,
        timeout=HANG, check=False,
    )
    if done.returncode or done.stderr:
        return Outcome([], f"exit status {done.returncode}: {done.stderr[-2000:]}")
    _, status, *lines = done.stdout.splitlines()
    if not status.startswith("status 0 "):
        lines = [status]
    actions = [int(line) for line in lines if line.lstrip("-").isdigit()]
    *_, last = lines
    if last.startswith("status"):
        _, code, _, milliseconds, _ = last.split()
        return Outcome(actions, f"status {code}", int(milliseconds) / 1000)
    return Outcome(actions)


def build_host(folder: Path, sanitised: bool) -> Path:
    """Compile the C driver and its host program as strictly as can be."""
    program = folder / ("host-sanitised" if sanitised else "host")
    strict = ["-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]
    checks = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if sanitised else []
    sources = (DRIVER / "hls4rl_link.c", Path(__file__).parents[1] / "firmware" / "c_host.c")
    subprocess.run(["gcc", *strict, *checks, "-O1", f"-I{DRIVER}", *sources, "-o", program], check=True)
    return program
