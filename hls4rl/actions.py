"""How an environment's actions are read off the network's integers, for each of Gymnasium's action spaces.

The rule for continuous actions (Box) is affine and the same for every host: an integer of b bits is first brought to
-M … M, where M = 2^(b-1) - 1 (the one integer below -M counts as -M), and stands for
``(low + high) / 2 + (high - low) / 2 · integer / M``, computed in float64, cut to low … high, and rounded to the
space's own type. So 0 is the middle, and both ends are reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import (
    CONTINUOUS,
    ONE_CHOICE,
    Argmax,
    FixedPoint,
    FloatArray,
    IntArray,
    Output,
    Table,
    activation_type,
)
from hls4rl.errors import ProjectError

SQUASHES = ("hard-tanh", "tanh")
"""How a continuous action's sums are brought to -1 … 1: cut, or by a table of the hyperbolic tangent."""


@dataclass(frozen=True)
class Action:
    """What a task file says of continuous actions; those of other spaces need nothing."""

    bits: int = 8
    """Width of the integer of one dimension, sign included."""
    squash: str = "hard-tanh"
    """One of :data:`SQUASHES`."""
    range: tuple[float, ...] = ()
    """Low and high of unbounded dimensions, two numbers for all of them, or two for each dimension; where it's given,
    it counts in place of the environment's bounds."""
    deviation: float = 0.5
    """Training: standard deviation of the actions about their mean at the first episode; half of the range is 1."""
    final_deviation: float = 0.1
    """The same at the last episode; in between it falls in a straight line."""

    def deviation_at(self, progress: float) -> float:
        """The standard deviation when ``progress`` (0 to 1) of the training episodes are over."""
        return self.deviation + (self.final_deviation - self.deviation) * progress


class Actions(Protocol):
    """One environment's actions."""

    @property
    def output(self) -> Output:
        """How an action is read off the outputs."""
        ...

    @property
    def is_continuous(self) -> bool:
        """Whether it's a Box."""
        ...

    @property
    def outputs(self) -> int:
        """Outputs that the network needs."""
        ...

    @property
    def activation(self) -> FixedPoint | Table | None:
        """Activation of the last layer; None for logits."""
        ...

    def decode(self, action: IntArray) -> Any:
        """What ``env.step`` takes, of one row of :attr:`hls4rl.backend.Answer.actions`, shape (action dimensions,)."""
        ...


@dataclass(frozen=True)
class DiscreteActions:
    """Discrete(n, start): one group of logits."""

    outputs: int
    start: int
    output: Output = ONE_CHOICE
    activation: None = None
    is_continuous: bool = False

    def decode(self, action: IntArray) -> int:
        """See :class:`Actions`."""
        return int(action[0]) + self.start


@dataclass(frozen=True, eq=False)
class MultiDiscreteActions:
    """MultiDiscrete(nvec, start): a group of logits for each dimension, in C order.

    A dimension with one choice has no logits and is always that choice.
    """

    choices: IntArray
    """Shape of the space."""
    start: IntArray
    dtype: Any
    activation: None = None
    is_continuous: bool = False

    @property
    def output(self) -> Output:
        """See :class:`Actions`."""
        return Argmax(tuple(int(choices) for choices in self.choices.reshape(-1) if choices > 1))

    @property
    def outputs(self) -> int:
        """See :class:`Actions`."""
        return int(self.choices[self.choices > 1].sum())

    def decode(self, action: IntArray) -> NDArray[Any]:
        """See :class:`Actions`."""
        chosen = np.zeros_like(self.choices)
        chosen[self.choices > 1] = action
        return np.asarray(chosen + self.start, dtype=self.dtype)


