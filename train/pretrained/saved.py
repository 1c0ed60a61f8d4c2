"""A float policy in a file that holds arrays and text only: what users write where their policy was trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from hls4rl.errors import ProjectError
from hls4rl.train.pretrained.archives import SAFE_FILE, arrays_of, tensor_arrays
from hls4rl.train.pretrained.float_policy import CLIP, LOGITS, TANH, FloatPolicy, Normaliser
from hls4rl.train.pretrained.functions import function_name

FORMAT = "hls4rl-float-policy-1"


def save_policy(model: Any, path: str | Path, normaliser: Any = None, output: str | None = None) -> None:
    """Write ``model``'s greedy policy to ``path`` (safetensors), from where ``POLICY=`` reads it.

    To be called where the policy was trained: it works on the live object, and reads no file.

    Args:
        model: a stable-baselines3 algorithm, or a ``torch.nn.Sequential`` of Linear layers and activations.
        path: of the new file.
        normaliser: a ``VecNormalize``, or anything with ``mean``, ``var`` and perhaps ``epsilon``; None for none.
        output: of a Sequential: ``logits`` (also Q values), or what becomes of continuous outputs, ``clip`` or
            ``tanh``; None: logits.

    Raises:
        ProjectError: the model has something else in it; the message names it.
    """
    policy = _of_model(model, output)
    found = policy.normaliser if normaliser is None else _normaliser_of(normaliser)
    Path(path).write_bytes(to_bytes(policy, found))


def to_bytes(policy: FloatPolicy, normaliser: Normaliser | None) -> bytes:
    """The content of the file."""
    arrays = {f"weight{index}": weight for index, weight in enumerate(policy.weights)}
    arrays |= {f"bias{index}": bias for index, bias in enumerate(policy.biases)}
    if normaliser is not None:
        arrays |= {"mean": normaliser.mean, "deviation": normaliser.deviation}
    if policy.bounds is not None:
        arrays |= {"low": policy.bounds[0], "high": policy.bounds[1]}
    header = {
        "source": policy.source, "activations": list(policy.activations), "output": policy.output,
        "mean_limit": _text(policy.mean_limit), "limit": _text(np.inf if normaliser is None else normaliser.limit),
    }
    return save({name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()},
                {FORMAT: json.dumps(header)})


def read_saved(
    metadata: Mapping[str, str], tensors: list[tuple[str, Mapping[str, Any]]], where: str
) -> FloatPolicy | None:
    """What :func:`save_policy` wrote; None where it is another safetensors file.

    Raises:
        ProjectError, ValueError, KeyError, TypeError, AttributeError: it isn't whole.
    """
    if FORMAT not in metadata:
        return None
    header, arrays = json.loads(metadata[FORMAT]), tensor_arrays(tensors)
    names = [function_name(str(name), where) for name in header["activations"]]
    if header["output"] not in (LOGITS, CLIP, TANH):
        raise ProjectError(f"{where}: its output is {str(header['output'])[:80]!r}; save it again with save_policy")
    normaliser = Normaliser(arrays["mean"], arrays["deviation"], float(header["limit"])) if "mean" in arrays else None
    return FloatPolicy(
        str(header["source"])[:200], tuple(arrays[f"weight{index}"] for index in range(len(names))),
        tuple(arrays[f"bias{index}"] for index in range(len(names))), tuple(names), header["output"], normaliser,
        float(header["mean_limit"]), (arrays["low"], arrays["high"]) if "low" in arrays else None,
    )


def _text(value: float) -> str:
    return repr(float(value))


def _of_model(model: Any, output: str | None) -> FloatPolicy:
    if hasattr(model, "policy") and hasattr(model, "action_space"):
        from hls4rl.train.pretrained.stable_baselines import policy_of_model

        return policy_of_model(model)
    if hasattr(model, "children") and hasattr(model, "state_dict"):
        return _of_sequence(model, output or LOGITS)
    raise ProjectError(f"a {type(model).__name__} is no model of stable-baselines3, and no torch.nn.Sequential")


def _of_sequence(model: Any, output: str) -> FloatPolicy:
    from torch import nn

    weights, biases, activations, source = [], [], [], f"PyTorch, {type(model).__name__}"
    for layer in _flat(model):
        if isinstance(layer, nn.Linear):
            weights.append(layer.weight)
            biases.append(layer.bias)
            activations.append("identity")
        elif not isinstance(layer, nn.Identity | nn.Flatten | nn.Dropout):
            if not activations or activations[-1] != "identity":
                raise ProjectError(f"save_policy: {layer} does not follow a Linear layer")
            activations[-1] = function_name(type(layer).__name__, "save_policy")
    state = {f"{index}": weight for index, weight in enumerate(weights)}
    state |= {f"b{index}": bias for index, bias in enumerate(biases) if bias is not None}
    arrays = arrays_of(state, "save_policy")
    matrices = tuple(arrays[f"{index}"] for index in range(len(weights)))
    vectors = tuple(arrays.get(f"b{index}", np.zeros(len(matrix))) for index, matrix in enumerate(matrices))
    if not matrices:
        raise ProjectError(f"save_policy: {source} has no Linear layer")
    if output not in (LOGITS, CLIP, TANH):
        raise ProjectError(f"save_policy: output is {output!r}; give {LOGITS}, {CLIP} or {TANH}")
    return FloatPolicy(source, matrices, vectors, tuple(activations), output)


def _flat(model: Any) -> list[Any]:
    from torch import nn

    if not isinstance(model, nn.Sequential):
        return [model]
    return [layer for child in model for layer in _flat(child)]


def _normaliser_of(found: Any) -> Normaliser:
    statistics = getattr(found, "obs_rms", found)
    if not hasattr(statistics, "mean") or not hasattr(statistics, "var"):
        raise ProjectError(f"save_policy: a {type(found).__name__} has no mean and var; {SAFE_FILE}")
    epsilon = float(getattr(found, "epsilon", 1e-8))
    mean, variance = (np.asarray(getattr(statistics, key), dtype=np.float64).reshape(-1) for key in ("mean", "var"))
    return Normaliser(mean, np.sqrt(variance + epsilon), float(getattr(found, "clip_obs", np.inf)))
