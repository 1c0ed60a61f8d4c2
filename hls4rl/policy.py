"""A trained policy: what crosses the border from training to export, and how it is kept on disk.

One safetensors file holds the latent parameters and, in its header, the specification and the number
contract as JSON. The format stores arrays and text only, so that reading a stranger's file runs no code.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hls4rl import registry
from hls4rl.contract import Contract
from hls4rl.errors import ProjectError
from hls4rl.plain import build

METHOD_NAMES = tuple(name for name in registry.names("hls4rl.train.methods") if name != "base")
"""A method is a module of :mod:`hls4rl.train.methods`, called by its name."""

FORMAT = "hls4rl-policy-1"
MAXIMUM_BYTES = 1 << 28
_ARRAYS = ("hidden_weight", "hidden_bias", "output_weight", "output_bias")
_DEFAULTS = {"bits": ("b", 8), "clusters": ("k", 8), "percentile": ("p", 50.0), "activation_bits": ("a", 0),
             "variant": ("v", "")}


@dataclass(frozen=True)
class PolicySpec:
    """Which policy: everything that a user chooses about one training run."""

    task: str
    method: str
    hidden: int
    seed: int
    bits: int = 8
    """Width of weights and hidden activations where they are not binary."""
    clusters: int = 8
    """Compression: groups per layer (k in paper eq. 5)."""
    percentile: float = 50.0
    """Pruning: percentage of each layer's weights set to zero."""
    activation_bits: int = 0
    """Width of hidden activations where they are not binary; 0: as ``bits``."""
    variant: str = ""
    """Which settings of the task were changed (:func:`hls4rl.task.change`); empty for none."""

    def __post_init__(self) -> None:
        if self.method not in METHOD_NAMES:
            raise ProjectError(f"unknown method '{self.method}'; choose one of {', '.join(METHOD_NAMES)}")
        for name, low, high in (
            ("hidden", 1, 4096),
            ("seed", 0, 2**31 - 1),
            ("bits", 2, 16),
            ("clusters", 1, 65536),
            ("percentile", 0, 100),
            ("activation_bits", 0, 16),
        ):
            if not low <= getattr(self, name) <= high:
                raise ProjectError(f"{name.upper()}={getattr(self, name)} is out of range; give {low} … {high}")

    @property
    def directory_name(self) -> str:
        """``<method>-h<hidden>-s<seed>``, then each setting that differs from its default."""
        suffix = "".join(
            f"-{letter}{value if isinstance(value := getattr(self, name), str) else f'{value:g}'}"
            for name, (letter, default) in _DEFAULTS.items() if getattr(self, name) != default
        )
        return f"{self.method}-h{self.hidden}-s{self.seed}{suffix}"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary; settings that came later are left out where they have their defaults."""
        later = {item.name: item.default for item in fields(self) if item.name in ("activation_bits", "variant")}
        return {name: value for name, value in asdict(self).items() if name not in later or value != later[name]}


@dataclass(frozen=True, eq=False)
class Policy:
    """A policy with one hidden layer: latent real parameters, and the types that make integers of them."""

    spec: PolicySpec
    contract: Contract
    hidden_weight: NDArray[np.float32]
    """Shape (hidden, features)."""
    hidden_bias: NDArray[np.float32]
    """Shape (hidden,)."""
    output_weight: NDArray[np.float32]
    """Shape (actions, hidden)."""
    output_bias: NDArray[np.float32]
    """Shape (actions,)."""

    @property
    def features(self) -> int:
        """Number of observation features."""
        return int(self.hidden_weight.shape[1])

    @property
    def actions(self) -> int:
        """Number of discrete actions."""
        return int(self.output_weight.shape[0])

    def save(self, path: Path) -> None:
        """Write the policy to ``path`` (safetensors)."""
        # One entry only: the library writes several in random order, and equal policies are to give equal bytes.
        header = {FORMAT: json.dumps({"spec": self.spec.to_json(), "contract": self.contract.to_json()})}
        arrays = {name: np.ascontiguousarray(getattr(self, name), dtype=np.float32) for name in _ARRAYS}
        path.write_bytes(save(arrays, header))


def load_policy(path: Path) -> Policy:
    """Read what :meth:`Policy.save` wrote.

    Raises:
        ProjectError: the file is missing, cut short, or something else; nothing in it is ever executed.
    """
    remedy = "train it again, or give the path of a policy.safetensors that hls4rl wrote"
    if not path.is_file():
        raise ProjectError(f"{path}: no such policy; {remedy}")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ProjectError(f"{path}: larger than {MAXIMUM_BYTES} bytes; {remedy}")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if FORMAT not in header:
                raise ProjectError(f"{path}: not in the format {FORMAT}; {remedy}")
            description = json.loads(header[FORMAT])
            spec: PolicySpec = build(PolicySpec, description["spec"], str(path))
            contract = Contract.from_json(description["contract"])
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ProjectError(f"{path}: not a whole policy file ({' '.join(str(error).split())}); {remedy}") from error
    _check_shapes(spec, arrays, path)
    return Policy(spec=spec, contract=contract, **arrays)


def _check_shapes(spec: PolicySpec, arrays: dict[str, NDArray[Any]], path: Path) -> None:
    hidden, output = arrays["hidden_weight"], arrays["output_weight"]
    consistent = (
        hidden.ndim == 2 and output.ndim == 2
        and hidden.shape[0] == output.shape[1] == spec.hidden == arrays["hidden_bias"].size
        and output.shape[0] == arrays["output_bias"].size
        and all(array.dtype == np.float32 and np.isfinite(array).all() for array in arrays.values())
    )
    if not consistent:
        raise ProjectError(f"{path}: its arrays do not fit together; train the policy again")
