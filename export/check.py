"""Integers equal everywhere, or an error: the check that every file of the export must pass."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hls4rl.backend import Backend
from hls4rl.contract import FixedPoint, IntArray
from hls4rl.errors import ProjectError

RANDOM_ROWS = 2000
_MAXIMUM_ELEMENTS = 1 << 22


class MismatchError(ProjectError):
    """Two executors disagree about a policy: a bug in hls4rl or in a tool that it calls."""


def corner_observations(kind: FixedPoint, features: int, rng: np.random.Generator) -> IntArray:
    """All minima, all maxima, zero, and every observation with one bit set.

    Where those are too many (images), a random choice of the one-bit observations. int64, shape
    (rows, features), in units of ``kind.lsb``.
    """
    bits = np.array([1 << bit for bit in range(kind.bits)], dtype=np.int64)
    if kind.signed:
        bits[-1] = kind.minimum
    places = [(feature, bit) for feature in range(features) for bit in bits]
    count = min(len(places), max(_MAXIMUM_ELEMENTS // features, 1))
    chosen = np.arange(len(places)) if count == len(places) else np.sort(rng.permutation(len(places))[:count])
    rows = np.zeros((3 + count, features), dtype=np.int64)
    rows[0], rows[1] = kind.minimum, kind.maximum
    for row, place in enumerate(chosen, start=3):
        feature, value = places[place]
        rows[row, feature] = value
    return rows


def check_observations(kind: FixedPoint, features: int, seed: int = 0) -> IntArray:
    """The corners and about 2000 random observations over the whole type, the same for the same ``seed``."""
    rng = np.random.default_rng(seed)
    rows = min(RANDOM_ROWS, max(_MAXIMUM_ELEMENTS // features, 16))
    randoms = rng.integers(kind.minimum, kind.maximum, size=(rows, features), endpoint=True, dtype=np.int64)
    return np.concatenate([corner_observations(kind, features, rng), randoms])


def require_equal_logits(reference: Backend, others: Iterable[Backend], observations: IntArray) -> None:
    """Insist that each of ``others`` gives the integers and actions of ``reference``.

    Raises:
        MismatchError: one doesn't; the message says which, and on how many observations.
    """
    expected = reference.infer(observations)
    for backend in others:
        answer = backend.infer(observations)
        wrong = (answer.actions != expected.actions).any(axis=1)
        if answer.logits is not None and expected.logits is not None:
            wrong = wrong | (answer.logits != expected.logits).any(axis=1)
        if wrong.any():
            raise MismatchError(
                f"{backend.name} differs from {reference.name} on {np.count_nonzero(wrong)} of {len(observations)} "
                "observations; this is a bug in hls4rl or in a tool it calls: please report it with the policy"
            )
