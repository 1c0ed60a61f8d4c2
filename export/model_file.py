"""How models lie on disk: the same policy always gives the same bytes, and each file says its units."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from hls4rl.contract import ONE_CHOICE, Output, describe, read_output
from hls4rl.errors import ProjectError

MAXIMUM_BYTES = 1 << 28
_WHOLE_BYTES = (
    onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.INT8,
    onnx.TensorProto.UINT8, onnx.TensorProto.INT16, onnx.TensorProto.UINT16, onnx.TensorProto.INT32,
    onnx.TensorProto.INT64,
)


@dataclass(frozen=True)
class Units:
    """What one unit of a backend's integers is worth."""

    observation_lsb: float
    logit_lsb: float
    output: Output = ONE_CHOICE
    """How the action is read off the outputs."""

    @property
    def properties(self) -> dict[str, str]:
        """What :func:`units` reads back, for :func:`save_model`."""
        return {
            "observation_lsb": repr(float(self.observation_lsb)), "logit_lsb": repr(float(self.logit_lsb)),
            "output": json.dumps(describe(self.output)),
        }


def save_model(model: onnx.ModelProto, path: Path, properties: dict[str, str]) -> None:
    """Write ``model`` with ``properties`` as its metadata, byte for byte reproducibly."""
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(sorted(properties.items())))
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""  # torch writes the exporting machine's source paths here
    for field in (model.graph.initializer, model.graph.value_info):
        ordered = sorted(field, key=lambda item: str(item.name))
        del field[:]
        field.extend(ordered)
    path.write_bytes(model.SerializeToString(deterministic=True))


def load_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX or QONNX file.

    Raises:
        ProjectError: the file is missing, too large, cut short or no ONNX file.
    """
    if not path.is_file():
        raise ProjectError(f"{path}: no such file; export the policy first")
    if path.stat().st_size > MAXIMUM_BYTES:
        raise ProjectError(f"{path}: larger than {MAXIMUM_BYTES} bytes; this is none of our models")
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ProjectError(f"{path}: not a whole ONNX file; export the policy again") from error
    _take_in(model, path)
    if not model.graph.node:
        raise ProjectError(f"{path}: an ONNX file without a graph; export the policy again")
    return model


def model_digest(path: Path) -> str:
    """SHA-256 of a model, the files that hold its weights included.

    Raises:
        ProjectError: see :func:`load_model`.
    """
    return hashlib.sha256(load_model(path).SerializeToString(deterministic=True)).hexdigest()


def _take_in(model: onnx.ModelProto, path: Path) -> None:
    """Read the tensors that lie in other files; those must lie in the model's own folder."""
    inside = [item.t for node in model.graph.node for item in node.attribute if item.HasField("t")]
    for tensor in (*model.graph.initializer, *inside):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        values = {item.key: item.value for item in tensor.external_data}
        folder = path.resolve().parent
        place = (folder / values.get("location", "")).resolve()
        if folder not in place.parents:
            raise ProjectError(f"{path}: tensor '{tensor.name}' lies in '{values.get('location', '')}', outside the "
                               "model's folder; save the model as one file")
        if not place.is_file():
            raise ProjectError(f"{path}: the weights lie in {place.name}, which is missing; put it beside the model")
        try:
            offset, length = int(values.get("offset", "0")), int(values.get("length", str(place.stat().st_size)))
        except ValueError as error:
            raise ProjectError(f"{path}: tensor '{tensor.name}' has no place in {place.name}; export it") from error
        if offset < 0 or not 0 <= length <= MAXIMUM_BYTES or offset + length > place.stat().st_size:
            raise ProjectError(f"{place}: too short for tensor '{tensor.name}'; it belongs to another export")
        with place.open("rb") as file:
            file.seek(offset)
            tensor.raw_data = file.read(length)
        del tensor.external_data[:]
        tensor.data_location = onnx.TensorProto.DEFAULT
        size = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize * math.prod(tensor.dims)
        if tensor.data_type in _WHOLE_BYTES and len(tensor.raw_data) != size:
            raise ProjectError(f"{place}: tensor '{tensor.name}' has {size} bytes, not {length}; export it again")


def units(model: onnx.ModelProto, path: Path) -> Units:
    """The units that :func:`save_model`'s caller wrote into ``model``'s metadata.

    Raises:
        ProjectError: there are none; the file isn't ours.
    """
    properties = {item.key: item.value for item in model.metadata_props}
    try:
        return Units(float(properties["observation_lsb"]), float(properties["logit_lsb"]), output_of(model))
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(f"{path}: says nothing about its units; export the policy with hls4rl") from error


def output_of(model: onnx.ModelProto) -> Output:
    """How the action is read off ``model``'s outputs; where it doesn't say, they are logits of one choice.

    Raises:
        KeyError, TypeError, ValueError: it says something else.
    """
    texts = [item.value for item in model.metadata_props if item.key == "output"]
    return read_output(json.loads(texts[0])) if texts else ONE_CHOICE
