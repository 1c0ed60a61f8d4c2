"""Compression+VPG: weights that share few values (paper algorithm 2).

At the midpoint of the episodes K-Means sorts each layer's weights into k groups, and each weight becomes its
group's centroid. From then on the k centroids are trained, each by the *sum* of its members' gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hls4rl.contract import Contract, FloatArray
from hls4rl.task import Task
from hls4rl.train.methods.base import FEW_BITS, Method, fixed_point_contract, shared_contract
from hls4rl.train.parameters import Parameters


class Compression(Method):
    """Members of a group share value, gradient and optimiser state, so they move as the one centroid they are."""

    place, in_paper, label = 3, True, "Comp"
    colour, dark_colour, marker = "#009e73", "#2fc99b", "^"
    settings = ("bits", "activation_bits", "clusters")
    first_guesses = ({"hidden": 4, "clusters": 3, **FEW_BITS},)
    starts_real = True

    switches = True
    small_output = True
    shares_weights = True

    def training_contract(self, task: Task) -> Contract:
        """Fixed point throughout: rounding comes last in the forward pass, gradients go straight through it."""
        return shared_contract(task, self.spec)

    def deployed_contract(self, task: Task) -> Contract:
        """Fixed point."""
        return fixed_point_contract(task, self.spec)

    def at_midpoint(self, parameters: Parameters, rng: np.random.Generator) -> None:
        """Group each layer's weights and replace them by the centroids."""
        seed = int(rng.integers(2**31))
        self.groups = tuple(share_values(weight, self.spec.clusters, seed) for weight in parameters.weights)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The groups."""
        return {f"group{index}": group for index, group in enumerate(self.groups or ())}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go back to these groups."""
        self.groups = tuple(arrays[f"group{index}"] for index in range(len(arrays))) or None

    def after_backward(self, gradients: Parameters) -> None:
        """Give each weight the sum of its group's gradients."""
        if self.groups is None:
            return
        for gradient, group in zip(gradients.weights, self.groups, strict=True):
            gradient[...] = np.bincount(group.ravel(), weights=gradient.ravel())[group]


METHOD = Compression


def share_values(weight: FloatArray, clusters: int, seed: int) -> NDArray[np.int64]:
    """K-Means on one layer: replace its weights by centroids in place, and return each weight's group.

    A layer with fewer than ``clusters`` distinct weights keeps them all.
    """
    from sklearn.cluster import KMeans  # here, because it takes seconds to load
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    values = weight.reshape(-1, 1)
    count = min(clusters, len(np.unique(values)))
    with threadpool_limits(1):  # with more threads the sums, and so the bytes, would depend on the machine
        means = KMeans(count, n_init=4, random_state=seed).fit(values)
    group: NDArray[np.int64] = means.labels_.astype(np.int64).reshape(weight.shape)
    weight[...] = means.cluster_centers_[:, 0][group]
    return group


def compression_rate(layers: Sequence[int], bits: int, clusters: int) -> float:
    """Paper eq. 5: bits of all weights, over bits of their group indices and of one codebook a layer.

    Args:
        layers: number of weights of each layer.
        bits: width of a weight (b).
        clusters: groups in a layer (k).
    """
    weights = sum(layers)
    return weights * bits / (weights * math.log2(clusters) + len(layers) * clusters * bits)
