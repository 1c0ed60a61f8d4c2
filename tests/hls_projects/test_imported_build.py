from __future__ import annotations

import json
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from imported_models import QonnxGraph, brevitas_model

from hls4rl.backend import Answer, Backend
from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.export.imported.original import Original
from hls4rl.export.model_file import save_model
from hls4rl.export.network_writer import network_model
from hls4rl.hls_projects.hls.convert import write_project
from hls4rl.hls_projects.hls.csim import CsimBackend, build_csim
from hls4rl.hls_projects.imported import build_imported
from hls4rl.hls_projects.imported_play import play_compared, require_fit
from hls4rl.hls_projects.prove.design import find_designs
from hls4rl.hls_projects.rtl.pipelined import write_rtl
from hls4rl.hls_projects.simulation.pipelined import RtlBackend, build_rtl_model
from hls4rl.integer_backend import IntegerBackend
from hls4rl.report import write_reports
from hls4rl.task import Hardware, Task

pytestmark = pytest.mark.xdist_group("csim")


def learned_scales(path: Path) -> Path:
    """8 bits, a signed and a narrow activation: a multiplier behind the sums, and limits that no type has."""
    rng = np.random.default_rng(3)
    graph = QonnxGraph(3).quant(0.0157, 8.0).dense(rng.normal(size=(3, 4)), 0.0047, 8.0, rng.normal(size=4) * 0.2)
    graph.quant(0.0129, 8.0).dense(rng.normal(size=(4, 3)), 0.0047, 8.0, rng.normal(size=3) * 0.2)
    return graph.quant(0.0129, 8.0, narrow=1).dense(rng.normal(size=(3, 3)), 0.0035, 8.0).save(path)


@pytest.mark.parametrize("name", ["fixed point", "tanh", "learned scales"])
def test_both_roads_give_the_model_s_integers(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    original = Original.load(learned_scales(path) if name == "learned scales" else brevitas_model(name, path, seed=1))
    network = original.folded.network
    rows = check_observations(network.input, network.features)
    expected = Answer.of_logits(original.infer(rows))
    assert expected.logits is not None
    assert len(np.unique(expected.logits, axis=0)) > 3
    save_model(network_model(network), tmp_path / "folded.onnx", {})
    write_project(tmp_path / "folded.onnx", Hardware(), tmp_path / "project")
    build_csim(tmp_path / "project")
    write_rtl(network, tmp_path, 2)
    build_rtl_model(tmp_path)
    for answer in (CsimBackend(tmp_path / "project").infer(rows), RtlBackend(tmp_path).infer(rows)):
        assert np.array_equal(answer.logits, expected.logits)
        assert np.array_equal(answer.actions, expected.actions)


def test_an_imported_model_goes_all_the_way(tmp_path: Path) -> None:
    graph = QonnxGraph(3).quant(0.3, 3.0).dense([[1, -1], [2, 0], [-1, 1]], 1.0, 3.0).node("BipolarQuant", 0.7)
    model = graph.dense([[1, -1], [2, 0]], 1.0, 3.0, [0.4, 0.1]).save(tmp_path / "von außen.onnx")
    path = build_imported(model, Hardware(part="xc7"), tmp_path / "runs")
    summary = json.loads(path.read_text(encoding="utf-8"))
    assert path.parent.parent.name.startswith("von-au-en-")
    assert summary["mismatches"] == summary["model_check"]["undecided"] == 0
    assert [item["backend"] for item in summary["backends"]] == ["qonnx", "onnxruntime", "csim", "rtl"]
    assert summary["folded_by"] == ["sign"]
    assert not summary["logits_exact"]
    assert summary["observation_scale"] == pytest.approx(0.3)
    before = path.stat().st_mtime_ns
    assert build_imported(model, Hardware(part="xc7"), tmp_path / "runs") == path
    assert path.stat().st_mtime_ns == before
    assert find_designs(tmp_path / "runs") == []
    page = json.loads(write_reports(tmp_path / "runs").read_text(encoding="utf-8"))
    (shown,) = page["imported"]
    assert (page["tasks"], shown["model"], shown["lut"]) == ([], model.name, summary["lut"])
    row = f"| {model.name} | xc7 | – | {summary['observations']:,} | 0 |"
    assert row in (tmp_path / "runs" / "report.md").read_text(encoding="utf-8")
    path.unlink()
    with pytest.raises(ProjectError, match=r"report/summary\.json: not readable"):
        write_reports(tmp_path / "runs")


class _Lying:
    """Answers one more in every seventh row."""

    name = "lying"

    def __init__(self, backend: Backend) -> None:
        self._backend, self._rows = backend, 0

    def infer(self, observations: np.ndarray) -> Answer:
        answer = self._backend.infer(observations)
        self._rows += len(observations)
        wrong = answer.actions + (self._rows % 7 == 0)
        return Answer(wrong, None)


def test_an_imported_model_acts_in_its_environment(tmp_path: Path) -> None:
    """Continuous, with a scale of its own: against the arithmetic written out, and Gymnasium's loop."""
    weight, scale, unit = np.array([[-4.0], [1.0], [-2.0]]), float(np.float32(0.05)), 0.25
    path = QonnxGraph(3).quant(scale, 8.0).dense(weight * unit, unit, 8.0).save(tmp_path / "model.onnx")
    task = Task(name="pendulum", environment="Pendulum-v1")
    original = Original.load(path, None, continuous=True)
    require_fit(original, task, "model.onnx")
    backend = IntegerBackend(original.folded.network)
    played = play_compared(original, task, backend, 2)
    expected = []
    for seed in range(2):
        env, total, over = gym.make("Pendulum-v1"), 0.0, False
        seen, _ = env.reset(seed=seed)
        while not over:
            rounded = np.clip(np.rint(seen.astype(np.float64) / scale), -128, 127) * scale
            seen, reward, terminated, truncated, _ = env.step(
                np.clip(rounded @ weight * unit, -2, 2).astype(np.float32)
            )
            total, over = total + float(reward), terminated or truncated
        expected.append(total)
    assert played.returns == pytest.approx(expected, rel=1e-9)
    assert (played.steps, played.mismatches) == (400, 0)
    assert play_compared(original, task, _Lying(backend), 2).mismatches > 20
    for environment, said in (("CartPole-v1", "3 features"), ("MountainCarContinuous-v0", "3 features")):
        with pytest.raises(ProjectError, match=said):
            require_fit(original, Task(name="x", environment=environment), "model.onnx")


def test_a_refused_model_leaves_nothing(tmp_path: Path) -> None:
    model = QonnxGraph(3).dense([[1, -1]] * 3, 1.0, 3.0).save(tmp_path / "raw.onnx")
    with pytest.raises(ProjectError, match="takes the raw observation"):
        build_imported(model, Hardware(), tmp_path / "runs")
    with pytest.raises(ProjectError, match="no such file"):
        build_imported(tmp_path / "missing.onnx", Hardware(), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
