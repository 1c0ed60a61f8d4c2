"""A trained policy: what crosses the border from training to export, and how it is kept on disk.

One safetensors file holds the latent parameters and, in its header, the specification and the number
contract as JSON. The format stores arrays and text only, so that reading a stranger's file runs no code.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hls4rl import registry
from hls4rl.contract import Contract, Real
from hls4rl.errors import ProjectError
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.plain import build

METHOD_NAMES = tuple(name for name in registry.names("hls4rl.train.methods") if name != "base")
"""A method is a module of :mod:`hls4rl.train.methods`, called by its name."""

FORMAT = "hls4rl-policy-2"
MAXIMUM_BYTES = 1 << 28
MAXIMUM_HIDDEN_LAYERS = 8
_DEFAULTS = {"bits": ("b", 8), "clusters": ("k", 8), "percentile": ("p", 50.0), "activation_bits": ("a", 0),
             "variant": ("v", "")}


@dataclass(frozen=True)
class PolicySpec:
    """Which policy: everything that a user chooses about one training run."""

    task: str
    method: str
    hidden: tuple[int, ...]
    """Units of each hidden layer, from the observation on; empty for one layer. A number or ``"64x64"`` will do."""
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
        object.__setattr__(self, "hidden", read_hidden(self.hidden))
        for name, low, high in (
            ("seed", 0, 2**31 - 1),
            ("bits", 2, 16),
            ("clusters", 1, 65536),
            ("percentile", 0, 100),
            ("activation_bits", 0, 16),
        ):
            if not low <= getattr(self, name) <= high:
                raise ProjectError(f"{name.upper()}={getattr(self, name)} is out of range; give {low} … {high}")

    @property
    def shape(self) -> str:
        """The hidden layers as text: ``16``, ``64x64``, or ``0`` for a single layer."""
        return hidden_text(self.hidden)

    @property
    def directory_name(self) -> str:
        """``<method>-h<hidden>-s<seed>``, then each setting that differs from its default."""
        suffix = "".join(
            f"-{letter}{value if isinstance(value := getattr(self, name), str) else f'{value:g}'}"
            for name, (letter, default) in _DEFAULTS.items() if getattr(self, name) != default
        )
        return f"{self.method}-h{self.shape}-s{self.seed}{suffix}"

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary; settings that came later are left out where they have their defaults."""
        later = {item.name: item.default for item in fields(self) if item.name in ("activation_bits", "variant")}
        plain = {**asdict(self), "hidden": list(self.hidden)}
        return {name: value for name, value in plain.items() if name not in later or value != later[name]}

    def to_inputs(self) -> dict[str, Any]:
        """As :meth:`to_json`, in the form that a trained policy's artefact keeps: one hidden layer is a number."""
        return {**self.to_json(), "hidden": self.hidden[0] if len(self.hidden) == 1 else list(self.hidden)}


def read_hidden(value: Any) -> tuple[int, ...]:
    """The widths of hidden layers: 16, ``"16"``, ``"64x64"``, (64, 64), or 0, ``"0"`` and () for none.

    Raises:
        ProjectError: ``value`` is none of these; the message says what is.
    """
    words = value if isinstance(value, tuple | list) else str(value).lower().split("x")
    wrong = ProjectError(
        f"HIDDEN={'x'.join(str(word) for word in words)} is no list of widths; give the units of each "
        "hidden layer (1 … 4096) with x between, as 16, 64x64 or 128x64x32 "
        f"(at most {MAXIMUM_HIDDEN_LAYERS} layers), or 0 for a single layer"
    )
    if any(isinstance(word, bool | float) or not str(word).isdecimal() for word in words):
        raise wrong
    widths = tuple(int(word) for word in words)
    widths = () if widths == (0,) else widths
    if len(widths) > MAXIMUM_HIDDEN_LAYERS or any(not 1 <= width <= 4096 for width in widths):
        raise wrong
    return widths


def hidden_text(hidden: tuple[int, ...]) -> str:
    """The inverse of :func:`read_hidden`."""
    return "x".join(str(width) for width in hidden) or "0"


@dataclass(frozen=True, eq=False)
class Policy:
    """A policy of any depth: latent real parameters, and the types that make integers of them."""

    spec: PolicySpec
    contract: Contract
    weights: tuple[NDArray[np.float32], ...]
    """Of each layer, shape (outputs, inputs)."""
    biases: tuple[NDArray[np.float32], ...]
    """Of each layer, shape (outputs,)."""

    @property
    def features(self) -> int:
        """Number of observation features."""
        return int(self.weights[0].shape[1])

    @property
    def outputs(self) -> int:
        """Number of logits, or of dimensions of a continuous action."""
        return int(self.weights[-1].shape[0])

    @property
    def network(self) -> IntegerNetwork:
        """The policy in integers: what every executor from here on computes.

        Raises:
            ProjectError: the policy has real-valued layers.
        """
        layers = []
        for types, weight, bias in zip(self.contract.layers, self.weights, self.biases, strict=True):
            if types.weight is None or types.bias is None or isinstance(types.activation, Real):
                raise ProjectError("this policy has real-valued layers; only quantised policies have integers")
            layers.append(Layer(
                types.weight.integers(weight), types.weight.lsb, types.bias.integers(bias), types.bias.lsb,
                types.activation,
            ))
        return IntegerNetwork(self.contract.observation, tuple(layers), self.contract.output)

    def save(self, path: Path) -> None:
        """Write the policy to ``path`` (safetensors)."""
        # One entry only: the library writes several in random order, and equal policies are to give equal bytes.
        header = {FORMAT: json.dumps({"spec": self.spec.to_json(), "contract": self.contract.to_json()})}
        arrays = {
            f"{name}{index}": np.ascontiguousarray(array, dtype=np.float32)
            for name, group in (("weight", self.weights), ("bias", self.biases)) for index, array in enumerate(group)
        }
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
            weights, biases = (
                tuple(file.get_tensor(f"{name}{index}") for index in range(len(contract.layers)))
                for name in ("weight", "bias")
            )
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ProjectError(f"{path}: not a whole policy file ({' '.join(str(error).split())}); {remedy}") from error
    policy = Policy(spec, contract, weights, biases)
    _check_shapes(policy, path)
    return policy


def _check_shapes(policy: Policy, path: Path) -> None:
    weights, biases = policy.weights, policy.biases
    consistent = (
        all(weight.ndim == 2 and bias.ndim == 1 and weight.size and len(weight) == len(bias)
            for weight, bias in zip(weights, biases, strict=True))
        and tuple(len(weight) for weight in weights[:-1]) == policy.spec.hidden
        and all(len(before) == after.shape[1] for before, after in itertools.pairwise(weights))
        and all(array.dtype == np.float32 and np.isfinite(array).all() for array in (*weights, *biases))
    )
    try:
        policy.contract.output.sizes(len(biases[-1]))
    except ValueError:
        consistent = False
    if not consistent:
        raise ProjectError(f"{path}: its arrays do not fit together; train the policy again")
