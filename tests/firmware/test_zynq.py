from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from random_run import random_observations

from hls4rl.backend import Backend
from hls4rl.firmware.hil import Session
from hls4rl.firmware.zynq import write_zynq
from hls4rl.hls_projects.hls.convert import read_description

pytestmark = pytest.mark.xdist_group("bitstream")


class Overlay:
    """Takes and gives the floats that go through the DMA."""

    def __init__(self, policy: Backend, project: Path) -> None:
        self._policy, self._project = policy, read_description(project)

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = self._policy.infer((values / self._project.observation_lsb).astype(np.int64)).logits
        assert logits is not None
        return (logits * self._project.logit_lsb).astype(np.float32)


def test_the_zynq_project_and_its_driver_are_exact(session: Session, policy: Backend, tmp_path: Path) -> None:
    report = write_zynq(session.run.qonnx, session.task.hardware, "pynq-z2", policy, tmp_path)
    assert report["mismatches"] == 0
    for name in ("axi_stream_driver.py", "design.tcl", "build_prj.tcl", "firmware/policy_axi.cpp", "zynq_policy.py"):
        assert (tmp_path / name).is_file()
    specification = importlib.util.spec_from_file_location("zynq_policy", tmp_path / "zynq_policy.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    driver = module.ZynqPolicy("policy.bit", tmp_path / "project.json", Overlay(policy, tmp_path))
    rows = random_observations(50)
    expected = policy.infer(rows)
    assert np.array_equal([driver.logits(row) for row in rows], expected.logits)
    assert [driver.action(row) for row in rows] == expected.actions.tolist()
