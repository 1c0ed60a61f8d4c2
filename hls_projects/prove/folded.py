"""A folded core as one function, for all time: found by running it on symbols through all states that it can be in.

When a folded core does what does not depend on observations: run on symbols, its counters are constants, and its answer
is a function of the bits that came in. To know it for every course of its inputs, states are walked through that stand
for many: a bit is a constant, a literal of the observations that are not answered yet, or unknown.

* The first state is what a restart makes of *any* state. Where it does not stand for power-up too, that is a second.
* From each state every step is taken: a feature offered or not where the core takes one, an answer fetched or not where
  there is one; elsewhere those inputs are unknown. A feature that is taken is new variables.
* With an answer that is fetched its observation is forgotten: all that was computed becomes unknown, and the next
  observation's features, as far as they lie there as they came, take the variables' names over.

When no state is left to walk on from, they hold all that can happen. In each of them the handshake and all that steers
must have come out constant, and an answer as one and the same function of its observation, without a bit that was
unknown. What goes wrong is told, never passed over: a bit that is unknown can only make more states, never fewer.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hls4rl.hls_projects.prove.logic import GivenUpError, Logic, NotAFunctionError
from hls4rl.hls_projects.prove.symbolic import Machine
from hls4rl.hls_projects.prove.symbols import UNKNOWN, Literals
from hls4rl.hls_projects.rtl.folded import FoldedInfo
from hls4rl.hls_projects.simulation.gates import Circuit

_STRIDE = 256
"""Clocks from one state that is kept to the next, where nothing happens at the pins."""
_STATES = 1 << 18
_HANDSHAKE = ("in_ready", "out_valid", "value_valid")


@dataclass(frozen=True)
class _Standing:
    """What an observer at the pins knows, who counts along."""

    whole: int = 0
    """Observations taken and not yet answered."""
    taken: int = 0
    """Features of the next one."""
    values: int = 0
    """Of the oldest one's results, those that came out."""
    shown: bool = False
    """Whether an answer was there before, and not fetched."""


def folded_function(
    circuit: Circuit, info: FoldedInfo, outputs: Sequence[str], deadline: float = float("inf")
) -> Logic:
    """The function of an observation that ``circuit`` answers with, whenever, and whatever comes before and after it.

    Args:
        outputs: ``action``, and ``logits`` where the core brings its values out; feature 0 has the observation's low
            bits, result 0 those of the logits.
        deadline: in units of :func:`time.monotonic`.

    Raises:
        GivenUpError: the time was over, or there are too many states.
        NotAFunctionError: it is not shown that there is one, that each observation is answered once and in order,
            ``info.cycles`` clocks after its first feature if all come one per clock and the former answer was fetched.
    """
    walk = _Walk(circuit, info, deadline)
    walk.explore()
    walk.require_answers_in_time()
    return walk.logic(outputs)


