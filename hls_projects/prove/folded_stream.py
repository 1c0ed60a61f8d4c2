"""Random streams through a folded core that is not shown to be a function: does that ever show at its pins?"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import IntArray
from hls4rl.hls_projects.rtl.folded import FoldedInfo
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, fields_of, integers_of, lanes_of
from hls4rl.network import IntegerNetwork

_INFERENCES = 12
_RESTARTS = 1.5
"""Of one copy, on average, in a quarter of the copies."""
_ANY, _MOST, _SLOW = 0.3, 0.9, 3
"""Shares of clocks with a feature or room for an answer; some copies fetch answers in every third inference alone."""


def folded_counterexample(circuit: Circuit, network: IntegerNetwork, info: FoldedInfo) -> dict[str, Any] | None:
    """Run 64 random streams, some of them with pauses, with answers that are left waiting, and with restarts.

    Returns:
        The first clock at which an answer is wrong, belongs to no observation or has not come, with the observation;
        None if there is none.
    """
    rng, kind = np.random.default_rng(0), network.input
    clocks = _INFERENCES * (info.interval + info.features)
    shape = (clocks, LANES)
    offers = rng.random(shape) < rng.choice([_ANY, _MOST, 1.0], LANES)
    takes = rng.random(shape) < rng.choice([_ANY, _MOST, 1.0], LANES)
    takes[np.arange(clocks) // info.interval % _SLOW > 0, ::_SLOW] = False
    restarts = (rng.random(shape) < _RESTARTS / clocks) & (np.arange(LANES) % 4 == 0)
    restarts[0] = True
    features = rng.integers(kind.minimum, kind.maximum, size=shape, endpoint=True)
    flags = {"restart": restarts, "in_valid": offers, "out_ready": takes}
    stimulus = {name: lanes_of(item.astype(np.int64), 1) for name, item in flags.items()}
    seen = circuit.run(
        {**stimulus, "observation": lanes_of(features, kind.bits)}, ["in_ready", "out_valid", "action"], clocks)
    ready, valid = (integers_of(seen[name]).astype(bool) for name in ("in_ready", "out_valid"))
    actions = fields_of(seen["action"], info.action_widths, info.action_signed).reshape(clocks, LANES, -1)
    found = []
    for lane in range(LANES):
        starts = [*np.flatnonzero(restarts[:, lane]).tolist(), clocks]
        for start, end in itertools.pairwise(starts):
            now, before = slice(start + 1, end), slice(start, end - 1)  # what is seen before an edge counts at it
            wrong = _first_wrong(
                network, info, features[now, lane], offers[now, lane] & ready[before, lane],
                takes[now, lane] & valid[before, lane], actions[before, lane],
            )
            found += [] if wrong is None else [wrong | {"clock": start + 1 + wrong["clock"]}]
    return min(found, key=lambda item: int(item["clock"]), default=None)


def _first_wrong(
    network: IntegerNetwork, info: FoldedInfo, features: IntArray, taken: NDArray[np.bool_],
    fetched: NDArray[np.bool_], actions: IntArray,
) -> dict[str, Any] | None:
    """Between two restarts of one copy: of each clock a feature, whether it was taken, whether an answer was fetched,
    and which."""
    places, answered = np.flatnonzero(taken), np.flatnonzero(fetched)
    whole = len(places) // info.features
    observations = features[places[:whole * info.features]].reshape(whole, info.features)
    due = places[info.features - 1::info.features][:whole]
    expected = network.output.decide(network.infer(observations)) if whole else actions[:0]
    for index, clock in enumerate(answered.tolist()):
        if index >= whole or due[index] >= clock:
            return _told(features[places[:info.features]], actions[clock], None, clock)
        if not np.array_equal(actions[clock], expected[index]):
            return _told(observations[index], actions[clock], expected[index], clock)
    index, patience = len(answered), 2 * _SLOW * info.interval
    if index < whole and len(taken) - max([due[index], *answered[-1:]]) > patience:
        return _told(observations[index], None, expected[index], len(taken))
    return None


def _told(
    observation: IntArray, said: IntArray | None, expected: IntArray | None, clock: int
) -> dict[str, Any]:
    left, right = ({"action": None if item is None else item.tolist()} for item in (said, expected))
    return {"observation": observation.tolist(), "left": left, "right": right, "clock": clock}
