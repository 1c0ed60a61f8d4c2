"""Evaluates gates in runs of one operation: a processor that guesses each gate's operation wrongly takes four times as
long."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]


def runs_of(gates: NDArray[np.int64], nets: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """``gates``, as :class:`hls4rl.hls_projects.simulation.gates.Circuit` has them, for :func:`settle`.

    Returns:
        Of each gate its output and three inputs, shape (4, gates); and of each run its operation, where it begins
        and where it ends, shape (runs, 3). Gates of one run do not depend on each other.
    """
    levels = _levels(gates, nets)
    order = np.lexsort((gates[:, 0], levels))
    kinds = np.stack([levels[order], gates[order, 0]])
    starts = np.flatnonzero(np.concatenate([[True], (kinds[:, 1:] != kinds[:, :-1]).any(axis=0)])[:len(order)])
    ends = np.append(starts[1:], len(order))[:len(starts)]
    runs = np.stack([kinds[1, starts], starts, ends], axis=1)
    return np.ascontiguousarray(gates[order, 1:].T.astype(np.int32)), runs.astype(np.int64)


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _levels(gates: NDArray[np.int64], nets: int) -> NDArray[np.int64]:
    """Of each gate: how many gates lie on the longest way to it."""
    of_net = np.zeros(nets, dtype=np.int64)
    result = np.zeros(len(gates), dtype=np.int64)
    for index in range(len(gates)):
        level = 1 + max(of_net[gates[index, 2]], of_net[gates[index, 3]], of_net[gates[index, 4]])
        of_net[gates[index, 1]] = level
        result[index] = level
    return result


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def settle(state: Words, gates: NDArray[np.int32], runs: NDArray[np.int64]) -> None:
    """Bring all gates' outputs in ``state`` (a word for each net) up to date."""
    outs, left, right, selects = gates[0], gates[1], gates[2], gates[3]
    for run in range(len(runs)):
        operation, start, end = runs[run, 0], runs[run, 1], runs[run, 2]
        if operation == 0:
            for index in range(start, end):
                state[outs[index]] = state[left[index]]
        elif operation == 1:
            for index in range(start, end):
                state[outs[index]] = ~state[left[index]]
        elif operation == 2:
            for index in range(start, end):
                state[outs[index]] = state[left[index]] & state[right[index]]
        elif operation == 3:
            for index in range(start, end):
                state[outs[index]] = state[left[index]] | state[right[index]]
        elif operation == 4:
            for index in range(start, end):
                state[outs[index]] = state[left[index]] ^ state[right[index]]
        elif operation == 5:
            for index in range(start, end):
                state[outs[index]] = ~(state[left[index]] ^ state[right[index]])
        else:
            for index in range(start, end):
                select = state[selects[index]]
                state[outs[index]] = (state[left[index]] & ~select) | (state[right[index]] & select)
