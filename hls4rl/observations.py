"""How the host turns any observation of Gymnasium into the integers that every backend gets.

An observation is flattened to floats: a Box in C order, Discrete and MultiDiscrete as one bit for each choice (the
chosen one is 1), MultiBinary as its bits, Dict and Tuple as their members one after the other in the space's own order
(Gymnasium sorts a Dict's keys). Each float, less an offset and times a power of two, is then rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from hls4rl.contract import FixedPoint, FloatArray, IntArray
from hls4rl.errors import ProjectError

AUTO = "auto"
"""In place of scales: measure them."""
_LEAVES = (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)


@dataclass(frozen=True)
class Observation:
    """How the host turns the environment's floats into the integers that every backend gets."""

    scale: tuple[float, ...] | str = AUTO
    """One power of two per feature, or one for all; the network sees ``(feature - offset) × scale``. ``"auto"``:
    scales and offsets are measured in random episodes."""
    offset: tuple[float, ...] = (0.0,)
    """What is subtracted from each feature first, or one number for all; measured too if the scale is."""
    bits: int = 8
    """Width of one feature, sign included."""
    integer_bits: int = 1
    """Bits before the binary point, sign included: the network sees [-2^(i-1), 2^(i-1))."""
    active: int | None = None
    """About how many features are not zero at a time, if these are few: the fan-in that scales binary weights."""

    @property
    def type(self) -> FixedPoint:
        """The input type of the network."""
        return FixedPoint(self.bits, self.integer_bits)


@dataclass(frozen=True, eq=False)
class Converter:
    """The host's converter, with numbers for everything."""

    type: FixedPoint
    scale: FloatArray
    """Shape (features,): powers of two."""
    offset: FloatArray
    """Shape (features,)."""

    def integers(self, observations: FloatArray, features: IntArray | None = None) -> IntArray:
        """Subtract, scale by powers of two, round half to even once, saturate; in float64.

        Args:
            observations: flattened floats, shape (..., features).
            features: numbers of the features that ``observations`` has; None for all of them.

        Returns:
            int64 of the same shape, in units of ``type.lsb``.
        """
        scale, offset = (
            (self.scale, self.offset) if features is None else (self.scale[features], self.offset[features])
        )
        return self.type.integers((np.asarray(observations, dtype=np.float64) - offset) * scale)

    def saturated(self, observations: FloatArray) -> FloatArray:
        """The share of ``observations``, shape (rows, features), that lies beyond the type, for each feature."""
        values = np.rint((np.asarray(observations, dtype=np.float64) - self.offset) * self.scale / self.type.lsb)
        return np.asarray(((values < self.type.minimum) | (values > self.type.maximum)).mean(axis=0))


def features_of(space: gym.Space[Any], where: str) -> int:
    """Number of floats in a flattened observation of ``space``.

    Args:
        where: begins each message.

    Raises:
        ProjectError: a space that isn't flattened here.
    """
    _check(space, space, where)
    count = int(gym.spaces.flatdim(space))
    if count < 1:
        raise ProjectError(f"{where}: the observation is {space}, which says nothing")
    return count


def flatten(space: gym.Space[Any], observation: Any) -> FloatArray:
    """One observation of ``space`` as floats, shape (features,), float64; the order is this module's."""
    if isinstance(space, gym.spaces.Box):
        return np.asarray(observation, dtype=np.float64).reshape(-1)
    return np.asarray(gym.spaces.flatten(space, observation), dtype=np.float64)


def feature_names(space: gym.Space[Any], prefix: str = "") -> list[str]:
    """What each float of a flattened observation is, as ``position[2]``; of a plain Box its numbers."""
    if isinstance(space, gym.spaces.Dict):
        members = [(str(key), member) for key, member in space.spaces.items()]
    elif isinstance(space, gym.spaces.Tuple):
        members = [(str(index), member) for index, member in enumerate(space.spaces)]
    else:
        count = int(gym.spaces.flatdim(space))
        shape = space.shape if isinstance(space, gym.spaces.Box) and space.shape else (count,)
        places = [",".join(str(place) for place in index) for index in np.ndindex(*shape)]
        return [f"{prefix}[{place}]" if prefix else place for place in places]
    return [name for key, member in members for name in feature_names(member, f"{prefix}.{key}" if prefix else key)]


def _check(space: gym.Space[Any], whole: gym.Space[Any], where: str) -> None:
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
        for member in space.spaces.values() if isinstance(space, gym.spaces.Dict) else space.spaces:
            _check(member, whole, where)
    elif not isinstance(space, _LEAVES):
        raise ProjectError(
            f"{where}: the observation is {whole}; Box, Discrete, MultiDiscrete, MultiBinary, and Dict and Tuple of "
            f"them are supported, not {type(space).__name__}: wrap the environment so that it gives one of these"
        )
