"""What both trainers share: a run's random streams, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hls4rl.policy import Policy
from hls4rl.train.parameters import Parameters


@dataclass(frozen=True)
class Streams:
    """Independent random streams of one training run, all from its seed."""

    environment: int
    """Seed of the environment's first reset."""
    start: np.random.Generator
    """First parameters, and K-Means."""
    actions: np.random.Generator
    """Sampling of actions."""

    @classmethod
    def of(cls, seed: int) -> Streams:
        """The streams of ``seed``."""
        environment, start, actions = np.random.SeedSequence(seed).spawn(3)
        return cls(int(environment.generate_state(1)[0]), np.random.default_rng(start), np.random.default_rng(actions))


@dataclass
class TrainingState:
    """Where a training run stands; trainers yield it after every few episodes."""

    parameters: Parameters
    """Latent parameters, changed by the run as it goes on."""
    returns: list[float]
    """Return of each episode so far."""
    steps: int = 0
    """Environment steps so far."""
    seconds: float = 0.0
    """Time so far."""
    ends: list[int] = field(default_factory=list)
    """Environment steps up to the end of each episode, from trainers that play several at once."""
    total_steps: int | None = None
    """Environment steps of the whole run, from trainers that end by these and not by episodes."""
    deployed: tuple[Policy, list[dict[str, Any]] | None] | None = None
    """The policy that was found best, as :func:`hls4rl.train.calibration.deployed` gives it, from trainers that try it
    themselves; None: it's made of ``parameters``."""

    @property
    def steps_per_second(self) -> float:
        """Environment steps per second, updates included."""
        return self.steps / max(self.seconds, 1e-9)
