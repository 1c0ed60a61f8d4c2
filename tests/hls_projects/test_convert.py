from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_policies import DESIGNS, random_policy

from hls4rl.contract import FixedPoint
from hls4rl.errors import ProjectError
from hls4rl.export import export_policy, read_network
from hls4rl.export.model_file import save_model
from hls4rl.export.network_writer import network_model
from hls4rl.hls_projects.hls import convert
from hls4rl.hls_projects.hls.convert import read_description, write_project
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.task import Hardware

HARDWARE = Hardware()


def qonnx(directory: Path, task: str, method: str, bits: int = 8) -> Path:
    export_policy(random_policy(task, method, bits), directory)
    return directory / "policy.qonnx.onnx"


def files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("task", "method", "bits"), DESIGNS)
def test_types_hold_the_weights_and_every_sum(task: str, method: str, bits: int, tmp_path: Path) -> None:
    graph = qonnx(tmp_path, task, method, bits)
    write_project(graph, HARDWARE, tmp_path / "project")
    network = read_network(graph)
    description = read_description(tmp_path / "project")
    assert (description.features, description.outputs) == (network.features, network.outputs)
    assert (description.observation_lsb, description.logit_lsb) == (network.input.lsb, network.logit_lsb)
    kind = network.input
    defines = (tmp_path / "project" / "firmware" / "defines.h").read_text()
    assert f"typedef ap_fixed<{kind.bits},{kind.integer_bits}> input_t;" in defines
    # The weights that the C++ reads are the graph's integers, to the last bit.
    written = sorted(path for path in (tmp_path / "project" / "firmware" / "weights").glob("w*.txt"))
    for path, layer in zip(written, network.layers, strict=True):
        values = np.array([float(text) for text in path.read_text().split(",")]) / layer.weight_lsb
        assert np.array_equal(values.reshape(layer.weight.T.shape), layer.weight.T)


def test_the_same_graph_gives_the_same_bytes_anywhere(tmp_path: Path) -> None:
    graph = qonnx(tmp_path, "cartpole", "binarynet")
    first, second = tmp_path / "one", tmp_path / "somewhere" / "else"
    write_project(graph, HARDWARE, first)
    write_project(graph, HARDWARE, second)
    assert files(first) == files(second)
    assert not [name for name, content in files(first).items() if str(tmp_path).encode() in content]
    write_project(qonnx(tmp_path, "cartpole", "binaryconnect"), HARDWARE, tmp_path / "other")
    assert files(tmp_path / "other") != files(first)


def test_hls4ml_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    graph = qonnx(tmp_path, "cartpole", "fp")
    capfd.readouterr()
    write_project(graph, HARDWARE, tmp_path / "project")
    assert capfd.readouterr() == ("", "")
    assert "Creating HLS model" in (tmp_path / "project" / "conversion.log").read_text()


def test_settings_reach_the_project(tmp_path: Path) -> None:
    hardware = dataclasses.replace(
        HARDWARE, strategy="Resource", reuse_factor=4, clock_mhz=125.0, hls_part="xcu50-fsvh2104-2-e",
        hls_backend="vivado",
    )
    write_project(qonnx(tmp_path, "cartpole", "fp"), hardware, tmp_path / "project")
    script = (tmp_path / "project" / "project.tcl").read_text()
    assert 'set backend "vivado"' in script
    assert 'set part "xcu50-fsvh2104-2-e"' in script
    assert re.search(r"set clock_period 8(\.0)?\n", script)
    parameters = (tmp_path / "project" / "firmware" / "parameters.h").read_text()
    assert "static const unsigned strategy = nnet::resource;" in parameters
    assert "static const unsigned reuse_factor = 4;" in parameters


def test_a_type_that_is_too_narrow_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = qonnx(tmp_path, "cartpole", "fp")
    whole = convert._bounds

    def wider(network: Any) -> Any:
        return [dataclasses.replace(item, fraction_bits=item.fraction_bits + 9) for item in whole(network)]

    monkeypatch.setattr(convert, "_bounds", wider)
    with pytest.raises(ProjectError, match=r"hls4ml chose fixed<\d+,\d+.*> for the accumulator"):
        write_project(graph, HARDWARE, tmp_path / "project")


@pytest.mark.parametrize(("rounding", "kind"), [("FLOOR", "9,9"), ("ROUND", "15,15")])
def test_only_what_is_rounded_is_widened_to_half_a_step(rounding: str, kind: str, tmp_path: Path) -> None:
    weight, bias = np.array([[1, -1], [-1, 3]]), np.array([1, -1])
    hidden = Layer(weight, 1.0, bias, 1.0, FixedPoint(4, 19, signed=False), rounding)
    network = IntegerNetwork(FixedPoint(4, 4), (hidden, Layer(weight, 1.0, bias, 2.0**15, None)))
    properties = {"observation_lsb": repr(network.input.lsb), "logit_lsb": repr(network.logit_lsb)}
    save_model(network_model(network), tmp_path / "network.qonnx.onnx", properties)
    write_project(tmp_path / "network.qonnx.onnx", HARDWARE, tmp_path / "project")
    defines = (tmp_path / "project" / "firmware" / "defines.h").read_text()
    assert set(re.findall(r"ap_fixed<(.*)> Dense_MatMul_0_(?:accum|result)_t;", defines)) == {kind}


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    graph = qonnx(tmp_path, "cartpole", "fp")
    with pytest.raises(ProjectError, match="unknown hls_backend 'Wishful'; choose one of Vitis"):
        write_project(graph, dataclasses.replace(HARDWARE, hls_backend="Wishful"), tmp_path / "project")
    with pytest.raises(ProjectError, match="no such file"):
        write_project(tmp_path / "missing.onnx", HARDWARE, tmp_path / "project")
    with pytest.raises(ProjectError, match="no hls4ml project of ours"):
        read_description(tmp_path)


def test_what_hls4ml_refuses_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hls4ml

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Unsupported\n  ONNX layer")

    monkeypatch.setattr(hls4ml.converters, "convert_from_onnx_model", refuse)
    with pytest.raises(ProjectError, match=r"hls4ml cannot convert .*: Unsupported ONNX layer; try another") as caught:
        write_project(qonnx(tmp_path, "cartpole", "fp"), HARDWARE, tmp_path / "project")
    assert "\n" not in str(caught.value)
