"""Whole episodes of an integer policy, quickly: what :func:`hls4rl.gym_loop.play` plays, a few microseconds a step.

The integers are those of :meth:`hls4rl.network.IntegerNetwork.infer` and of the task's converter, which a test holds
this module to; the environment is Gymnasium's own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import Contract, FixedPoint, FloatArray, IntArray, Sign, Table
from hls4rl.errors import ProjectError
from hls4rl.task import Task
from hls4rl.train.compiled import compiled

TRIAL_SEED, VALIDATION_SEED = 10_000_000, 20_000_000
"""First environment seeds of the episodes that candidates are compared by, first by a few, then by many; no other
episodes have them."""
EPISODES_A_SEED = 100_000
"""Of them, for each seed of a policy."""
NONE, CUT, SIGN, TABLE = range(4)
_LARGEST_TABLE = 1 << 16
"""Decoded actions that are kept, over all dimensions."""


class Program(NamedTuple):
    """What never changes while a policy's weights do, as compiled functions take it."""

    offset: FloatArray
    """Of each feature, shape (features,)."""
    scale: FloatArray
    """Of each feature, the observation type's unit divided out."""
    low: int
    high: int
    """Range of an input."""
    sizes: IntArray
    """Features, units of each hidden layer, outputs."""
    product: IntArray
    """Of each layer, units of its sums in one product of integers."""
    bias: IntArray
    """Of each layer, units of its sums in one unit of a bias."""
    kind: IntArray
    """Of each layer: NONE, CUT, SIGN or TABLE."""
    divisor: IntArray
    """Of each layer, units of its sums in one of the cut; or, where negative, the units of the cut in one sum."""
    minimum: IntArray
    maximum: IntArray
    """Of each layer, where its sums are cut."""
    table: IntArray
    """Results of the layers with a table, one after the other."""
    start: IntArray
    """Of each layer, where its rows of ``table`` begin."""


class Player:
    """Plays a task's episodes with integer weights of one contract."""

    def __init__(self, task: Task, contract: Contract, hidden: tuple[int, ...]) -> None:
        features, outputs = task.spaces
        self.task, self.contract = task, contract
        self.sizes = (features, *hidden, outputs)
        self.program = program_of(task, contract, self.sizes)
        self._env = task.make()
        self._decoded, self._lowest = _decoded(task), 0
        if self._decoded is not None:
            assert task.actions.activation is not None
            self._lowest = task.actions.activation.minimum

    def close(self) -> None:
        """Give the environment back."""
        self._env.close()

    def play(self, weights: IntArray, seed: int) -> tuple[float, int]:
        """Return and steps of the greedy episode that begins with ``env.reset(seed=seed)``.

        Args:
            weights: integers of all layers, as :meth:`hls4rl.train.search.latents.Latents.integers` gives them.
            seed: of the environment.
        """
        env, program, flatten = self._env, self.program, self.task.flatten
        observation, _ = env.reset(seed=seed)
        total, steps = 0.0, 0
        while True:
            action = self._action(answer(program, weights, flatten(observation)))
            observation, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            steps += 1
            if terminated or truncated:
                return total, steps

    def _action(self, outputs: IntArray) -> Any:
        if self._decoded is not None:
            return self._decoded[_DIMENSIONS[: len(outputs)], outputs - self._lowest]
        return self.task.actions.decode(self.contract.output.decide(outputs[None])[0])


_DIMENSIONS = np.arange(4096)


def _decoded(task: Task) -> NDArray[Any] | None:
    """What each integer of each dimension of a flat Box stands for, shape (dimensions, integers); else None."""
    actions = task.actions
    if not actions.is_continuous or actions.activation is None:
        return None
    values = np.arange(actions.activation.minimum, actions.activation.maximum + 1)
    first = actions.decode(np.zeros(actions.outputs, dtype=np.int64))
    if first.ndim != 1 or actions.outputs * len(values) > _LARGEST_TABLE:
        return None
    return np.stack([actions.decode(np.full(actions.outputs, value)) for value in values], axis=1)


def program_of(task: Task, contract: Contract, sizes: tuple[int, ...]) -> Program:
    """The constants of ``contract`` behind ``task``'s converter.

    Raises:
        ProjectError: a layer has real numbers, or results of another kind.
    """
    converter, lsb = task.converter, contract.observation.lsb
    rows: list[tuple[int, ...]] = []
    table: list[int] = []
    starts: list[int] = []
    for layer in contract.layers:
        if layer.weight is None or layer.bias is None:
            raise ProjectError(f"task '{task.name}': the search needs explicit number formats in every layer")
        unit = min(lsb * layer.weight.lsb, layer.bias.lsb)
        starts.append(len(table))
        kind = layer.activation
        cut = kind.input if isinstance(kind, Table) else kind
        if isinstance(cut, FixedPoint):
            divisor = round(cut.lsb / unit) if cut.lsb >= unit else -round(unit / cut.lsb)
            rows.append((TABLE if isinstance(kind, Table) else CUT, divisor, cut.minimum, cut.maximum))
        elif isinstance(cut, Sign) or cut is None:
            rows.append((NONE if cut is None else SIGN, 1, 0, 0))
        else:
            raise ProjectError(f"task '{task.name}': the search has no activation '{cut}'")
        table += list(kind.values) if isinstance(kind, Table) else []
        rows[-1] = (*rows[-1], round(lsb * layer.weight.lsb / unit), round(layer.bias.lsb / unit))
        lsb = unit if kind is None else kind.lsb  # type: ignore[union-attr]
    columns = np.array(rows, dtype=np.int64).T
    kinds, divisors, minimum, maximum, product, bias = (np.ascontiguousarray(column) for column in columns)
    observation = contract.observation
    return Program(
        np.ascontiguousarray(converter.offset), converter.scale / observation.lsb, observation.minimum,
        observation.maximum, np.array(sizes), product, bias, kinds, divisors, minimum, maximum,
        np.array(table or [0], dtype=np.int64), np.array(starts, dtype=np.int64),
    )


@compiled
def answer(program: Program, weights: IntArray, observation: FloatArray) -> IntArray:
    """Integer outputs of one observation of floats, shape (features,)."""
    values = np.empty(program.sizes[0], dtype=np.int64)
    for feature in range(len(values)):
        value = np.rint((observation[feature] - program.offset[feature]) * program.scale[feature])
        values[feature] = int(min(max(value, program.low), program.high))
    place = 0
    for layer in range(len(program.kind)):
        inputs, outputs = program.sizes[layer], program.sizes[layer + 1]
        results = np.empty(outputs, dtype=np.int64)
        biases = place + inputs * outputs
        for unit in range(outputs):
            total = np.int64(0)
            for source in range(inputs):
                total += weights[place] * values[source]
                place += 1
            total = total * program.product[layer] + weights[biases + unit] * program.bias[layer]
            results[unit] = activated(program, layer, total)
        place = biases + outputs
        values = results
    return values


@compiled
def activated(program: Program, layer: int, total: int) -> int:
    """What becomes of one sum of ``layer``."""
    kind = program.kind[layer]
    if kind == NONE:
        return total
    if kind == SIGN:
        return 1 if total >= 0 else -1
    divisor, minimum, maximum = program.divisor[layer], program.minimum[layer], program.maximum[layer]
    if divisor > 0:
        total = total // divisor
    else:  # saturated first: the product must stay inside 64 bits
        bound = (maximum - minimum + 1) // -divisor + 1
        total = min(max(total, -bound), bound) * -divisor
    total = min(max(total, minimum), maximum)
    return program.table[program.start[layer] + total - minimum] if kind == TABLE else total
