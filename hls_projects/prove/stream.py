"""Clock after clock through a core that is no proper pipeline: does that ever show at its pins?"""

from __future__ import annotations

from typing import Any

import numpy as np

from hls4rl.backend import Answer
from hls4rl.hls_projects.prove.exhaustion import counterexample
from hls4rl.hls_projects.rtl.pipelined import RtlInfo
from hls4rl.hls_projects.simulation.gates import LANES, Circuit, fields_of, integers_of, lanes_of
from hls4rl.network import IntegerNetwork

_CLOCKS = 256


def stream_counterexample(circuit: Circuit, network: IntegerNetwork, info: RtlInfo) -> dict[str, Any] | None:
    """Run 64 random streams of 256 clocks, some of them without an observation, from the reset state.

    Returns:
        The first clock on which ``out_valid`` or a valid ``action`` is wrong, with the observation that the
        answer belongs to; None if there is none.
    """
    rng, kind, cycles = np.random.default_rng(0), network.input, info.cycles
    shape = (_CLOCKS, LANES)
    observations = rng.integers(kind.minimum, kind.maximum, size=(*shape, network.features), endpoint=True)
    valid = rng.integers(0, 2, size=shape)
    words = [lanes_of(observations[:, :, feature], kind.bits) for feature in range(network.features)]
    seen = circuit.run(
        {"in_valid": lanes_of(valid, 1), "observation": np.concatenate(words, axis=1)}, ["out_valid", "action"], _CLOCKS
    )
    out_valid = integers_of(seen["out_valid"])
    actions = fields_of(seen["action"], info.action_widths, info.action_signed)
    due = np.zeros(shape, dtype=np.int64)
    due[cycles:] = valid[:_CLOCKS - cycles]
    owner = np.zeros_like(observations)
    owner[cycles:] = observations[:_CLOCKS - cycles]
    expected = Answer.of_logits(network.infer(owner.reshape(-1, network.features)), network.output)
    wrong = (out_valid != due) | ((due == 1) & (actions != expected.actions).any(axis=1).reshape(shape))
    places = np.flatnonzero(wrong)
    if not len(places):
        return None
    place = int(places[0])
    observation, answer = owner.reshape(-1, network.features)[place], Answer(actions, None)
    found = counterexample(observation, answer, expected, place)
    flags = {"out_valid": int(out_valid.reshape(-1)[place]), "expected_out_valid": int(due.reshape(-1)[place])}
    return {**found, **flags, "clock": place // LANES}
