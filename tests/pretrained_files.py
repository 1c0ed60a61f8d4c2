"""Files as the libraries write them, small and made by hand: what the tests of imported policies read."""

from __future__ import annotations

import base64
import io
import itertools
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

MARK = "ran.txt"
"""What hostile files leave behind if they run."""


class Hostile:
    """Unpickled, it writes a file."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> Any:
        return exec, (f"open({str(self._place / MARK)!r}, 'w').write('x')",)


def network(sizes: list[int], activation: type[nn.Module] = nn.Tanh, seed: int = 0) -> nn.Sequential:
    """A random network."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers[:-1])


def state_bytes(state: Any) -> bytes:
    """What ``torch.save`` writes."""
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def write_sb3(
    path: Path, module: str, class_name: str, state: dict[str, torch.Tensor], action: dict[str, Any],
    kwargs: dict[str, Any] | None = None, **more: Any,
) -> Path:
    """stable-baselines3's zip: the JSON with a hostile pickle in every place that has one, and the tensors."""
    evil = base64.b64encode(pickle.dumps(Hostile(path.parent))).decode()
    data = {
        "policy_class": {":type:": "<class 'abc.ABCMeta'>", ":serialized:": evil, "__module__": module,
                         "__init__": f"<function {class_name}.__init__ at 0x7f>"},
        "policy_kwargs": {":type:": "<class 'dict'>", ":serialized:": evil, **(kwargs or {})},
        "action_space": {":serialized:": evil, **action}, "use_sde": False, "learning_rate": {":serialized:": evil},
        **more,
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", state_bytes(state))
        archive.writestr("_stable_baselines3_version", "2.9.2")
    return path


def named(model: nn.Sequential, *places: tuple[str, slice]) -> dict[str, torch.Tensor]:
    """The state dict of ``model`` whose parts are called so."""
    found = {}
    for prefix, part in places:
        layers = list(model.children())[part]
        if len(layers) == 1:
            found |= {f"{prefix}.{name}": value for name, value in layers[0].state_dict().items()}
        for index, layer in enumerate(layers if len(layers) > 1 else []):
            found |= {f"{prefix}.{index}.{name}": value for name, value in layer.state_dict().items()}
    return found


def outputs(model: nn.Module, observations: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """PyTorch's own answer."""
    with torch.no_grad():
        answer: np.ndarray[Any, Any] = model(torch.from_numpy(observations.astype(np.float32))).numpy()
    return answer


BOX = {":type:": "<class 'gymnasium.spaces.box.Box'>", "low": "[-2.]", "high": "[2.]"}
DISCRETE = {":type:": "<class 'gymnasium.spaces.discrete.Discrete'>", "n": "2"}
