from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from fuzz.conversion import csim_keeps_the_integers
from random_policies import random_policy

from hls4rl.contract import FixedPoint, IntArray, Values
from hls4rl.errors import ProjectError, ToolError
from hls4rl.export import MismatchError, export_policy
from hls4rl.export.check import check_observations, require_equal_logits
from hls4rl.export.model_file import save_model
from hls4rl.export.network_writer import network_model
from hls4rl.hls_projects.hls.convert import write_project
from hls4rl.hls_projects.hls.csim import LIBRARY, VOLATILE, CsimBackend, build_csim
from hls4rl.library import record_library
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.policy import Policy
from hls4rl.task import Hardware, load_task
from hls4rl.train.network import TorchBackend

DESIGNS = {
    "fp": (random_policy("cartpole", "fp"), load_task("cartpole").hardware),
    "fp16": (
        random_policy("acrobot", "fp", 16, hidden=24),
        dataclasses.replace(load_task("acrobot").hardware, strategy="Resource", reuse_factor=4),
    ),
    "binaryconnect": (random_policy("acrobot", "binaryconnect"), load_task("acrobot").hardware),
    "binarynet": (random_policy("cartpole", "binarynet"), load_task("cartpole").hardware),
    "streams": (
        random_policy("acrobot", "compression"),
        dataclasses.replace(load_task("acrobot").hardware, strategy="Resource", reuse_factor=3, inputs_per_clock=2),
    ),
}
pytestmark = pytest.mark.xdist_group("csim")  # the projects are compiled once, on one worker


def write(policy: Policy, hardware: Hardware, directory: Path) -> Path:
    directory.mkdir()
    export_policy(policy, directory)
    write_project(directory / "policy.qonnx.onnx", hardware, directory / "project")
    return directory / "project"


