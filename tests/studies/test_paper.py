"""Figures, tables and claims from a matrix trained for real, small; the rule that gives each answer."""

import json
from pathlib import Path

import numpy as np
import pytest
from staged import as_stage

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.cost import cost
from hls4rl.network import IntegerNetwork
from hls4rl.policy import METHODS, PolicySpec
from hls4rl.studies.paper import claims, figures, learning, statistics, tables
from hls4rl.studies.paper import jobs as matrix
from hls4rl.studies.paper.check import compare
from hls4rl.studies.paper.claims import Check, answer
from hls4rl.studies.paper.jobs import Job, run_job
from hls4rl.studies.paper.policy_cost import cost_of
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.task import load_task

pytestmark = pytest.mark.xdist_group("paper")


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    return [
        Job(job.variant, job.spec, 4) for job in matrix.quick_jobs() if job.spec.hidden == 16 and job.spec.seed == 0
    ]


@pytest.fixture(scope="module")
def root(jobs: list[Job], tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("paper")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrix, "EVALUATION_EPISODES", 1)
        for job in jobs:
            run_job(job).save(place)
    return place


@pytest.fixture
def results(jobs: list[Job], root: Path, monkeypatch: pytest.MonkeyPatch) -> Results:
    monkeypatch.setattr(matrix, "EVALUATION_EPISODES", 1)
    return Results(root, jobs)


def test_everything_is_drawn_and_written(results: Results, tmp_path: Path) -> None:
    drawn = figures.draw_all(results, tmp_path)
    assert {path.stem.split("-")[0] for path in drawn} == {"fig3", "fig4", "fig5", "fig6", "capacity", "cost"}
    for path in drawn:
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.with_suffix(".pdf").read_bytes()[:4] == b"%PDF"
        assert b"<svg" in path.with_suffix(".svg").read_bytes()[:2000]
    text = claims.write(results, "figures")
    for claim in claims.CLAIMS:
        assert f"| {claim.title} | {claim.source} | **{answer(claim.check(results))}** |" in text
    assert "| cartpole | binarynet | 16 |" in tables.tables(results)


def test_another_task_has_its_curves_and_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "EVALUATION_EPISODES", 1)
    jobs = [Job("own", PolicySpec("mountaincar", method, 4, 0), 2) for method in METHODS]
    for job in jobs:
        run_job(job).save(tmp_path)
    results = Results(tmp_path, jobs)
    drawn = figures.draw_task(results, "mountaincar", tmp_path / "figures")
    assert {path.stem.split("-")[0] for path in drawn} == {"fig3", "fig4", "fig5", "fig6"}
    text = tables.tables(results)
    assert "## Returns, variant `own`" in text
    assert text.count("| mountaincar | pruning | 4 |") == 2  # its return, and its cost


def test_a_missing_policy_is_named(jobs: list[Job], tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="not trained yet"):
        Results(tmp_path, jobs)


def test_results_are_those_of_the_jobs(results: Results, root: Path) -> None:
    cell = Cell("plain", "acrobot", "pruning", 16)
    path = root / "plain" / "acrobot" / "pruning-h16-s0" / "result.json"
    row = json.loads(path.read_text())
    assert results.curves(cell).tolist() == [row["curve"]]
    assert results.deployed(cell).tolist() == [np.mean(row["evaluation_returns"])]
    assert results.final(cell)[0] == pytest.approx(row["curve"][-1])


def test_costs_are_those_of_the_exported_graph(results: Results, tmp_path: Path) -> None:
    from hls4rl.export.graph import read_network
    from hls4rl.export.writer import export_policy

    for method in ("compression", "binarynet"):
        policy = results.best_policy(Cell("steady", "cartpole", method, 16))
        (tmp_path / method).mkdir()
        export_policy(policy, tmp_path / method)
        network = read_network(next((tmp_path / method).glob("*.qonnx.onnx")))
        assert isinstance(network, IntegerNetwork)
        assert cost_of(policy) == cost(network, policy.spec)


def test_csim_of_the_matrix_agrees(results: Results) -> None:
    report = compare(results.best_policy(Cell("steady", "acrobot", "binaryconnect", 16)))
    assert report["mismatches"] == 0
    assert report["observations"] > 20_000


@pytest.mark.parametrize(("faithful", "controls", "expected"), [
    ([True], [], "yes"),
    ([True, True], [True], "yes"),
    ([True], [False], "partly"),
    ([True, False], [True], "partly"),
    ([False], [True], "no"),
])
def test_the_answer_needs_the_control(faithful: list[bool], controls: list[bool], expected: str) -> None:
    checks = [Check("", holds, "") for holds in faithful] + [Check("", holds, "", True) for holds in controls]
    assert answer(checks) == expected


def test_intervals_cover_the_mean() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(100):
        interval = statistics.mean(rng.normal(3.0, 1.0, size=30))
        covered += interval.low < 3.0 < interval.high
    assert 85 <= covered <= 99
    assert statistics.mean(np.full(4, 7.0)).low == 7.0
    assert statistics.interquartile_mean(np.array([0.0, 1.0, 2.0, 1000.0])).value == 1.5
    gap = statistics.difference(np.array([3.0, 4.0, 5.0]), np.array([0.0, 1.0, 2.0]))
    assert gap.value == 3.0
    assert gap.low > 0


def test_learning_curves_of_runs_finished_and_not(tmp_path: Path) -> None:
    place, rng = tmp_path / "pong", np.random.default_rng(0)
    for name in ("fp-h128-s0", "fp-h128-s1", "fp-h128-s0-b4", "first-half"):
        (place / name / "policy").mkdir(parents=True)
        returns = rng.normal(size=100).tolist()
        (place / name / "policy" / "training.json").write_text(json.dumps({"training_returns": returns}))
        as_stage(place / name / "policy")
    (place / "pruning-h128-s0").mkdir()
    lines = [json.dumps({"game": game, "steps": game, "return": -21.0}) for game in range(1, 61)]
    (place / "pruning-h128-s0" / "curve.jsonl").write_text("\n".join(lines))
    curves = learning.read_curves(place)
    assert {key: [len(seed) for seed in seeds] for key, seeds in curves.items()} == {
        ("fp", 128): [100, 100], ("pruning", 128): [60],
    }
    axis, = learning.draw(load_task("pong"), curves).axes
    pruning = next(line for line in axis.lines if line.get_label() == "Prune 128")
    assert set(np.round(pruning.get_ydata(), 9)) == {-21.0}
    assert axis.lines[-1].get_xdata()[0] == pytest.approx(1200, abs=1), "where pruning switches"
