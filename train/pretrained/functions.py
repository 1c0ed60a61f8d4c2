"""Activation functions by name, as the libraries name them: in NumPy, for real numbers and for exact tables of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from hls4rl.contract import FloatArray
from hls4rl.errors import ProjectError

Function = Callable[[FloatArray], FloatArray]

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def _elu(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, np.expm1(np.minimum(values, 0)))


def _expit(values: FloatArray) -> FloatArray:
    return np.asarray(0.5 + 0.5 * np.tanh(values / 2))


def _erf(values: FloatArray) -> FloatArray:
    return np.array([math.erf(value) for value in values.reshape(-1)]).reshape(values.shape)


def _softplus(values: FloatArray) -> FloatArray:
    return np.logaddexp(values, 0.0)


FUNCTIONS: dict[str, Function] = {
    "identity": lambda values: values,
    "relu": lambda values: np.maximum(values, 0.0),
    "tanh": np.tanh,
    "hard-tanh": lambda values: np.clip(values, -1.0, 1.0),
    "sigmoid": _expit,
    "elu": _elu,
    "selu": lambda values: _SELU_SCALE * np.where(values > 0, values, _SELU_ALPHA * np.expm1(np.minimum(values, 0))),
    "leaky-relu": lambda values: np.where(values > 0, values, 0.01 * values),
    "relu6": lambda values: np.clip(values, 0.0, 6.0),
    "silu": lambda values: values * _expit(values),
    "gelu": lambda values: values * 0.5 * (1.0 + _erf(values / np.sqrt(2.0))),
    "mish": lambda values: values * np.tanh(_softplus(values)),
    "softplus": _softplus,
    "softsign": lambda values: values / (1.0 + np.abs(values)),
}
"""By the project's own name; each is PyTorch's function of that name with its default parameters."""

_SPELLINGS = {re.sub("[^a-z0-9]", "", name): name for name in FUNCTIONS} | {"swish": "silu", "clip": "hard-tanh"}


def function_name(text: str, where: str) -> str:
    """The name in :data:`FUNCTIONS` of what a library calls ``text``, as ``Tanh`` or ``<class 'torch.nn…LeakyReLU'>``.

    Raises:
        ProjectError: there is none; the message begins with ``where``.
    """
    word = text.strip("<>' ").rsplit(".", 1)[-1]
    name = _SPELLINGS.get(re.sub("[^a-z0-9]", "", word.lower()))
    if name is None:
        raise ProjectError(f"{where}: the activation {text[:80]} is not known here; known are {', '.join(FUNCTIONS)}")
    return name
