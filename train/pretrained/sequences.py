"""Chains of linear layers out of the names of a state dict, and the state dicts that people save."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.train.pretrained.archives import SAFE_FILE, arrays_of, read_state, tensor_arrays
from hls4rl.train.pretrained.float_policy import CLIP, LOGITS, TANH, FloatPolicy
from hls4rl.train.pretrained.functions import function_name

Layers = tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]
"""Weights and biases."""


def chain(arrays: dict[str, FloatArray], prefixes: Sequence[str], where: str) -> Layers:
    """The linear layers whose names begin with each of ``prefixes`` in turn, in the order of their numbers.

    A layer is called ``<prefix><number>.weight`` (and ``.bias``), or ``<prefix>weight``; other arrays are not looked
    at, but a name below a prefix that isn't a linear layer's is refused.

    Raises:
        ProjectError: there is none, or something else stands between them; the message names it.
    """
    weights: list[FloatArray] = []
    biases: list[FloatArray] = []
    for prefix in prefixes:
        numbers = set()
        for name, array in arrays.items():
            if not name.startswith(prefix):
                continue
            found = re.fullmatch(r"(?:(\d{1,6})\.)?(weight|bias)", name[len(prefix):])
            if found is None or array.ndim != (2 if found[2] == "weight" else 1):
                raise ProjectError(f"{where}: '{name[:80]}', shape {array.shape}, does not belong to a linear layer; "
                                   f"{SAFE_FILE}")
            numbers.add(-1 if found[1] is None else int(found[1]))
        for number in sorted(numbers):
            stem = prefix if number < 0 else f"{prefix}{number}."
            weight = arrays.get(f"{stem}weight")
            if weight is None:
                raise ProjectError(f"{where}: '{stem[:80]}bias' has no weight beside it; {SAFE_FILE}")
            weights.append(weight)
            biases.append(arrays.get(f"{stem}bias", np.zeros(len(weight))))
    if not weights:
        raise ProjectError(f"{where}: has no layers called '{prefixes[-1]}…'; {SAFE_FILE}")
    for before, after in itertools.pairwise(weights):
        if len(before) != after.shape[1]:
            raise ProjectError(f"{where}: after a layer of {len(before)} outputs comes one of {after.shape[1]} inputs; "
                               f"{SAFE_FILE}")
    return tuple(weights), tuple(biases)


def read_state_dict(data: bytes, where: str, activation: str | None, squash: str | None) -> FloatPolicy:
    """A checkpoint of tensors: one of CleanRL's, or a plain state dict.

    Args:
        activation: of the hidden layers, for state dicts, which don't say it.
        squash: ``clip`` or ``tanh``, what becomes of a plain network's continuous outputs; None: they are logits.

    Raises:
        ProjectError: it is neither, or the activation isn't known.
    """
    state = read_state(data, where)
    if isinstance(state, tuple | list) and state:  # CleanRL's SAC, TD3 and DDPG: the actor is the first
        state = state[0]
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    return _of_arrays(arrays_of(state, where), where, activation, squash)


def read_arrays(
    tensors: list[tuple[str, Mapping[str, Any]]], where: str, activation: str | None, squash: str | None
) -> FloatPolicy:
    """The same of a safetensors file's arrays."""
    return _of_arrays(tensor_arrays(tensors), where, activation, squash)


def _of_arrays(
    arrays: dict[str, FloatArray], where: str, activation: str | None, squash: str | None
) -> FloatPolicy:
    found = _cleanrl(arrays, where)
    if found is None:
        return _plain(arrays, where, activation, squash)
    if activation is not None or squash is not None:
        raise ProjectError(f"{where}: is a checkpoint of {found.source}, which says all of it; leave ACTIVATION and "
                           "SQUASH out")
    return found


def _cleanrl(arrays: dict[str, FloatArray], where: str) -> FloatPolicy | None:
    """An agent of CleanRL's, told by the names of its networks; its scripts say the rest."""
    if "actor_mean.0.weight" in arrays and "actor_logstd" in arrays:
        return _policy("CleanRL, PPO, continuous", chain(arrays, ("actor_mean.",), where), "tanh", CLIP)
    if {len(arrays.get(f"network.{number}.bias", ())) for number in (0, 2)} == {120, 84}:
        return _policy("CleanRL, DQN", chain(arrays, ("network.",), where), "relu", LOGITS)
    mean = "fc_mean." if "fc_mean.weight" in arrays else "fc_mu."
    if "fc1.weight" not in arrays or f"{mean}weight" not in arrays or "action_scale" not in arrays:
        return None
    scale, bias = arrays["action_scale"].reshape(-1), arrays["action_bias"].reshape(-1)
    policy = _policy("CleanRL, SAC" if mean == "fc_mean." else "CleanRL, TD3 or DDPG",
                     chain(arrays, ("fc1.", "fc2.", mean), where), "relu", TANH)
    low, high = (np.broadcast_to(side, (policy.outputs,)) for side in (bias - scale, bias + scale))
    return replace(policy, bounds=(low, high))


def _plain(arrays: dict[str, FloatArray], where: str, activation: str | None, squash: str | None) -> FloatPolicy:
    names = [name for name in arrays if name.endswith("weight")]
    prefixes = sorted({re.sub(r"(\d+\.)?weight$", "", name) for name in names})
    if prefixes == ["actor.", "critic."]:  # of which the second only values
        prefixes = ["actor."]
    if len(prefixes) != 1:
        raise ProjectError(f"{where}: a state dict with the networks {', '.join(prefixes)[:200] or 'none'}; which of "
                           f"them make the policy, it doesn't say; {SAFE_FILE}")
    layers = chain(arrays, prefixes, where)
    if activation is None and len(layers[0]) > 1:
        raise ProjectError(f"{where}: a state dict doesn't say what stands between its layers; add ACTIVATION=tanh (as "
                           f"CleanRL's PPO has), relu, …, or {SAFE_FILE}")
    if squash not in (None, CLIP, TANH):
        raise ProjectError(f"SQUASH={squash} is not known; give {CLIP} or {TANH}")
    name = "identity" if activation is None else function_name(activation, "ACTIVATION")
    return _policy("PyTorch, state dict", layers, name, squash or LOGITS)


def _policy(source: str, layers: Layers, activation: str, output: str) -> FloatPolicy:
    weights, biases = layers
    activations = (activation,) * (len(weights) - 1) + ("identity",)
    return FloatPolicy(source, weights, biases, activations, output)
