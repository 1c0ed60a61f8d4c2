"""Normalisers of observations: VecNormalize's pickle, Gymnasium's running statistics, or plain numbers in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError
from hls4rl.train.pretrained.archives import Inert, read_bytes, read_pickle
from hls4rl.train.pretrained.float_policy import Normaliser

ALLOWED = (
    "stable_baselines3.common.vec_env.vec_normalize.VecNormalize",
    "stable_baselines3.common.running_mean_std.RunningMeanStd",
    "gymnasium.wrappers.utils.RunningMeanStd", "gymnasium.wrappers.normalize.RunningMeanStd",
    "gym.wrappers.normalize.RunningMeanStd",
    "gym.spaces.", "gymnasium.spaces.", "numpy.random.", "collections.OrderedDict", "_codecs.encode",
    "numpy.dtype", "numpy.ndarray", "numpy.float64", "numpy.float32",
    *(f"numpy.{core}.{name}" for core in ("core", "_core")
      for name in ("multiarray._reconstruct", "multiarray.scalar", "numeric._frombuffer")),
)
"""Names that a normaliser's pickle may ask for; none of them is looked up."""
_EPSILON = 1e-8
_REMEDY = ('write {"mean": […], "var": […], "epsilon": 1e-8, "clip": 10} to a file and give that as NORMALISER '
           "(VecNormalize: obs_rms.mean, obs_rms.var, epsilon, clip_obs)")


def read_normaliser(path: Path) -> Normaliser | None:
    """The normaliser of observations in ``path``; None where it says that observations are not normalised.

    Args:
        path: a pickle of stable-baselines3's VecNormalize or of a RunningMeanStd, or a JSON object with ``mean``,
            ``var``, and perhaps ``epsilon`` and ``clip``.

    Raises:
        ProjectError: anything else; nothing in it has run.
    """
    data, where = read_bytes(path, "normaliser (vecnormalize.pkl, or JSON)"), str(path)
    if path.suffix == ".json":
        return _of_json(data, where)
    found = read_pickle(data, ALLOWED, where)
    kind = found.name.rsplit(".", 1)[-1] if isinstance(found, Inert) else type(found).__name__
    if kind == "RunningMeanStd":
        return _made(*_statistics(found, where), _EPSILON, np.inf, where)
    if kind != "VecNormalize":
        raise ProjectError(f"{where}: holds a {kind[:80]}, and no VecNormalize; {_REMEDY}")
    if found.field("norm_obs") is False:
        return None
    statistics = found.field("obs_rms")
    if isinstance(statistics, dict):
        keys = _normalised_keys(found, statistics, where)
        members = [_statistics(statistics[key], where) for key in keys]
        mean, variance = (np.concatenate([member[side].reshape(-1) for member in members]) for side in (0, 1))
    else:
        mean, variance = _statistics(statistics, where)
    return _made(mean, variance, _number(found.field("epsilon"), where), _number(found.field("clip_obs"), where), where)


def _normalised_keys(found: Inert, statistics: dict[Any, Any], where: str) -> list[Any]:
    keys = sorted(statistics)  # as Gymnasium sorts a Dict's members
    spaces = found.field("observation_space")
    members = spaces.field("spaces") if isinstance(spaces, Inert) else None
    names = sorted(members.items if isinstance(members, Inert) else members) if members else keys
    if names != keys:
        raise ProjectError(f"{where}: normalises {keys} of a Dict with {names} only; {_REMEDY}")
    return keys


def _statistics(found: Any, where: str) -> tuple[FloatArray, FloatArray]:
    values = [found.field(name) if isinstance(found, Inert) else None for name in ("mean", "var")]
    arrays = [value.array() if isinstance(value, Inert) else None for value in values]
    if arrays[0] is None or arrays[1] is None:
        raise ProjectError(f"{where}: has no mean and variance of observations; {_REMEDY}")
    return arrays[0], arrays[1]


def _number(value: Any, where: str) -> float:
    array = value.array() if isinstance(value, Inert) else value
    if isinstance(array, int | float | np.ndarray) and np.size(array) == 1:
        return float(array)
    raise ProjectError(f"{where}: its epsilon or clip_obs is no number; {_REMEDY}")


def _of_json(data: bytes, where: str) -> Normaliser:
    try:
        found = json.loads(data)
        mean, variance = (np.array(found[key], dtype=np.float64) for key in ("mean", "var"))
        clip = found.get("clip")
        epsilon, limit = float(found.get("epsilon", _EPSILON)), np.inf if clip is None else float(clip)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProjectError(f"{where}: not readable ({' '.join(str(error).split())[:160]}); {_REMEDY}") from error
    return _made(mean, variance, epsilon, limit, where)


def _made(mean: FloatArray, variance: FloatArray, epsilon: float, limit: float, where: str) -> Normaliser:
    try:
        with np.errstate(invalid="ignore"):
            return Normaliser(mean.reshape(-1), np.sqrt(variance.reshape(-1) + epsilon), limit)
    except ValueError as error:
        raise ProjectError(f"{where}: {error}; {_REMEDY}") from error
