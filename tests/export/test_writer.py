from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from random_policies import DESIGNS, random_policy

from hls4rl.contract import FixedPoint
from hls4rl.errors import ProjectError
from hls4rl.export import MismatchError, OnnxRuntimeBackend, QonnxBackend, export_policy
from hls4rl.export.check import check_observations, corner_observations
from hls4rl.export.writer import ONNX_FILE, QONNX_FILE, check_export
from hls4rl.task import load_task
from hls4rl.train.methods.base import real_contract
from hls4rl.train.network import TorchBackend


@pytest.mark.parametrize(("task", "method", "bits"), DESIGNS)
def test_each_stage_gives_the_reference_integers(task: str, method: str, bits: int, tmp_path: Path) -> None:
    policy = random_policy(task, method, bits)
    export_policy(policy, tmp_path)
    observations = check_observations(policy.contract.observation, policy.features, seed=5)
    expected = TorchBackend(policy).infer(observations)
    assert expected.logits is not None
    assert len(np.unique(expected.actions)) > 1
    for backend in (QonnxBackend(tmp_path / QONNX_FILE), OnnxRuntimeBackend(tmp_path / ONNX_FILE)):
        answer = backend.infer(observations)
        assert np.array_equal(answer.logits, expected.logits), backend.name
        assert np.array_equal(answer.actions, expected.actions), backend.name


def test_sixteen_bits_need_more_than_float32(tmp_path: Path) -> None:
    # Why the backends run in float64: the same graph, run as QONNX's own executor does, isn't exact.
    policy = random_policy("acrobot", "fp", 16, hidden=64)
    export_policy(policy, tmp_path)
    rows = check_observations(policy.contract.observation, policy.features)[:200]
    assert not np.array_equal(own_executor(tmp_path / QONNX_FILE, rows), TorchBackend(policy).infer(rows).logits)


@pytest.mark.parametrize("method", ["fp", "binaryconnect", "binarynet"])
def test_qonnx_own_executor_agrees_at_eight_bits(method: str, tmp_path: Path) -> None:
    policy = random_policy("cartpole", method)
    export_policy(policy, tmp_path)
    rows = check_observations(policy.contract.observation, policy.features)[:40]
    ours = QonnxBackend(tmp_path / QONNX_FILE).infer(rows).logits
    assert np.array_equal(own_executor(tmp_path / QONNX_FILE, rows), ours)


def own_executor(path: Path, rows: np.ndarray) -> np.ndarray:
    model = ModelWrapper(str(path))
    units = {item.key: item.value for item in model.model.metadata_props}
    inputs = (rows * float(units["observation_lsb"])).astype(np.float32)
    answers = [execute_onnx(model, {"global_in": row[None]})["global_out"] for row in inputs]
    return np.concatenate(answers).astype(np.float64) / float(units["logit_lsb"])


def test_plain_onnx_has_standard_operators_only(tmp_path: Path) -> None:
    for method in ("fp", "binarynet"):
        export_policy(random_policy("cartpole", method), tmp_path)
        model = onnx.load(tmp_path / ONNX_FILE)
        onnx.checker.check_model(model, full_check=True)
        assert {item.domain for item in model.opset_import} == {""}


def test_the_command_gives_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    policy = random_policy("cartpole", "fp")
    policy.save(tmp_path / "policy.safetensors")
    export_policy(policy, tmp_path)
    files = [str(tmp_path / "policy.safetensors"), "--output", str(tmp_path / "out")]
    command = [sys.executable, "-m", "hls4rl", "export", *files]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "metadata.json")
    for name in (QONNX_FILE, ONNX_FILE):
        assert (tmp_path / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        assert str(Path.cwd()).encode() not in (tmp_path / name).read_bytes()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    refused = subprocess.run([*command[:-1], str(tmp_path / "mine")], capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "other files" in refused.stderr
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.parametrize(("file", "executor"), [(QONNX_FILE, "qonnx"), (ONNX_FILE, "onnxruntime")])
@pytest.mark.parametrize("method", ["fp", "binarynet"])
def test_one_flipped_weight_is_caught(method: str, file: str, executor: str, tmp_path: Path) -> None:
    policy = random_policy("cartpole", method)
    export_policy(policy, tmp_path)
    flip_last_weight(tmp_path / file)
    with pytest.raises(MismatchError, match=rf"^{executor} differs from torch on \d+ of 2\d+ observations"):
        check_export(policy, tmp_path)


def flip_last_weight(path: Path) -> None:
    model = onnx.load(path)
    weights = next(item for item in model.graph.initializer if list(item.dims) in ([2, 16], [16, 2]))
    values = numpy_helper.to_array(weights).copy()
    values[-1, -1] = -values[-1, -1]
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    onnx.save(model, path)


def test_real_valued_policies_are_refused(tmp_path: Path) -> None:
    policy = random_policy("cartpole", "fp")
    real = dataclasses.replace(policy, contract=real_contract(load_task("cartpole"), policy.spec))
    with pytest.raises(ProjectError, match="real-valued"):
        export_policy(real, tmp_path)


def test_broken_and_imported_files_are_told(tmp_path: Path) -> None:
    policy = random_policy("cartpole", "fp")
    export_policy(policy, tmp_path)
    whole = (tmp_path / ONNX_FILE).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[:200])
    (tmp_path / "text.onnx").write_text("hello")
    model = onnx.load(tmp_path / ONNX_FILE)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "imported.onnx")
    for backend in (QonnxBackend, OnnxRuntimeBackend):
        for name in ("cut.onnx", "text.onnx", "imported.onnx", "missing.onnx"):
            with pytest.raises(ProjectError, match=name) as caught:
                backend(tmp_path / name)
            assert "\n" not in str(caught.value)


def test_corners_are_all_there() -> None:
    rows = corner_observations(FixedPoint(4, 1), 2, np.random.default_rng(0)).tolist()
    assert rows[:3] == [[-8, -8], [7, 7], [0, 0]]
    assert rows[3:] == [[1, 0], [2, 0], [4, 0], [-8, 0], [0, 1], [0, 2], [0, 4], [0, -8]]
    assert corner_observations(FixedPoint(8, 8, signed=False), 6400, np.random.default_rng(0)).nbytes < 1 << 26
