"""Equality by trying every observation, where the input type has few enough."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from hls4rl.backend import Answer, Backend
from hls4rl.contract import FixedPoint, IntArray
from hls4rl.hls_projects.evaluate import differing
from hls4rl.hls_projects.prove.claims import OPEN, PROVEN, REFUTED, Claim
from hls4rl.hls_projects.prove.logic import Logic, every_observation
from hls4rl.hls_projects.rtl.folded import FoldedInfo
from hls4rl.hls_projects.rtl.pipelined import RtlInfo
from hls4rl.hls_projects.simulation.gates import LANES, Words, fields_of, integers_of, lanes_of
from hls4rl.network import IntegerNetwork

CHUNK = 1 << 14
"""Observations that are tried at once: few enough for a processor's cache, many enough for Python's share to be small.
A multiple of 64."""
_SAVE_SECONDS = 10.0
_KEPT_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some observations, in the two forms that sides take."""

    observations: IntArray
    """Shape (count, features)."""
    pack: Callable[[], Words]
    """Makes :attr:`stimulus`."""

    @cached_property
    def stimulus(self) -> Words:
        """The same for :meth:`hls4rl.hls_projects.prove.logic.Logic.evaluate`, filled up to a multiple of 64."""
        return self.pack()


@dataclass(frozen=True, eq=False)
class Check:
    """What came of asking one side about one chunk."""

    counterexample: dict[str, Any] | None
    """The chunk's first observation to which it gave another answer than expected; None if there is none."""
    seconds: float
    """Of a processor, that the answer took."""


class Checked(Protocol):
    """A side that answers observations, to several threads at once."""

    def answer(self, chunk: Chunk) -> Answer:
        """Actions, and logits where the side has them."""
        ...


class Gates:
    """A core as the function of an observation that it computes."""

    def __init__(self, logic: Logic, info: RtlInfo | FoldedInfo) -> None:
        self._logic, self._info = logic, info

    def answer(self, chunk: Chunk) -> Answer:
        """See :class:`Checked`."""
        names, count = list(self._logic.outputs), len(chunk.observations)
        words = self._logic.evaluate(chunk.stimulus, names)
        actions = fields_of(words["action"], self._info.action_widths, self._info.action_signed)[:count]
        if "logits" not in words:
            return Answer(actions, None)
        nets = np.split(self._logic.outputs["logits"], self._info.outputs)
        fields = np.split(words["logits"], self._info.outputs, axis=1)
        logits = [_signed(field, net)[:count] for field, net in zip(fields, nets, strict=True)]
        return Answer(actions, np.stack(logits, axis=1))


class Software:
    """An executor in this process. Each thread opens its own: two calls at once into one could disturb each other."""

    def __init__(self, opener: Callable[[], Backend]) -> None:
        self._opener, self._opening, self._mine = opener, threading.Lock(), threading.local()

    def answer(self, chunk: Chunk) -> Answer:
        """See :class:`Checked`."""
        if not hasattr(self._mine, "backend"):
            with self._opening:
                self._mine.backend = self._opener()
        answer: Answer = self._mine.backend.infer(chunk.observations)
        return answer


class Reference:
    """The integer network, evaluated by NumPy on 64-bit integers."""

    def __init__(self, network: IntegerNetwork) -> None:
        self._network = network

    def answer(self, chunk: Chunk) -> Answer:
        """See :class:`Checked`."""
        return Answer.of_logits(self._network.infer(chunk.observations), self._network.output)


def exhaust(
    sides: Sequence[tuple[Claim, Checked]], reference: Checked, kind: FixedPoint, features: int, deadline: float,
    save: Callable[[], None],
) -> None:
    """Hold each side against ``reference`` on every observation, going on where each claim stands.

    One thread for each processor tries chunk after chunk; they are booked in their order, so that what a claim covers
    are always the first observations, and a counterexample is the first there is.

    Args:
        sides: claims and the sides that they are about; those that are settled are passed over.
        deadline: in units of :func:`time.monotonic`; what is left then stays not proven.
        save: called now and then, and at the end.
    """
    waiting = [(claim, side) for claim, side in sides if claim.status == OPEN]
    if not waiting:
        return
    _keep_memory()
    saved = time.monotonic()
    try:
        with threadpool_limits(1, "blas"):  # the threads here are as many as there are processors
            for end, checks in _checks(waiting, reference, kind, features):
                for claim, check in checks:
                    if claim.status == OPEN:
                        note(claim, end, check)
                if time.monotonic() - saved > _SAVE_SECONDS:
                    save()
                    saved = time.monotonic()
                if time.monotonic() > deadline or all(claim.status != OPEN for claim, _ in waiting):
                    break
    finally:
        for claim, _ in waiting:
            claim.reason = "the time given was over; the same command goes on from here"
        save()


