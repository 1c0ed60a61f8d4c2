"""The paper's five methods and ours, one module each."""

from __future__ import annotations

from hls4rl.policy import PolicySpec
from hls4rl.train.methods.base import Method
from hls4rl.train.methods.binaryconnect import BinaryConnect
from hls4rl.train.methods.binarynet import BinaryNet
from hls4rl.train.methods.compression import Compression
from hls4rl.train.methods.fp import FullPrecision
from hls4rl.train.methods.pruning import Pruning
from hls4rl.train.methods.ternary import Ternary

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
