"""Policy → QONNX → plain ONNX, each checked against the float64 Brevitas policy before anything goes on."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

import onnx
import torch

from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations, require_equal_logits
from hls4rl.export.graph import read_network
from hls4rl.export.lowering import OPSET, lower
from hls4rl.export.model_file import Units, save_model
from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend
from hls4rl.export.qonnx_backend import QonnxBackend
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import Policy
from hls4rl.train.network import TorchBackend, load_network

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from brevitas.export import export_qonnx
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.cleanup import cleanup_model

QONNX_FILE = "policy.qonnx.onnx"
ONNX_FILE = "policy.onnx"


def export_policy(policy: Policy, directory: Path) -> None:
    """Write ``policy`` to ``directory`` as :data:`QONNX_FILE` and :data:`ONNX_FILE`, and check both.

    The same policy gives the same bytes. Both files' metadata name the policy and its units.

    Raises:
        ProjectError: the policy has real-valued layers, so that there are no integers to keep.
        MismatchError: an executor differs from the Brevitas policy.
    """
    if not policy.contract.is_integer:
        raise ProjectError("this policy has real-valued layers; only quantised policies can be exported")
    properties = _properties(policy)
    qonnx = _qonnx(policy)
    save_model(qonnx, directory / QONNX_FILE, properties)
    save_model(lower(qonnx), directory / ONNX_FILE, properties)
    check_export(policy, directory)


def check_export(policy: Policy, directory: Path) -> None:
    """Insist that what lies in ``directory`` gives ``policy``'s integers: corners and random observations.

    Raises:
        MismatchError: an executor differs; the message says which, and on how many observations.
        ProjectError: a file is missing or isn't one of ours.
    """
    others = (
        QonnxBackend(directory / QONNX_FILE),
        OnnxRuntimeBackend(directory / ONNX_FILE),
        IntegerBackend(read_network(directory / QONNX_FILE)),
    )
    require_equal_logits(TorchBackend(policy), others, check_observations(policy.contract.observation, policy.features))


def _qonnx(policy: Policy) -> onnx.ModelProto:
    network = load_network(policy).eval()
    with tempfile.TemporaryDirectory(prefix="hls4rl-") as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = str(Path(scratch) / "raw.onnx")
        # Opset 13 by torch's older exporter: what Brevitas' QONNX operators and hls4ml's parser are written for.
        export_qonnx(
            network, args=torch.zeros(1, policy.features), export_path=raw, dynamo=False, opset_version=OPSET
        )
        return cleanup_model(ModelWrapper(raw)).model


def _properties(policy: Policy) -> dict[str, str]:
    contract = policy.contract
    return {
        "spec": json.dumps(policy.spec.to_json()), "contract": json.dumps(contract.to_json()),
        **Units(contract.observation.lsb, contract.logit_lsb, contract.output).properties,
    }
