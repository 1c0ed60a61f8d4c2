"""A slice of `make fuzz`'s corrupted artefacts for every commit: two small runs, two commands."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from fuzz import corruption
from fuzz.corruption import OTHER, PART, REHASHED, RUN, TASK, Command, cases, try_case
from random_policies import random_policy

from hls4rl.artefact import Artefact, digest
from hls4rl.export import export_policy, read_network
from hls4rl.hls_projects.rtl.pipelined import write_rtl
from hls4rl.hls_projects.simulation.pipelined import build_rtl_model
from hls4rl.policy import PolicySpec
from hls4rl.run import Run

pytestmark = pytest.mark.xdist_group("corruption")

SMALL = {
    "evaluate": Command(
        ("evaluate", "RUN", "--episodes", "1", "--backend", "rtl"),
        (f"{TASK}/{RUN}/policy", f"{TASK}/{RUN}/{PART}"), 20,
    ),
    "export": Command(("export", "POLICY"), (f"{TASK}/{RUN}/policy", f"{TASK}/{RUN}/onnx"), 6),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with what these commands read."""
    root = tmp_path_factory.mktemp("runs")
    corruption.task_file(root)
    for seed, name in enumerate((RUN, OTHER)):
        policy = random_policy("cartpole", "binarynet", hidden=2, seed=seed)
        policy = type(policy)(**{**vars(policy), "spec": PolicySpec(TASK, "binarynet", 2, seed)})
        run = Run(policy.spec, root)
        assert run.directory.name == name
        with Artefact(run.policy.parent, {"spec": policy.spec.to_inputs()}).build() as place:
            policy.save(place / run.policy.name)
        with Artefact(run.onnx.parent, {"policy": digest(run.policy)}).build() as place:
            export_policy(policy, place)
        with Artefact(run.part(PART), {"policy": digest(run.policy)}).build() as place:
            write_rtl(read_network(run.qonnx), place, 1)
            build_rtl_model(place)
    return root


def test_damage_is_noticed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corruption, "COMMANDS", SMALL)
    found, tried = Counter[str](), cases(root, list(SMALL), 1.0)
    for number, case in enumerate(tried):
        found[try_case(case, root, tmp_path, number)] += 1
    assert len(tried) >= 20
    assert found["refused"] >= 15
    for file in ("policy_core.v", "policy_logits.v"):  # the simulation models know their sources themselves
        case = corruption.Case("evaluate", f"{TASK}/{RUN}/{PART}/{file}", REHASHED)
        assert try_case(case, root, tmp_path) == "refused"


def test_the_suite_can_fail(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = Command(("parts",), (), 1)
    monkeypatch.setattr(corruption, "COMMANDS", {"evaluate": deaf})
    case = corruption.Case("evaluate", f"{TASK}/{RUN}/{PART}/policy_core.v", "truncated")
    with pytest.raises(AssertionError, match=r"accepted: .*policy_core.v: not the file that was made here"):
        try_case(case, root, tmp_path)
