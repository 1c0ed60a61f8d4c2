"""Policies with random parameters, under the contracts that training gives them: quick to make, hard to run."""

from __future__ import annotations

import itertools

import numpy as np

from hls4rl.policy import Policy, PolicySpec, read_hidden
from hls4rl.task import Task, load_task
from hls4rl.train.methods import PAPER_METHODS, method

TASKS = ("cartpole", "acrobot")
DESIGNS = [
    (task, name, bits) for task in TASKS for name in PAPER_METHODS for bits in (8, 16)
    if bits == 8 or not name.startswith("binary")
]
"""Task, method, bits; what is binary has no other width."""


def random_policy(
    task: str | Task, name: str, bits: int = 8, hidden: int | str = 16, seed: int = 1, activation_bits: int = 0
) -> Policy:
    """Latents that reach beyond every range: saturation, ties, zeros and long sums all occur."""
    rng = np.random.default_rng(seed)
    task = load_task(task) if isinstance(task, str) else task
    spec = PolicySpec(task.name, name, read_hidden(hidden), seed, bits=bits, activation_bits=activation_bits)
    features, outputs = task.spaces
    pairs = list(itertools.pairwise((features, *spec.hidden, outputs)))
    shapes = [shape for inputs, units in pairs for shape in ((units, inputs), (units,))]
    arrays = [rng.normal(size=shape).astype(np.float32) * np.float32(1.5) for shape in shapes]
    arrays[0][0, :], arrays[-2][0, -1], arrays[-1][...] = 0.0, 50.0, 0.0
    for weight in arrays[::2]:
        if name == "compression":
            centres = rng.normal(size=spec.clusters).astype(np.float32)
            weight[...] = centres[rng.integers(spec.clusters, size=weight.shape)]
        if name == "pruning":
            weight[np.abs(weight) < np.percentile(np.abs(weight), spec.percentile)] = 0.0
    return Policy(spec, method(spec).deployed_contract(task), tuple(arrays[::2]), tuple(arrays[1::2]))