def checked(side: Checked, chunk: Chunk, expected: Answer) -> Check:
    """Ask ``side``, and compare each action and each logit."""
    start = time.thread_time()
    answer = side.answer(chunk)
    seconds = time.thread_time() - start
    if np.array_equal(answer.actions, expected.actions) and (
        answer.logits is None or expected.logits is None or np.array_equal(answer.logits, expected.logits)
    ):
        return Check(None, seconds)
    row = int(np.flatnonzero(differing(answer, expected))[0])
    return Check(counterexample(chunk.observations[row], answer, expected, row), seconds)


def note(claim: Claim, covered: int, check: Check) -> None:
    """Book ``check``, with which as many as ``covered`` observations were compared."""
    claim.seconds += check.seconds
    if check.counterexample is not None:
        claim.status, claim.counterexample = REFUTED, check.counterexample
        return
    claim.covered = covered
    if claim.covered == claim.total:
        claim.status = PROVEN


def counterexample(observation: IntArray, answer: Answer, expected: Answer, row: int) -> dict[str, Any]:
    """An observation on which two sides differ, and what each says."""
    def said(item: Answer) -> dict[str, Any]:
        logits = {} if item.logits is None else {"logits": item.logits[row].tolist()}
        return {"action": item.actions[row].tolist(), **logits}

    return {"observation": observation.tolist(), "left": said(answer), "right": said(expected)}


def _checks(
    sides: Sequence[tuple[Claim, Checked]], reference: Checked, kind: FixedPoint, features: int
) -> Iterator[tuple[int, list[tuple[Claim, Check]]]]:
    """Chunk after chunk: where it ends, and what came of it for the claims that it is new to."""
    total, workers = 1 << (kind.bits * features), len(os.sched_getaffinity(0))

    def one(start: int) -> tuple[int, list[tuple[Claim, Check]]]:
        end = min(start + CHUNK, total)
        asked = [(claim, side) for claim, side in sides if claim.status == OPEN and claim.covered < end]
        chunk = enumerated(kind, features, start, end - start)
        expected = reference.answer(chunk)
        return end, [(claim, checked(side, chunk, expected)) for claim, side in asked]

    # Whole chunks, whatever the size of those that an earlier call saved after.
    first = min(claim.covered for claim, _ in sides) // CHUNK * CHUNK
    with ThreadPoolExecutor(workers) as pool:
        starts = iter(range(first, total, CHUNK))
        waiting = [pool.submit(one, start) for start in itertools.islice(starts, 2 * workers)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(one, start) for start in itertools.islice(starts, 1)]
        finally:
            for future in waiting:
                future.cancel()


def _keep_memory() -> None:
    """Let freed arrays stay with this process.

    The C library hands them back to the system, to get them anew page by page, which took half of the time; but no
    more than twice the largest block that was ever freed.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)


def enumerated(kind: FixedPoint, features: int, start: int, count: int) -> Chunk:
    """Observations ``start`` … ``start + count - 1``: read as a number, feature 0 has the lowest bits.

    ``start`` is a multiple of 64.
    """
    numbers = np.arange(start, start + count, dtype=np.int64)
    fields = (numbers[:, None] >> (kind.bits * np.arange(features))) & ((1 << kind.bits) - 1)
    observations = (fields ^ -kind.minimum) + kind.minimum  # from two's complement
    words = -(-count // LANES)
    return Chunk(observations, lambda: every_observation(start, words * LANES, kind.bits * features))


def chunk_of(observations: IntArray, kind: FixedPoint) -> Chunk:
    """Any observations, int64, shape (count, features), as a chunk."""
    def pack() -> Words:
        rows = np.zeros((-(-len(observations) // LANES) * LANES, observations.shape[1]), dtype=np.int64)
        rows[:len(observations)] = observations
        return np.concatenate([lanes_of(column.reshape(-1, LANES), kind.bits) for column in rows.T], axis=1)

    return Chunk(observations, pack)


def _signed(words: Words, nets: IntArray) -> IntArray:
    """Two's complement of ``words``, shape (words, width); the nets tell how far the sign is repeated."""
    width = len(nets)
    while width > 1 and nets[width - 2] == nets[-1]:
        width -= 1
    values = integers_of(words[:, :width]).reshape(-1)
    places = 64 - width
    signed: IntArray = (values << places) >> places
    return signed