class _Walk:
    """Through all states."""

    def __init__(self, circuit: Circuit, info: FoldedInfo, deadline: float) -> None:
        self._info, self._deadline = info, deadline
        self._bits = info.features * info.observation_bits
        self._machine = Machine(circuit, 2 * self._bits)
        self._graph = self._machine.graph
        self._watched = [name for name in _HANDSHAKE if name in circuit.ports]
        self._numbers = dict[bytes, int]()
        self._waiting = list[tuple[int, Literals, _Standing]]()
        self._found = dict[str, Literals]()
        self._next = dict[int, list[tuple[int, int]]]()
        """Of each state: those that follow, and after how many clocks."""
        self._there = dict[int, int]()
        """Of states from which the pins come to show what is waited for: after how many clocks."""
        self._owing = set[int]()
        """States just after an observation had been taken whole, and its predecessor's answer too."""

    def explore(self) -> None:
        """Walk on until no state is new."""
        restarted = self._machine.clock(self._machine.unknown(), _unseen() | {"restart": 1})
        self._enter(restarted, _Standing())
        power_up = self._machine.power_up()
        if ((restarted != UNKNOWN) & (restarted != power_up)).any():
            self._enter(power_up, _Standing())
        while self._waiting:
            if time.monotonic() > self._deadline:
                raise GivenUpError(f"the time given was over after {len(self._numbers):,} states")
            self._go_on(*self._waiting.pop())

    def logic(self, outputs: Sequence[str]) -> Logic:
        """What all answers came to."""
        found = {"action": self._answer("action")}
        if "logits" in outputs:
            found["logits"] = np.concatenate([self._answer(f"result {place}") for place in range(self._info.outputs)])
        try:
            return self._graph.logic(self._bits, {name: found[name] for name in outputs})
        except ValueError as error:
            raise NotAFunctionError(f"the answer is no function of its observation: {error}") from error

    def require_answers_in_time(self) -> None:
        """Insist that whatever happens, what is waited for comes, and answers at the clock that they should."""
        times = self._times()
        due = self._info.cycles - self._info.features + 1
        wrong = {clocks for number in self._owing for clocks in times[number]} - {due}
        if wrong or not self._owing:
            raise NotAFunctionError(f"answers come {sorted(wrong)} clocks after a last feature, not always {due}")

    def _enter(self, state: Literals, standing: _Standing) -> int:
        """The number of a state, which is walked on from if it is new."""
        key = hashlib.blake2b(state.tobytes() + repr(standing).encode()).digest()
        if key not in self._numbers:
            if len(self._numbers) == _STATES:
                raise GivenUpError(f"it has more than {_STATES:,} states")
            self._numbers[key] = len(self._numbers)
            self._waiting.append((self._numbers[key], state, standing))
        return self._numbers[key]

    def _go_on(self, number: int, state: Literals, standing: _Standing) -> None:
        clocks = self._machine.run(state, _unseen(), self._watched, _STRIDE)
        ready, valid, valued = (self._flag(name) for name in _HANDSHAKE)
        if standing.shown and (clocks or not valid):
            raise NotAFunctionError("an answer goes away before it is fetched")
        if valued:
            standing = self._note_value(standing)
        if valid:
            self._note_answer(standing)
        if (valid if standing.whole else ready):
            self._there[number] = clocks
        if not (ready or valid or valued):
            self._next[number] = [(self._enter(state, standing), clocks)]
            return
        self._next[number] = [(item, clocks + 1) for item in self._steps(state, standing, ready, valid)]

    def _steps(self, state: Literals, standing: _Standing, ready: bool, valid: bool) -> Iterator[int]:
        """The states that may follow: a feature is offered or not, where the core is ready for it, and an answer that
        is there is fetched or not."""
        for offered in (0, 1) if ready else (UNKNOWN,):
            for fetched in (0, 1) if valid else (UNKNOWN,):
                inputs = _unseen() | {"in_valid": offered, "out_ready": fetched}
                following = replace(standing, shown=fetched == 0)
                if offered == 1:
                    inputs["observation"], following = self._feature(standing), self._with_feature(following)
                after = self._machine.clock(state, inputs)
                if fetched == 1:
                    following = replace(following, whole=following.whole - 1, values=0)
                    after = self._forgotten(after)
                completed = following.whole > 0 and (fetched == 1 or (following.taken == 0 and offered == 1))
                number = self._enter(after, following)
                if completed and following.whole == 1 and not following.shown:
                    self._owing.add(number)
                yield number

    def _feature(self, standing: _Standing) -> Literals:
        """The variables that the next feature's bits are."""
        first = 1 + standing.whole * self._bits + standing.taken * self._info.observation_bits
        return np.arange(2 * first, 2 * (first + self._info.observation_bits), 2, dtype=np.int32)

    def _with_feature(self, standing: _Standing) -> _Standing:
        if standing.whole == 2:
            raise NotAFunctionError("it takes a third observation before the first one's answer was fetched")
        if standing.taken + 1 < self._info.features:
            return replace(standing, taken=standing.taken + 1)
        return replace(standing, whole=standing.whole + 1, taken=0)

    def _forgotten(self, state: Literals) -> Literals:
        """``state`` without the oldest observation."""
        nodes, result = state >> 1, np.full_like(state, UNKNOWN)
        constant = (state == 0) | (state == 1)
        later = (nodes > self._bits) & (nodes <= 2 * self._bits)
        result[constant] = state[constant]
        result[later] = state[later] - 2 * self._bits
        return result

    def _flag(self, name: str) -> bool:
        if name not in self._watched:
            return False
        literal = int(self._machine.look(name)[0])
        if literal not in (0, 1):
            raise NotAFunctionError(f"{name} depends on observations, on other inputs of its clock, or on what was "
                                    "there before a restart")
        return literal == 1

    def _note_value(self, standing: _Standing) -> _Standing:
        if standing.whole == 0 or standing.values == self._info.outputs:
            raise NotAFunctionError("results come out that belong to no observation")
        self._note(f"result {standing.values}", self._machine.look("value"))
        return replace(standing, values=standing.values + 1)

    def _note_answer(self, standing: _Standing) -> None:
        if standing.whole == 0:
            raise NotAFunctionError("an answer comes that belongs to no observation")
        if "value_valid" in self._watched and standing.values < self._info.outputs:
            raise NotAFunctionError("an answer comes before its results")
        self._note("action", self._machine.look("action"))

    def _note(self, name: str, literals: Literals) -> None:
        known = self._found.setdefault(name, literals)
        if not np.array_equal(known, literals):
            raise NotAFunctionError(f"{name} is not the same function of its observation each time")

    def _answer(self, name: str) -> Literals:
        if name not in self._found:
            raise NotAFunctionError(f"no {name} ever comes out")
        return self._found[name]

    def _times(self) -> dict[int, set[int]]:
        """Of each state: after how many clocks the pins show what is waited for, an answer or room for a feature."""
        times = {number: {clocks} for number, clocks in self._there.items()}
        for root in self._next:
            path, on_path = [root], {root}
            while path:
                number = path[-1]
                waiting = [] if number in times else [item for item, _ in self._next[number] if item not in times]
                if waiting and waiting[0] in on_path:
                    raise NotAFunctionError("it can go on for ever without an answer, or without taking a feature")
                if waiting:
                    path.append(waiting[0])
                    on_path.add(waiting[0])
                    continue
                if number not in times:
                    times[number] = {
                        clocks + more for item, clocks in self._next[number] for more in times[item]}
                on_path.discard(path.pop())
        return times


def _unseen() -> dict[str, int | Literals]:
    return {"restart": 0, "in_valid": UNKNOWN, "out_ready": UNKNOWN, "observation": UNKNOWN}
