"""The crown for every form of policy: depth × action space, a Dict observation with offsets, all executors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_policies import random_policy

from hls4rl.backend import Backend
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend
from hls4rl.export.qonnx_backend import QonnxBackend
from hls4rl.export.writer import ONNX_FILE, QONNX_FILE, export_policy
from hls4rl.gym_loop import play
from hls4rl.hls_projects.evaluate import differing
from hls4rl.hls_projects.fpga.family import load_family
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.hls.convert import write_project
from hls4rl.hls_projects.hls.csim import CsimBackend, build_csim
from hls4rl.hls_projects.rtl.pipelined import CORE, write_rtl
from hls4rl.hls_projects.simulation.pipelined import (
    NetlistBackend,
    RtlBackend,
    build_netlist_model,
    build_rtl_model,
)
from hls4rl.policy import Policy
from hls4rl.ranges import visited
from hls4rl.task import Task, load_task
from hls4rl.train.network import TorchBackend

TASK = """
environment = "worlds:Worlds/{actions}-v0"
[observation]
scale = "auto"
bits = 4
[action]
bits = {bits}
squash = "{squash}"
range = {range}
[network]
activation = "{activation}"
"""
FORMS = [
    # actions, hidden, method, activation, squash
    ("discrete", "0", "fp", "relu", "hard-tanh"),
    ("multidiscrete", "6", "compression", "hard-tanh", "hard-tanh"),
    ("multibinary", "5x4", "binarynet", "relu", "hard-tanh"),
    ("box", "4x3", "fp", "tanh", "hard-tanh"),
    ("unbounded", "4x4x3", "ternary", "relu", "tanh"),
    ("discrete", "5x4x3", "pruning", "identity", "hard-tanh"),
]


@dataclass(frozen=True)
class Case:
    task: Task
    policy: Policy
    backends: list[Backend]


def task_of(folder: Path, actions: str, activation: str = "relu", squash: str = "hard-tanh") -> Task:
    path, limits = folder / f"{actions}.toml", [-2.0, 2.0] if actions == "unbounded" else []
    path.write_text(
        TASK.format(actions=actions, bits=5, squash=squash, range=limits, activation=activation), encoding="utf-8"
    )
    return load_task(str(path))


def _once(form: tuple[str, ...]) -> Any:
    """As a parameter: on one worker, where it is built once."""
    return pytest.param(form, id="-".join(form), marks=pytest.mark.xdist_group("-".join(form)))


@pytest.fixture(scope="module", params=map(_once, FORMS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    actions, hidden, method, activation, squash = request.param
    folder = tmp_path_factory.mktemp("form")
    task = task_of(folder, actions, activation, squash)
    policy = random_policy(task, method, 4, hidden)
    export_policy(policy, folder)
    write_project(folder / QONNX_FILE, task.hardware, folder / "hls")
    build_csim(folder / "hls")
    write_rtl(policy.network, folder, 2)
    part = load_part("ecp5-25f")
    synthesise([folder / f"{CORE}.v"], CORE, part, folder)
    build_rtl_model(folder)
    build_netlist_model(folder, folder / NETLIST, load_family(part.family).models)
    return Case(task, policy, [
        QonnxBackend(folder / QONNX_FILE), OnnxRuntimeBackend(folder / ONNX_FILE), CsimBackend(folder / "hls"),
        RtlBackend(folder), NetlistBackend(folder),
    ])


def test_every_executor_gives_the_reference_s_integers_and_returns(case: Case) -> None:
    seen: list[IntArray] = []
    reference = TorchBackend(case.policy)
    played = play(case.task, reference, 6, 0, lambda rows, _: seen.append(rows))
    kind = case.policy.contract.observation
    rows = np.concatenate([*seen, check_observations(kind, case.policy.features)[:1200]])
    expected = reference.infer(rows)
    assert len(np.unique(expected.actions, axis=0)) > 1
    for backend in case.backends:
        assert not differing(backend.infer(rows), expected).any(), backend.name
        assert np.array_equal(play(case.task, backend, 6, 0).returns, played.returns), backend.name


def test_a_flipped_weight_is_caught(case: Case) -> None:
    rows = check_observations(case.policy.contract.observation, case.policy.features)[:1200]
    original = TorchBackend(case.policy).infer(rows)
    weights = [weight.copy() for weight in case.policy.weights]
    for index in np.ndindex(weights[-1].shape):
        value = weights[-1][index]
        weights[-1][index] = -value if value > 0 else 0.5 - value
        other = Policy(case.policy.spec, case.policy.contract, tuple(weights), case.policy.biases)
        changed = TorchBackend(other).infer(rows)
        if (changed.actions != original.actions).any():
            break
        weights[-1][index] = value
    for backend in case.backends:
        assert differing(backend.infer(rows), changed).any(), backend.name


def test_an_asymmetric_box_reaches_both_ends_and_the_middle(tmp_path: Path) -> None:
    actions = task_of(tmp_path, "box").actions
    assert [actions.decode(np.array([value, value])).tolist() for value in (-16, -15, 0, 15)] == [
        [-1.0, 0.0], [-1.0, 0.0], [1.0, 5.0], [3.0, 10.0],
    ]


def test_an_unbounded_box_asks_for_its_range(tmp_path: Path) -> None:
    path = tmp_path / "wide.toml"
    path.write_text('environment = "worlds:Worlds/unbounded-v0"\n', encoding="utf-8")
    with pytest.raises(ProjectError, match=r"without bounds; give them in the task file: \[action\], range"):
        load_task(str(path)).spaces  # noqa: B018


def test_measured_scales_keep_what_is_seen_within_the_type(tmp_path: Path) -> None:
    task = task_of(tmp_path, "discrete")
    assert task.features == 3 + 2 + 4 + 1 + 2
    assert task.feature_names[:2] == ["flags[0]", "flags[1]"]
    assert (task.converter.saturated(visited(task)) <= 0.005).all()
    assert task.converter.offset[task.feature_names.index("pair.0[0]")] == pytest.approx(11.0, abs=0.5)
    assert task.resolved.observation.scale == tuple(task.converter.scale.tolist())
