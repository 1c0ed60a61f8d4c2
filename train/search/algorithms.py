"""Two evolution strategies over a vector of real numbers, both with antithetic Gaussian directions.

* ``ars``: augmented random search, variant V2-t (Mania, Guy and Recht, "Simple random search provides a competitive
  approach to reinforcement learning", 2018): the best directions only, the step divided by the returns' deviation. Its
  normalisation of observations is the task's converter.
* ``es``: evolution strategies with centred ranks and Adam (Salimans et al., "Evolution strategies as a scalable
  alternative to reinforcement learning", 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import FloatArray
from hls4rl.task import Search

_SMALLEST_DEVIATION = 1e-6
_FIRST, _SECOND = 0.9, 0.999


@dataclass
class Memory:
    """What the steps so far leave behind: Adam's averages."""

    first: FloatArray
    second: FloatArray
    updates: int = 0

    @classmethod
    def of(cls, length: int) -> Memory:
        """Of no steps."""
        return cls(np.zeros(length), np.zeros(length))


@dataclass(frozen=True)
class Generation:
    """Directions that were tried in both senses, and what each earned."""

    directions: FloatArray
    """Shape (directions, length), standard normal."""
    fitness: FloatArray = field(repr=False)
    """Shape (directions, 2): of the step ahead, and of the step back."""


def ars(settings: Search, generation: Generation, step: float, memory: Memory) -> FloatArray:
    """The step of ARS V2-t, shape (length,)."""
    fitness = generation.fitness
    best = np.argsort(-fitness.max(axis=1), kind="stable")[: settings.top]
    deviation = float(fitness[best].std()) + _SMALLEST_DEVIATION
    gains = fitness[best, 0] - fitness[best, 1]
    total: FloatArray = gains @ generation.directions[best]
    return total * (step / (len(best) * deviation))


def es(settings: Search, generation: Generation, step: float, memory: Memory) -> FloatArray:
    """The step of ES with centred ranks and Adam, shape (length,)."""
    fitness = generation.fitness
    ranks = np.empty(fitness.shape)
    ranks.flat[np.argsort(fitness.reshape(-1), kind="stable")] = np.linspace(-0.5, 0.5, fitness.size)
    slope = (ranks[:, 0] - ranks[:, 1]) @ generation.directions / fitness.size
    memory.updates += 1
    memory.first[:] = _FIRST * memory.first + (1 - _FIRST) * slope
    memory.second[:] = _SECOND * memory.second + (1 - _SECOND) * slope**2
    mean = memory.first / (1 - _FIRST**memory.updates)
    spread = np.sqrt(memory.second / (1 - _SECOND**memory.updates))
    found: FloatArray = step * mean / (spread + 1e-8)
    return found


ALGORITHMS: Mapping[str, Callable[[Search, Generation, float, Memory], FloatArray]] = {"ars": ars, "es": es}


def arrays(memory: Memory) -> dict[str, NDArray[Any]]:
    """``memory`` by name, for a checkpoint."""
    return {"first": memory.first, "second": memory.second, "updates": np.array(memory.updates)}


def restored(kept: Mapping[str, NDArray[Any]]) -> Memory:
    """The inverse of :func:`arrays`."""
    return Memory(kept["first"].copy(), kept["second"].copy(), int(kept["updates"].item()))