@dataclass(frozen=True)
class MultiBinaryActions:
    """MultiBinary(n): a logit for each bit, in C order; the bit is 1 where the logit is larger than 0."""

    shape: tuple[int, ...]
    activation: None = None
    is_continuous: bool = False

    @property
    def output(self) -> Output:
        """See :class:`Actions`."""
        return Argmax((1,) * self.outputs)

    @property
    def outputs(self) -> int:
        """See :class:`Actions`."""
        return int(np.prod(self.shape))

    def decode(self, action: IntArray) -> NDArray[np.int8]:
        """See :class:`Actions`."""
        return action.astype(np.int8).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class BoxActions:
    """Box(low, high): an integer for each dimension, in C order."""

    low: FloatArray
    """Shape of the space."""
    high: FloatArray
    dtype: Any
    activation: FixedPoint | Table
    output: Output = CONTINUOUS
    is_continuous: bool = True

    @property
    def outputs(self) -> int:
        """See :class:`Actions`."""
        return self.low.size

    def decode(self, action: IntArray) -> NDArray[Any]:
        """See :class:`Actions`; the affine rule of this module."""
        return self.real(action / self.activation.maximum)

    def real(self, action: FloatArray) -> NDArray[Any]:
        """The same of an action in -1 … 1, shape (dimensions,): -1 is the low end of the range, and 1 the high one."""
        share = np.clip(action, -1.0, 1.0).reshape(self.low.shape)
        values = (self.low + self.high) / 2 + (self.high - self.low) / 2 * share
        values = np.clip(values, self.low, self.high)
        if np.issubdtype(self.dtype, np.integer):
            values = np.rint(values)
        return values.astype(self.dtype)


def actions_of(space: gym.Space[Any], settings: Action, where: str) -> Actions:
    """The actions of ``space``.

    Args:
        settings: of the task file.
        where: begins each message.

    Raises:
        ProjectError: a space of another kind, one without a choice, or an unbounded one whose range isn't given.
    """
    if isinstance(space, gym.spaces.Discrete):
        if space.n < 2:
            raise ProjectError(f"{where}: the action is {space}, which leaves nothing to decide")
        return DiscreteActions(int(space.n), int(space.start))
    if isinstance(space, gym.spaces.MultiDiscrete):
        if not (space.nvec > 1).any():
            raise ProjectError(f"{where}: the action is {space}, which leaves nothing to decide")
        start = np.asarray(getattr(space, "start", np.zeros_like(space.nvec)), dtype=np.int64)
        return MultiDiscreteActions(space.nvec.astype(np.int64), start, space.dtype)
    if isinstance(space, gym.spaces.MultiBinary):
        return MultiBinaryActions(tuple(int(size) for size in space.shape))
    if isinstance(space, gym.spaces.Box):
        return _box(space, settings, where)
    raise ProjectError(
        f"{where}: the action is {space}; Discrete, MultiDiscrete, MultiBinary and Box are supported: wrap the "
        "environment so that it takes one of these"
    )


def _box(space: gym.spaces.Box, settings: Action, where: str) -> BoxActions:
    low, high = (np.asarray(bound, dtype=np.float64) for bound in (space.low, space.high))
    if settings.range:
        bounds = np.asarray(settings.range, dtype=np.float64)
        if bounds.size not in (2, 2 * low.size):
            raise ProjectError(
                f"{where}: action.range has {bounds.size} numbers; give low and high, for all dimensions or for each "
                f"of the {low.size}, one after the other"
            )
        pairs = np.broadcast_to(bounds.reshape(-1, 2), (low.size, 2))
        low, high = (pairs[:, side].reshape(low.shape) for side in (0, 1))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ProjectError(
            f"{where}: the action is {space}, without bounds; give them in the task file: [action], "
            "range = [low, high] (for all dimensions, or low and high of each)"
        )
    if (low >= high).any():
        raise ProjectError(f"{where}: an action's low end is not below its high end; correct action.range")
    kind = activation_type(settings.squash, settings.bits, 0)
    return BoxActions(low, high, space.dtype, kind)


def random_actions(actions: Actions, count: int, rng: np.random.Generator) -> IntArray:
    """Actions drawn evenly, int64, shape (count, action dimensions)."""
    if isinstance(actions.output, Argmax):
        sizes = actions.output.sizes(actions.outputs)
        columns = [rng.integers(max(size, 2), size=count) for size in sizes]
        return np.stack(columns, axis=1)
    kind = actions.activation
    assert kind is not None
    return rng.integers(-kind.maximum, kind.maximum, size=(count, actions.outputs), endpoint=True)
