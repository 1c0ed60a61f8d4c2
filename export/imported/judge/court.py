"""The judge of an import: the ONNX file itself, executed as it stands, against the integers that were made of it.

Two executions that share no code with the reader: ONNX's reference evaluator with QONNX's own quantisers in float64,
and the graph run on intervals (:mod:`hls4rl.export.imported.judge.interval`), which say how far the first may be wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
from numpy.typing import NDArray

from hls4rl.contract import FixedPoint, FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import MismatchError
from hls4rl.export.imported.judge.evaluator import evaluator
from hls4rl.export.imported.judge.interval import UnknownError
from hls4rl.export.imported.judge.program import Program
from hls4rl.export.model_file import load_model

_EXACT_FEATURES = 6400
UNDECIDED_SHARE = 1e-3
"""Of the observations: more that neither float64 nor fractions can decide are an error."""


class Defendant(Protocol):
    """What is judged: integers made of a graph."""

    @property
    def input(self) -> FixedPoint:
        """Type of the integer observations."""
        ...

    @property
    def features(self) -> int:
        """Number of them."""
        ...

    def host(self, observations: FloatArray) -> IntArray:
        """Real observations as the host gives them to the core."""
        ...

    def reals(self, observations: IntArray) -> FloatArray:
        """Real observations that the host makes ``observations`` of."""
        ...

    def given(self, observations: FloatArray) -> FloatArray:
        """What the graph is executed on for real observations."""
        ...

    def infer(self, observations: IntArray) -> IntArray:
        """Integer results, shape (rows, outputs)."""
        ...

    @property
    def continuous(self) -> bool:
        """Whether the results themselves are the action, and not the choice of the largest."""
        ...

    def value(self) -> list[tuple[Fraction, Fraction]] | None:
        """Of each output: what one unit is worth, and a result of 0; None if only the actions are the graph's."""
        ...


@dataclass(frozen=True)
class Verdict:
    """What the judge found; it raises where the integers are wrong."""

    integer_observations: int
    real_observations: int
    rounded: int
    """Observations on which float64 chose another action, within its error bound, and fractions chose ours."""
    undecided: int
    """Those where fractions could not tell either: a root or an exponential lies on a boundary."""


def judge(path: Path, defendant: Defendant, rows: int, seed: int = 0) -> Verdict:
    """Hold ``defendant`` against the file it was made of.

    Integer observations: all, if they are few; else corners, random ones, and those where a rounding or the choice
    of the action hangs by little. Real observations: random ones over the range and beyond, and ties of the host's
    rounding.

    Args:
        rows: random observations of each kind.

    Raises:
        MismatchError: an action differs and float64's error bound does not cover it, or too many are undecided.
        ProjectError: the file cannot be executed.
    """
    court = _Court(path, defendant, rows)
    rng = np.random.default_rng(seed)
    integers = _integers(defendant, court, rows, rng)
    reals = _reals(defendant, rows, rng)
    first = court.compare(defendant.reals(integers), integers, "integers")
    second = court.compare(
        defendant.given(reals), defendant.host(reals), "real observations, through the host's conversion"
    )
    rounded, undecided = (a + b for a, b in zip(first, second, strict=True))
    if undecided > UNDECIDED_SHARE * (len(integers) + len(reals)):
        raise MismatchError(
            f"{path.name}: {undecided} of {len(integers) + len(reals)} observations lie on boundaries that no "
            "arithmetic decides; change a scale or a bias a little"
        )
    return Verdict(len(integers), len(reals), rounded, undecided)


