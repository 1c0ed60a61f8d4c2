"""The paper's five methods and ours, one module each."""

from __future__ import annotations

from train.methods.base import Method
from train.methods.binaryconnect import BinaryConnect
from train.methods.binarynet import BinaryNet
from train.methods.compression import Compression
from train.methods.fp import FullPrecision
from train.methods.pruning import Pruning
from train.methods.ternary import Ternary
from train.policy import PolicySpec

_METHODS: dict[str, type[Method]] = {
    "fp": FullPrecision,
    "binaryconnect": BinaryConnect,
    "binarynet": BinaryNet,
    "compression": Compression,
    "pruning": Pruning,
    "ternary": Ternary,
}


def method(spec: PolicySpec) -> Method:
    """A fresh object of the method that ``spec`` names, for one training run."""
    return _METHODS[spec.method](spec)


__all__ = ["Method", "method"]
