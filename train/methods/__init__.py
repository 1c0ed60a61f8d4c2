"""The paper's five methods and ours, one module each: this folder is the list of them."""

from __future__ import annotations

from hls4rl import registry
from hls4rl.policy import PolicySpec
from hls4rl.train.methods.base import Method

METHODS: dict[str, type[Method]] = registry.load("hls4rl.train.methods", "METHOD")
"""All, by the name that a user calls them."""

PAPER_METHODS = tuple(name for name, kind in METHODS.items() if kind.in_paper)
"""The names of the paper's five, in its order."""


def method(spec: PolicySpec) -> Method:
    """A fresh object of the method that ``spec`` names, for one training run."""
    return METHODS[spec.method](spec)


def weight_bits(spec: PolicySpec) -> int:
    """Stored bits of a weight of the policy ``spec``."""
    return METHODS[spec.method].weight_bits or spec.bits


__all__ = ["METHODS", "PAPER_METHODS", "Method", "method", "weight_bits"]