class _Court:
    def __init__(self, path: Path, defendant: Defendant, rows: int) -> None:
        self._name, self._defendant = path.name, defendant
        # Those that fractions look at besides where float64 differs: fewer of networks that take long.
        self._exact_rows = max(8, min(rows // 50, _EXACT_FEATURES // defendant.features))
        model = _logits(load_model(path))
        try:
            self._program = Program(model)
        except UnknownError as error:
            raise ProjectError(f"{path.name}: the check of the import cannot run it: {error}") from error
        self._run = evaluator(model, path.name, max(24, rows // 64))

    def bounds(self, observations: FloatArray) -> tuple[FloatArray, FloatArray, list[NDArray[Any]]]:
        """Bounds of the results, and the gaps of all roundings."""
        try:
            found, run = self._program.run(observations, exact=False)
        except UnknownError as error:
            raise ProjectError(f"{self._name}: the check of the import cannot run it: {error}") from error
        return found.low, found.high, run.gaps

    def compare(self, reals: FloatArray, integers: IntArray, what: str) -> tuple[int, int]:
        """Numbers of rows where float64 decided otherwise, and where nothing decided.

        Raises:
            MismatchError: a row is wrong.
        """
        results = self._defendant.infer(integers)
        actions = np.argmax(_choices(results), axis=1)
        low, high, _ = self.bounds(reals)
        floats, chosen = self._run(reals)
        if floats.shape[1:] != results.shape[1:] or low.shape != results.shape:
            raise ProjectError(f"{self._name}: gives results of shape {floats.shape[1:]}; export plain logits")
        outside = ((floats < low[chosen]) | (floats > high[chosen])).any(axis=1)
        if outside.any():
            raise MismatchError(
                f"{self._name}: ONNX's evaluator leaves its own error bound on observation "
                f"{reals[chosen[outside][0]].tolist()}; this is a bug in hls4rl or in a tool that it calls: please "
                "report it with the model"
            )
        possible = self._values_possible(results, low, high)
        if not self._defendant.continuous:
            possible &= _possible(actions, _choices(low), _choices(high))
        self._accuse(np.flatnonzero(~possible), reals, what)
        if self._defendant.continuous:
            return 0, 0
        surely = _certain(actions, _choices(low), _choices(high))
        differs = chosen[np.argmax(_choices(floats), axis=1) != actions[chosen]]
        # Fractions settle what floats cannot: all rows that differ, and some of those that only might.
        both = dict.fromkeys([*differs.tolist(), *np.flatnonzero(~surely).tolist()])
        doubtful = np.array(list(both)[:max(self._exact_rows, len(differs))], dtype=np.int64)
        undecided = self._settle(reals, results, doubtful, what) if len(doubtful) else np.zeros(0, dtype=np.int64)
        return len(set(differs.tolist()) - set(undecided.tolist())), len(undecided)

    def _settle(self, reals: FloatArray, results: IntArray, rows: IntArray, what: str) -> IntArray:
        undecided: list[int] = []
        for start in range(0, len(rows), 64):
            part = rows[start:start + 64]
            try:
                found, _ = self._program.run(reals[part], exact=True)
            except UnknownError as error:
                raise ProjectError(f"{self._name}: the check of the import cannot run it: {error}") from error
            actions, low, high = np.argmax(_choices(results[part]), axis=1), _choices(found.low), _choices(found.high)
            possible = _possible(actions, low, high)
            possible &= self._values_possible(results[part], found.low, found.high)
            self._accuse(part[~possible], reals, what)
            undecided += part[~_certain(actions, low, high)].tolist()
        return np.array(undecided, dtype=np.int64)

    def _values_possible(self, results: IntArray, low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each row's results are worth something inside the bounds."""
        worth = self._defendant.value()
        if worth is None:
            return np.ones(len(results), dtype=bool)
        exact = np.array(worth, dtype=object).T
        if low.dtype == object:
            values = results.astype(object) * exact[0] + exact[1]
            return np.asarray(((values >= low) & (values <= high)).all(axis=1), dtype=bool)
        unit, base = exact.astype(np.float64)
        values = results * unit + base
        slack = 8 * np.finfo(np.float64).eps * (np.abs(results * unit) + np.abs(base))
        return np.asarray(((values + slack >= low) & (values - slack <= high)).all(axis=1), dtype=bool)

    def _accuse(self, rows: IntArray, reals: FloatArray, what: str) -> None:
        if len(rows):
            raise MismatchError(
                f"{self._name}: the integers differ from the model on {len(rows)} of {len(reals)} {what}, first on "
                f"observation {reals[rows[0]].tolist()}; this is a bug in hls4rl: please report it with the model"
            )


def _logits(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph without a Softmax over all logits at its end: it changes no order, but where floats are too coarse."""
    graph = model.graph
    for node in list(graph.node):
        if node.op_type in ("Softmax", "LogSoftmax") and list(node.output) == [graph.output[0].name]:
            graph.output[0].name = node.input[0]
            graph.node.remove(node)
    return model


def _choices(results: NDArray[Any]) -> NDArray[Any]:
    """What an action is chosen from: a single result is a yes or no, 1 where it is larger than 0."""
    return results if results.shape[1] > 1 else np.concatenate([results * 0, results], axis=1)


def _possible(actions: IntArray, low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each action can be the argmax (ties to the lowest) of numbers between the bounds."""
    rows = np.arange(len(actions))
    own, columns = high[rows, actions], np.arange(low.shape[1])
    beaten = np.where(columns < actions[:, None], low >= own[:, None], low > own[:, None])
    beaten[rows, actions] = False
    return np.asarray(~beaten.any(axis=1), dtype=bool)


def _certain(actions: IntArray, low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each action must be the argmax."""
    rows = np.arange(len(actions))
    own, columns = low[rows, actions], np.arange(low.shape[1])
    beats = np.where(columns < actions[:, None], high < own[:, None], high <= own[:, None])
    # Fractions whose bounds agree to the last digit were made alike, whatever root they share: a tie.
    if low.dtype == object:
        top = high[rows, actions]
        beats |= (columns > actions[:, None]) & (low == own[:, None]) & (high == top[:, None])
    beats[rows, actions] = True
    return np.asarray(beats.all(axis=1), dtype=bool)


def _integers(defendant: Defendant, court: _Court, rows: int, rng: np.random.Generator) -> IntArray:
    kind, features = defendant.input, defendant.features
    count = kind.maximum - kind.minimum + 1
    if features * np.log2(count) <= np.log2(max(256, rows // 2)):
        return np.stack(np.meshgrid(*[np.arange(kind.minimum, kind.maximum + 1)] * features), -1).reshape(-1, features)
    random = rng.integers(kind.minimum, kind.maximum, size=(rows, features), endpoint=True, dtype=np.int64)
    corners = np.zeros((3 + 2 * min(features, 512), features), dtype=np.int64)
    corners[0], corners[1] = kind.minimum, kind.maximum
    for feature in range(min(features, 512)):
        corners[3 + 2 * feature, feature], corners[4 + 2 * feature, feature] = kind.minimum, kind.maximum
    near = _nearest(random, defendant, court, rng)
    return np.unique(np.concatenate([corners, random, near]), axis=0)


def _nearest(random: IntArray, defendant: Defendant, court: _Court, rng: np.random.Generator) -> IntArray:
    """Observations near to ties: the nearest random ones, and the nearest of their neighbours, twice."""
    kind, found = defendant.input, [random[:0]]
    candidates = random[:max(64, len(random) // 4)]
    for _ in range(3):
        low, high, gaps = court.bounds(defendant.reals(candidates))
        middle = np.sort((low + high) / 2, axis=1)
        if middle.shape[1] > 1:
            margin = middle[:, -1] - middle[:, -2]
            gaps = [*gaps, margin / (1e-30 + margin.max())]
        chosen = np.unique(np.concatenate([np.argsort(gap, kind="stable")[:16] for gap in gaps[-8:]]))
        found.append(candidates[chosen])
        steps = rng.integers(-1, 1, size=(8, len(chosen), random.shape[1]), endpoint=True)
        steps[rng.random(steps.shape) > 2 / random.shape[1]] = 0
        candidates = np.clip((candidates[chosen] + steps).reshape(-1, random.shape[1]), kind.minimum, kind.maximum)
    return np.concatenate(found)


def _reals(defendant: Defendant, rows: int, rng: np.random.Generator) -> FloatArray:
    """Float32 observations: over a little more than the range, and exact or nearly exact ties of the conversion."""
    kind, features = defendant.input, defendant.features
    edges = defendant.reals(np.array([[kind.minimum] * features, [kind.maximum] * features]))
    spread = (edges[1] - edges[0]) * 0.1
    random = rng.uniform(edges[0] - spread, edges[1] + spread, size=(rows, features))
    some = rng.integers(kind.minimum, kind.maximum, size=(max(16, rows // 4), features), dtype=np.int64)
    ties = (defendant.reals(some) + defendant.reals(some + 1)) / 2
    near = ties + rng.choice([-1e-7, 0, 1e-7], size=ties.shape) * np.abs(ties)
    return np.concatenate([random, ties, near]).astype(np.float32).astype(np.float64)
