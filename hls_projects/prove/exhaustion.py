"""Equality by trying every observation, where the input type has few enough."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from export.graph import IntegerNetwork
from hls_projects.evaluate import differing
from hls_projects.gates import LANES, Words, integers_of, lanes_of
from hls_projects.prove.claims import OPEN, PROVEN, REFUTED, Claim
from hls_projects.prove.logic import Logic, every_observation
from train.backend import Answer, Backend
from train.contract import FixedPoint, IntArray

CHUNK = 1 << 16
"""Observations that are tried at once."""
_SAVE_SECONDS = 10.0


@dataclass(frozen=True, eq=False)
class Chunk:
    """Some observations, in the two forms that sides take."""

    observations: IntArray
    """Shape (count, features)."""
    stimulus: Words
    """The same for :meth:`hls_projects.prove.logic.Logic.evaluate`, filled up to a multiple of 64."""


class Checked(Protocol):
    """A side that answers observations."""

    parallel: bool
    """Whether several threads may ask at once."""

    def answer(self, chunk: Chunk) -> Answer:
        """Actions, and logits where the side has them."""
        ...


class Gates:
    """A core whose registers were taken for wires."""

    parallel = True

    def __init__(self, logic: Logic, actions: int) -> None:
        self._logic, self._actions = logic, actions

    def answer(self, chunk: Chunk) -> Answer:
        """See :class:`Checked`."""
        names, count = list(self._logic.outputs), len(chunk.observations)
        words = self._logic.evaluate(chunk.stimulus, names)
        actions = integers_of(words["action"]).reshape(-1)[:count]
        if "logits" not in words:
            return Answer(actions, None)
        nets = np.split(self._logic.outputs["logits"], self._actions)
        fields = np.split(words["logits"], self._actions, axis=1)
        logits = [_signed(field, net)[:count] for field, net in zip(fields, nets, strict=True)]
        return Answer(actions, np.stack(logits, axis=1))


class Software:
    """A backend that computes on integers in this process."""

    parallel = False

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def answer(self, chunk: Chunk) -> Answer:
        """See :class:`Checked`."""
        return self._backend.infer(chunk.observations)


class Reference:
    """The integer network, evaluated by NumPy on 64-bit integers."""

    parallel = True

    def __init__(self, network: IntegerNetwork) -> None:
        self._network = network

    def answer(self, chunk: Chunk) -> Answer:
        """See :class:`Checked`."""
        return Answer.of_logits(self._network.infer(chunk.observations))


def exhaust(
    sides: Sequence[tuple[Claim, Checked]], reference: Checked, kind: FixedPoint, features: int, deadline: float,
    save: Callable[[], None],
) -> None:
    """Hold each side against ``reference`` on every observation, going on where each claim stands.

    Args:
        sides: claims and the sides that they are about; those that are settled are passed over.
        deadline: in units of :func:`time.monotonic`; what is left then stays not proven.
        save: called now and then, and at the end.
    """
    waiting = [(claim, side) for claim, side in sides if claim.status == OPEN]
    if not waiting:
        return
    saved = time.monotonic()
    try:
        for claims, expected, chunk, answers in _answers(waiting, reference, kind, features):
            for claim, (answer, seconds) in zip(claims, answers, strict=True):
                if claim.status == OPEN:
                    note(claim, chunk, answer, expected, seconds)
            if time.monotonic() - saved > _SAVE_SECONDS:
                save()
                saved = time.monotonic()
            if time.monotonic() > deadline or all(claim.status != OPEN for claim, _ in waiting):
                break
    finally:
        for claim, _ in waiting:
            claim.reason = "the time given was over; the same command goes on from here"
        save()


def note(claim: Claim, chunk: Chunk, answer: Answer, expected: Answer, seconds: float) -> None:
    """Book what a side answered to ``chunk`` against what was expected."""
    claim.seconds += seconds
    wrong = np.flatnonzero(differing(answer, expected))
    if len(wrong):
        claim.status = REFUTED
        claim.counterexample = counterexample(chunk.observations[wrong[0]], answer, expected, int(wrong[0]))
        return
    claim.covered += len(chunk.observations)
    if claim.covered == claim.total:
        claim.status = PROVEN


def counterexample(observation: IntArray, answer: Answer, expected: Answer, row: int) -> dict[str, Any]:
    """An observation on which two sides differ, and what each says."""
    def said(item: Answer) -> dict[str, Any]:
        logits = {} if item.logits is None else {"logits": item.logits[row].tolist()}
        return {"action": int(item.actions[row]), **logits}

    return {"observation": observation.tolist(), "left": said(answer), "right": said(expected)}


_Answers = tuple[list[Claim], Answer, Chunk, list[tuple[Answer, float]]]


def _answers(
    sides: Sequence[tuple[Claim, Checked]], reference: Checked, kind: FixedPoint, features: int
) -> Iterator[_Answers]:
    """Chunk after chunk: the claims that it is new to, what is expected, and what their sides answered."""
    total = 1 << (kind.bits * features)
    workers = len(os.sched_getaffinity(0)) if all(side.parallel for _, side in sides) else 1
    starts = [(claim.covered, claim, side) for claim, side in sides]

    def one(place: int) -> _Answers:
        chunk = enumerated(kind, features, place, min(CHUNK, total - place))
        asked = [(claim, side) for start, claim, side in starts if start <= place]
        answers = [timed(side, chunk) for _, side in asked]
        return [claim for claim, _ in asked], reference.answer(chunk), chunk, answers

    with ThreadPoolExecutor(workers) as pool:
        places = iter(range(min(start for start, _, _ in starts), total, CHUNK))
        waiting = [pool.submit(one, place) for place in itertools.islice(places, 2 * workers)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [pool.submit(one, place) for place in itertools.islice(places, 1)]
        finally:
            for future in waiting:
                future.cancel()


def timed(side: Checked, chunk: Chunk) -> tuple[Answer, float]:
    """A side's answer and the seconds that it took."""
    start = time.perf_counter()
    return side.answer(chunk), time.perf_counter() - start


def enumerated(kind: FixedPoint, features: int, start: int, count: int) -> Chunk:
    """Observations ``start`` … ``start + count - 1``: read as a number, feature 0 has the lowest bits.

    ``start`` is a multiple of 64.
    """
    numbers = np.arange(start, start + count, dtype=np.int64)
    fields = (numbers[:, None] >> (kind.bits * np.arange(features))) & ((1 << kind.bits) - 1)
    observations = np.where(fields > kind.maximum, fields - (1 << kind.bits), fields)
    return Chunk(observations, every_observation(start, -(-count // LANES) * LANES, kind.bits * features))


def chunk_of(observations: IntArray, kind: FixedPoint) -> Chunk:
    """Any observations, int64, shape (count, features), as a chunk."""
    rows = np.zeros((-(-len(observations) // LANES) * LANES, observations.shape[1]), dtype=np.int64)
    rows[:len(observations)] = observations
    words = [lanes_of(column.reshape(-1, LANES), kind.bits) for column in rows.T]
    return Chunk(observations, np.concatenate(words, axis=1))


def _signed(words: Words, nets: IntArray) -> IntArray:
    """Two's complement of ``words``, shape (words, width); the nets tell how far the sign is repeated."""
    width = len(nets)
    while width > 1 and nets[width - 2] == nets[-1]:
        width -= 1
    values = integers_of(words[:, :width]).reshape(-1)
    places = 64 - width
    signed: IntArray = (values << places) >> places
    return signed
