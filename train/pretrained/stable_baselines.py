"""stable-baselines3's zips: the tensors by ``weights_only``, the JSON without the pickles that it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.train.pretrained.archives import SAFE_FILE, arrays_of, read_state, read_zip
from hls4rl.train.pretrained.float_policy import CLIP, LOGITS, TANH, FloatPolicy
from hls4rl.train.pretrained.functions import function_name
from hls4rl.train.pretrained.sequences import chain

_HARMLESS = {
    "ortho_init", "log_std_init", "full_std", "use_expln", "squash_output", "features_extractor_class",
    "features_extractor_kwargs", "share_features_extractor", "normalize_images", "optimizer_class", "optimizer_kwargs",
    "net_arch", "activation_fn", "use_sde", "sde_net_arch", "clip_mean", "n_critics", "n_quantiles", "device",
    "with_bias", "top_quantiles_to_drop_per_net", "lr_schedule", "sde_sample_freq",
}
"""Arguments of a policy that are read here, or don't change what it decides."""
_EXTRACTORS = ("FlattenExtractor", "CombinedExtractor")


@dataclass(frozen=True)
class _Kind:
    """One family of policies: where its networks stand in the state dict."""

    module: str
    """Module that the policy's class is defined in."""
    layers: tuple[str, ...]
    """Beginnings of the names of its layers, one network after the other."""
    activation: str
    """Default of ``activation_fn``."""


_KINDS = (
    _Kind("stable_baselines3.common.policies", ("mlp_extractor.shared_net.", "mlp_extractor.policy_net.",
                                                "action_net."), "tanh"),
    _Kind("stable_baselines3.dqn.policies", ("q_net.q_net.",), "relu"),
    _Kind("stable_baselines3.sac.policies", ("actor.latent_pi.", "actor.mu."), "relu"),
    _Kind("stable_baselines3.td3.policies", ("actor.mu.",), "relu"),
    _Kind("sb3_contrib.ars.policies", ("action_net.",), "relu"),
    _Kind("sb3_contrib.tqc.policies", ("actor.latent_pi.", "actor.mu."), "relu"),
    _Kind("sb3_contrib.qrdqn.policies", ("quantile_net.quantile_net.",), "relu"),
)


def is_zip_of_sb3(entries: Collection[str]) -> bool:
    """Whether these entries of a zip are those of a saved algorithm."""
    return "data" in entries and "policy.pth" in entries


def read_sb3(data: bytes, where: str) -> FloatPolicy:
    """The greedy policy in the zip ``data`` that ``model.save`` wrote.

    Raises:
        ProjectError: something in it is of another kind; the message names it. Nothing in it has run.
    """
    entries = read_zip(data, where)
    settings = _settings(entries, where)
    return _policy(settings, arrays_of(read_state(entries["policy.pth"], f"{where}: policy.pth"), where), where)


def policy_of_model(model: Any) -> FloatPolicy:
    """The greedy policy of a live algorithm, which is described as its zip would be.

    Raises:
        ProjectError: as :func:`read_sb3`.
    """
    policy, space = model.policy, model.action_space
    described = {
        "policy_class": {
            "__module__": type(policy).__module__, "__init__": f"<function {type(policy).__name__}.__init__",
        },
        "policy_kwargs": {key: str(value) for key, value in (model.policy_kwargs or {}).items()},
        "use_sde": bool(getattr(model, "use_sde", False)),
        "action_space": {":type:": str(type(space)), "n": getattr(space, "n", None)},
    }
    found = _policy(described, arrays_of(policy.state_dict(), "save_policy"), "save_policy")
    if not hasattr(space, "low"):
        return found
    bounds = tuple(np.asarray(side, dtype=np.float64).reshape(-1) for side in (space.low, space.high))
    return replace(found, bounds=(bounds[0], bounds[1]))


def _policy(settings: dict[str, Any], arrays: dict[str, FloatArray], where: str) -> FloatPolicy:
    class_name, kind = _kind(settings, where)
    arguments = _arguments(settings, where)
    _require_plain(arrays, where)
    seen = _plain(settings.get("observation_space")) or {}
    if str(seen.get("dtype")) == "uint8" and len(seen.get("shape") or ()) == 3:
        raise ProjectError(f"{where}: observes images, which the library divides by 255; train it on a flattened Box")
    default = arguments.get("activation_fn")
    activation = kind.activation if default is None else function_name(str(default), where)
    weights, biases = chain(arrays, kind.layers, where)
    discrete = _space(settings, "action_space") != "Box"
    output, limit = LOGITS, np.inf
    if not discrete:
        output, limit = _squash(kind, class_name, settings, arguments, arrays)
    if "quantile_net" in kind.layers[0]:
        weights, biases = _mean_of_quantiles(weights, biases, settings, where)
    return FloatPolicy(
        f"stable-baselines3, {class_name}", weights, biases,
        (activation,) * (len(weights) - 1) + ("identity",), output, mean_limit=limit,
        bounds=None if discrete else _bounds(settings),
    )


