"""What a regulator costs, and the one in real numbers that costs least: the Riccati equation, and its cost by torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hls4rl.contract import FloatArray
from hls4rl.train.lqr.model import Model

_ITERATIONS = 4000
"""Of the Riccati equation, from no time left to ever."""
_RICCATI_DISCOUNT, _DISCOUNT = 0.99, 0.995
"""By a step, of states: a mode that takes minutes to grow may stay as it is."""
_DOUBLINGS = 8
"""The cost is of 2**8 steps: finite, whatever is unstable, so that it has a gradient everywhere."""
_POSITION_NOISE, _VELOCITY_NOISE = 1e-5, 1e-2
"""Variances added to those of the disturbances, whose sum is 1."""


@dataclass(frozen=True)
class Cost:
    """``Σ state² · state_cost + action² · action_cost`` over time, of disturbances that keep coming."""

    model: Model
    state_cost: FloatArray
    """Shape (states,)."""
    action_cost: FloatArray
    """Shape (actions,)."""

    def gains(self) -> FloatArray:
        """``action = rest − gains · state`` that costs least, in real numbers; shape (actions, states)."""
        transition, control = (array * _RICCATI_DISCOUNT for array in (self.model.transition, self.model.control))
        state, action = np.diag(self.state_cost), np.diag(self.action_cost)
        left: Any = state.copy()
        found: FloatArray = np.zeros(control.T.shape)
        for _ in range(_ITERATIONS):
            found = np.linalg.solve(action + control.T @ left @ control, control.T @ left @ transition)
            left = state + transition.T @ left @ (transition - control @ found)
            left = (left + left.T) / 2
        return found

    def disturbances(self, states: FloatArray, following: FloatArray, gains: FloatArray) -> FloatArray:
        """Their covariance, shape (states, states), from what the model missed of steps that were taken.

        Args:
            states: shape (steps, states); ``following``: of one step later.
            gains: those that acted.
        """
        closed = self.model.transition - self.model.control @ gains
        missed = following - states @ closed.T
        covariance = missed.T @ missed
        noise = np.full(len(self.state_cost), _VELOCITY_NOISE)
        noise[: self.model.positions] = _POSITION_NOISE
        found: FloatArray = covariance / max(np.trace(covariance), 1e-12) + np.diag(noise)
        return found

    def function(self, disturbances: FloatArray) -> LogCost:
        """The cost as torch computes it."""
        arrays = (self.model.transition * _DISCOUNT, self.model.control * _DISCOUNT, np.diag(self.state_cost),
                  np.diag(self.action_cost), disturbances)
        return LogCost(*(torch.from_numpy(array) for array in arrays))


@dataclass(frozen=True)
class LogCost:
    """The logarithm of the cost of 2**8 steps, by gains."""

    transition: torch.Tensor
    control: torch.Tensor
    state: torch.Tensor
    action: torch.Tensor
    disturbances: torch.Tensor

    def __call__(self, gains: torch.Tensor) -> torch.Tensor:
        """Shape (batch,), of gains of shape (batch, actions, states)."""
        closed = self.transition - self.control @ gains
        left = self.state + gains.transpose(-1, -2) @ self.action @ gains
        for _ in range(_DOUBLINGS):
            left = left + closed.transpose(-1, -2) @ left @ closed
            closed = closed @ closed
        return (left * self.disturbances).sum((-1, -2)).log()
