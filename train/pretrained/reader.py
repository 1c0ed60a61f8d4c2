"""A policy's file of whatever library, by what is in it and not by its name; nothing in it runs."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, deserialize

from hls4rl.errors import ProjectError
from hls4rl.task import Source
from hls4rl.train.pretrained.archives import SAFE_FILE, read_bytes
from hls4rl.train.pretrained.float_policy import FloatPolicy
from hls4rl.train.pretrained.normalisers import read_normaliser
from hls4rl.train.pretrained.saved import read_saved
from hls4rl.train.pretrained.sequences import read_arrays, read_state_dict
from hls4rl.train.pretrained.stable_baselines import is_zip_of_sb3, read_sb3


def read_source(source: Source) -> FloatPolicy:
    """The policy that ``source`` names, behind its normaliser.

    Raises:
        ProjectError: a file isn't there, can't be read without running what is in it, or says too little.
    """
    path = Path(source.policy)
    policy = _read(path, read_bytes(path, "policy"), source)
    if not source.normaliser:
        return policy
    normaliser = read_normaliser(Path(source.normaliser))
    if policy.normaliser is not None and normaliser is not None:
        raise ProjectError(f"{path}: has a normaliser of its own; leave NORMALISER={source.normaliser} out")
    return policy if normaliser is None else replace(policy, normaliser=normaliser)


def _read(path: Path, data: bytes, source: Source) -> FloatPolicy:
    where, activation, squash = str(path), source.activation or None, source.squash or None
    if path.suffix == ".onnx":
        from hls4rl.train.pretrained.onnx_chain import read_onnx_chain

        return read_onnx_chain(path, squash)
    if zipfile.is_zipfile(io.BytesIO(data)):
        return _zip(data, where, activation, squash)
    if data[:1] == b"\x80":  # a pickle, as torch wrote them before 1.6
        return read_state_dict(data, where, activation, squash)
    if data[8:9] == b"{":
        return _safetensors(data, where, activation, squash)
    raise ProjectError(
        f"{where}: not a policy's file; known are the zips of stable-baselines3, what torch.save wrote, safetensors, "
        f"and ONNX (*.onnx); or {SAFE_FILE}"
    )


def _zip(data: bytes, where: str, activation: str | None, squash: str | None) -> FloatPolicy:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
    if is_zip_of_sb3(names):
        return read_sb3(data, where)
    if any("/code/" in name or name.endswith("constants.pkl") for name in names):
        raise ProjectError(
            f"{where}: is TorchScript, a program, which is not run here; save its weights where it was made: "
            'torch.save(torch.jit.load("policy.pt").state_dict(), "policy.pth"), and give ACTIVATION=tanh (or what '
            "stands between its layers)"
        )
    return read_state_dict(data, where, activation, squash)


def _safetensors(data: bytes, where: str, activation: str | None, squash: str | None) -> FloatPolicy:
    try:
        header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
        metadata = header.get("__metadata__", {})
        tensors = deserialize(data)  # type: ignore[no-untyped-call]
        if not isinstance(metadata, dict):
            raise ValueError("its metadata is no table")
        return read_saved(metadata, tensors, where) or read_arrays(tensors, where, activation, squash)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProjectError(
            f"{where}: not a whole safetensors file ({' '.join(str(error).split())[:160]}); {SAFE_FILE}"
        ) from error