def _settings(entries: dict[str, bytes], where: str) -> dict[str, Any]:
    try:
        settings = json.loads(entries["data"])
        if not isinstance(settings, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"{where}: its 'data' is not readable ({str(error)[:120]}); {SAFE_FILE}") from error
    return settings


def _plain(value: Any) -> Any:
    """A setting without the pickle that stands beside it."""
    return {key: item for key, item in value.items() if key != ":serialized:"} if isinstance(value, dict) else value


def _kind(settings: dict[str, Any], where: str) -> tuple[str, _Kind]:
    described = _plain(settings.get("policy_class")) or {}
    module = described.get("__module__", "") if isinstance(described, dict) else ""
    found = re.search(r"<function (\w+)\.__init__", str(described.get("__init__", ""))) if module else None
    kind = next((item for item in _KINDS if item.module == module), None)
    if kind is None:
        raise ProjectError(
            f"{where}: its policy's class is of {str(module)[:100] or 'nowhere'}, which is not known here; known are "
            f"the MlpPolicy of PPO, A2C, DQN, SAC, TD3, DDPG, TRPO, ARS, TQC and QRDQN; {SAFE_FILE}"
        )
    return (found[1] if found else module.split(".")[-2]), kind


def _arguments(settings: dict[str, Any], where: str) -> dict[str, Any]:
    arguments = {key: item for key, item in (_plain(settings.get("policy_kwargs")) or {}).items() if key != ":type:"}
    if unknown := sorted(set(arguments) - _HARMLESS):
        raise ProjectError(f"{where}: policy_kwargs has '{str(unknown[0])[:80]}', which is not known here; {SAFE_FILE}")
    extractor = str(arguments.get("features_extractor_class", _EXTRACTORS[0]))
    if not any(name in extractor for name in _EXTRACTORS):
        raise ProjectError(f"{where}: its features extractor is {extractor[:120]}; only flattening ones are supported: "
                           "train it with MlpPolicy")
    return arguments


def _require_plain(arrays: dict[str, FloatArray], where: str) -> None:
    if names := [name for name in arrays if "features_extractor." in name or ".cnn." in name]:
        raise ProjectError(f"{where}: has a features extractor with weights ({names[0][:80]}); train it with MlpPolicy")
    if names := [name for name in arrays if "lstm" in name]:
        raise ProjectError(f"{where}: is recurrent ({names[0][:80]}); only networks without memory are supported")


def _space(settings: dict[str, Any], key: str) -> str:
    text = str((_plain(settings.get(key)) or {}).get(":type:", ""))
    return text.strip("<>' ").rsplit(".", 1)[-1]


def _squash(
    kind: _Kind, class_name: str, settings: dict[str, Any], arguments: dict[str, Any], arrays: dict[str, FloatArray]
) -> tuple[str, float]:
    """How a Box' outputs become actions, and where a mean is cut before it is squashed."""
    if kind.module.endswith(("sac.policies", "tqc.policies")):
        # With gSDE a Hardtanh stands behind the mean, so that its layer is the first of a sequence.
        limit = float(arguments.get("clip_mean", 2.0)) if "actor.mu.0.weight" in arrays else np.inf
        return TANH, limit if limit > 0 else np.inf
    if kind.module.endswith("td3.policies"):
        return TANH, np.inf
    if kind.module.endswith("ars.policies"):
        squashed = _true(arguments.get("squash_output", class_name != "ARSLinearPolicy"))
        return TANH if squashed else CLIP, np.inf
    squashed = _true(arguments.get("squash_output", False)) and settings.get("use_sde", False)
    return TANH if squashed else CLIP, np.inf


def _true(value: Any) -> bool:
    return value is True or value == "True"


def _bounds(settings: dict[str, Any]) -> tuple[FloatArray, FloatArray] | None:
    """Low and high of the Box, where they are written out: NumPy's text of a long array has dots in it."""
    space = _plain(settings.get("action_space")) or {}
    found = []
    for key in ("low", "high"):
        text = str(space.get(key, ""))
        if not re.fullmatch(r"[\[\]\s\d.eE+,-]+", text) or "..." in text:
            return None
        try:
            found.append(np.array([float(word) for word in re.split(r"[\s,\[\]]+", text) if word]))
        except ValueError:
            return None
    return found[0], found[1]


def _mean_of_quantiles(
    weights: tuple[FloatArray, ...], biases: tuple[FloatArray, ...], settings: dict[str, Any], where: str
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """QRDQN decides by the mean of an action's quantiles: the mean of their rows. Quantiles come first there."""
    actions = (_plain(settings.get("action_space")) or {}).get("n")
    if not str(actions).isdecimal() or len(biases[-1]) % max(1, int(str(actions))):
        raise ProjectError(f"{where}: its number of quantiles is not whole; {SAFE_FILE}")
    weight = weights[-1].reshape(-1, int(str(actions)), weights[-1].shape[1]).mean(axis=0)
    return (*weights[:-1], weight), (*biases[:-1], biases[-1].reshape(-1, int(str(actions))).mean(axis=0))