def rows(policy: Policy) -> IntArray:
    return check_observations(policy.contract.observation, policy.features, seed=3)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Compiled projects, each moved after its compilation, as a build does."""
    root = tmp_path_factory.mktemp("csim")
    moved = {}
    for name, (policy, hardware) in DESIGNS.items():
        project = write(policy, hardware, root / name)
        build_csim(project)
        moved[name] = root / f"{name}-moved"
        project.rename(moved[name])
    return moved


def test_all_are_exact_side_by_side_in_one_process(projects: dict[str, Path]) -> None:
    backends = {name: CsimBackend(project) for name, project in projects.items()}
    for name, backend in backends.items():
        policy = DESIGNS[name][0]
        observations = rows(policy)
        assert len(np.unique(TorchBackend(policy).infer(observations).actions)) > 1
        for _ in range(2):
            require_equal_logits(TorchBackend(policy), [backend], observations)


def test_the_headers_still_have_what_makes_them_slow(projects: dict[str, Path]) -> None:
    header = projects["fp"] / "firmware" / "ap_types" / "etc" / "ap_private.h"
    assert header.read_text(encoding="utf-8").count(VOLATILE) == 2  # of up to 64 bits, and of more


def test_strided_and_empty_batches(projects: dict[str, Path]) -> None:
    policy, backend = DESIGNS["fp"][0], CsimBackend(projects["fp"])
    observations = rows(policy)
    expected = TorchBackend(policy).infer(observations).logits
    assert expected is not None
    assert np.array_equal(backend.infer(observations[::-3]).logits, expected[::-3])
    assert backend.infer(observations[:0]).actions.shape == (0, 1)
    with pytest.raises(ValueError, match=r"expected \(batch, 4\)"):
        backend.infer(observations[:, :3])


@pytest.mark.parametrize("name", ["fp", "binarynet"])
def test_one_flipped_weight_is_caught(name: str, projects: dict[str, Path], tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(projects[name], project)
    weights = sorted((project / "firmware" / "weights").glob("w*.txt"))[-1]
    values = weights.read_text().split(", ")
    values[-1] = values[-1][1:] if values[-1].startswith("-") else f"-{values[-1]}"
    weights.write_text(", ".join(values))
    policy = DESIGNS[name][0]
    with pytest.raises(ProjectError, match=r"w\d+.txt: not the file that was made here"):
        CsimBackend(project)
    record_library(project / LIBRARY, [weights])  # as if hls4ml had written it
    with pytest.raises(MismatchError, match=r"^csim differs from torch on"):
        require_equal_logits(TorchBackend(policy), [CsimBackend(project)], rows(policy))


def test_a_rebuilt_project_is_not_mistaken_for_its_forerunner(projects: dict[str, Path], tmp_path: Path) -> None:
    place = tmp_path / "project"
    for name in ("fp", "binarynet"):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(projects[name], place)
        policy = DESIGNS[name][0]
        require_equal_logits(TorchBackend(policy), [CsimBackend(place)], rows(policy))


def test_the_same_project_gives_the_same_library(projects: dict[str, Path], tmp_path: Path) -> None:
    place = shutil.copytree(projects["binarynet"], tmp_path / "project")
    before = (place / LIBRARY).read_bytes()
    assert build_csim(place).read_bytes() == before


def test_a_layer_of_nothing_but_zeros_far_below_one(tmp_path: Path) -> None:
    zeros, kind = np.zeros((2, 3), dtype=np.int64), FixedPoint(7, -14, signed=False)
    network = IntegerNetwork(FixedPoint(8, -7), (
        Layer(zeros, 2.0**-4, zeros[:, 0], 2.0**-15, kind, "ROUND"),
        Layer(np.array([[1, -1], [-1, 3]]), 2.0, np.array([25, -28]), 2.0**-19, None),
    ))
    assert len(np.unique(exact_logits(network, Hardware(), tmp_path), axis=0)) == 1


def coarse_network(exponent: int, signed: bool) -> IntegerNetwork:
    """Sums of at most 2**7 in magnitude, rounded half to even to multiples of ``2**exponent``."""
    kind = FixedPoint(4, 4 + exponent, signed)
    return IntegerNetwork(FixedPoint(5, 5), (
        Layer(np.array([[3, -3], [-3, 2]]), 1.0, np.array([8, 0]), 1.0, kind, "ROUND"),
        Layer(np.array([[1, -1], [2, 3]]), 1.0, np.array([1, -2]), 1.0, None),
    ))


def without_sign() -> IntegerNetwork:
    """Continuous actions of 0 … 63: the highest bit is no sign."""
    layer = Layer(np.array([[3, 3], [-3, 2]]), 1.0, np.array([8, 0]), 1.0, FixedPoint(6, 6, signed=False))
    return IntegerNetwork(FixedPoint(5, 5), (layer,), Values())


def test_halves_are_rounded_to_even_however_far_above_the_sums_and_actions_may_lack_a_sign() -> None:
    # From steps within the accumulator to those that hls4ml's own types abort on, one bit at a time.
    networks = [coarse_network(exponent, signed) for exponent in range(5, 14) for signed in (True, False)]
    observations = check_observations(networks[0].input, 2)
    varying = [len(np.unique(network.infer(observations), axis=0)) > 1 for network in networks]
    assert any(varying)
    assert not all(varying)
    assert without_sign().infer(observations).max() == 63
    csim_keeps_the_integers([*networks, without_sign()])


def test_streams_are_rounded_to_even_too(tmp_path: Path) -> None:
    exact_logits(coarse_network(13, signed=False), Hardware(inputs_per_clock=1), tmp_path)


def exact_logits(network: IntegerNetwork, hardware: Hardware, directory: Path) -> IntArray:
    """The C simulation's logits of many observations, checked to be the network's."""
    properties = {"observation_lsb": repr(network.input.lsb), "logit_lsb": repr(network.logit_lsb)}
    save_model(network_model(network), directory / "network.qonnx.onnx", properties)
    write_project(directory / "network.qonnx.onnx", hardware, directory / "project")
    build_csim(directory / "project")
    observations = check_observations(network.input, network.features)
    logits = CsimBackend(directory / "project").infer(observations).logits
    assert logits is not None
    assert np.array_equal(logits, network.infer(observations))
    return logits


def test_missing_parts_are_told(projects: dict[str, Path], tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree(projects["fp"], project)
    next((project / "firmware" / "weights").glob("b*.txt")).unlink()
    with pytest.raises(ProjectError, match=r"b\d+.txt is missing; convert the policy again"):
        CsimBackend(project)
    (project / LIBRARY).write_bytes((project / LIBRARY).read_bytes()[:5000])
    shutil.copytree(projects["fp"] / "firmware", project / "firmware", dirs_exist_ok=True)
    with pytest.raises(ProjectError, match=r"policy\.so: not the library that was compiled here"):
        CsimBackend(project)
    (project / LIBRARY).unlink()
    with pytest.raises(ProjectError, match=r"policy\.so: not readable"):
        CsimBackend(project)


def test_compilers_that_are_missing_or_fail_are_told(
    projects: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    shutil.copytree(projects["fp"], project)
    before = (project / LIBRARY).read_bytes()
    (project / "firmware" / "policy.cpp").write_text("#error broken\n")
    with pytest.raises(ProjectError, match=r"g\+\+ failed on the C\+\+ project") as caught:
        build_csim(project)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, ToolError)
    assert "broken" in caught.value.log
    assert (project / LIBRARY).read_bytes() == before
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProjectError, match=r"g\+\+ is not on PATH; install it"):
        build_csim(project)


def test_other_dialects_are_refused(tmp_path: Path) -> None:
    policy, hardware = DESIGNS["fp"]
    project = write(policy, dataclasses.replace(hardware, hls_backend="Catapult"), tmp_path / "catapult")
    with pytest.raises(ProjectError, match="not of Catapult"):
        build_csim(project)
