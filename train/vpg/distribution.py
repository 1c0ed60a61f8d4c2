"""The stochastic policy that training samples from: what it draws, how likely that was, and how random it is.

Discrete actions are drawn from the softmax of each group's logits, bits from the logistic function of theirs, and
continuous ones from Gaussians whose means are the network's outputs and whose deviation the task's schedule gives.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hls4rl.contract import Argmax, FloatArray, Output


def draw(output: Output, outputs: FloatArray, deviation: float, rng: np.random.Generator) -> NDArray[Any]:
    """One action, shape (action dimensions,): indices of choices, or real numbers where the action is continuous.

    Args:
        outputs: of the network, shape (outputs,), in real units.
        deviation: of continuous actions.
    """
    if not isinstance(output, Argmax):
        return outputs + deviation * rng.standard_normal(len(outputs))
    groups = np.split(outputs, np.cumsum(output.sizes(len(outputs)))[:-1])
    drawn = [sample(group, rng) if len(group) > 1 else _toss(group[0], rng) for group in groups]
    return np.array(drawn, dtype=np.int64)


def sample(values: FloatArray, rng: np.random.Generator) -> int:
    """An index drawn from the softmax of the logits ``values``, by inversion of one uniform number."""
    weights = np.exp(values - values.max())
    return int(np.searchsorted(np.cumsum(weights[:-1]), rng.random() * weights.sum(), side="right"))


def _toss(logit: float, rng: np.random.Generator) -> int:
    return int(rng.random() * (1.0 + math.exp(-min(max(logit, -700.0), 700.0))) < 1.0)


def likelihood_and_entropy(
    output: Output, outputs: torch.Tensor, actions: NDArray[Any], deviation: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """log π(a|s) and the policy's entropy at each of T steps, shape (T,) both.

    Args:
        outputs: of the network, shape (T, outputs).
        actions: what was drawn, shape (T, action dimensions).
        deviation: of continuous actions; their entropy has no gradient and counts as 0.
    """
    taken = torch.from_numpy(actions)
    if not isinstance(output, Argmax):
        squares = ((taken - outputs) / deviation).square().sum(dim=1)
        return -0.5 * squares - actions.shape[1] * math.log(deviation * math.sqrt(2 * math.pi)), torch.zeros(len(taken))
    likelihood, entropy = [], []
    for place, group in enumerate(torch.split(outputs, list(output.sizes(outputs.shape[1])), dim=1)):
        # A bit's logit is held against one that is always 0.
        logits = group if group.shape[1] > 1 else torch.cat([torch.zeros_like(group), group], dim=1)
        logarithms = torch.log_softmax(logits, dim=1)
        likelihood.append(logarithms.gather(1, taken[:, place, None])[:, 0])
        entropy.append(-(logarithms.exp() * logarithms).sum(dim=1))
    return _total(likelihood), _total(entropy)


def _total(groups: list[torch.Tensor]) -> torch.Tensor:
    total = groups[0]
    for group in groups[1:]:
        total = total + group
    return total
