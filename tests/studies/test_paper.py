"""Figures, tables and claims from a grid trained for real, small; the rule that gives each answer."""

import itertools
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from artefacts import as_artefact

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.cost import cost
from hls4rl.network import IntegerNetwork
from hls4rl.policy import PolicySpec
from hls4rl.studies.paper import figures, learning, publish, rows, tables
from hls4rl.studies.paper import jobs as grid
from hls4rl.studies.paper.answers import Answers
from hls4rl.studies.paper.check import compare
from hls4rl.studies.paper.claims import CLAIMS, Claim
from hls4rl.studies.paper.jobs import Job, run_job
from hls4rl.studies.paper.policy_cost import cost_of
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.studies.paper.statistics import NOT_SHOWN, REFUTED, SUPPORTED, TOO_FEW
from hls4rl.studies.paper.variants import VARIANTS
from hls4rl.studies.paper.verbs import paper
from hls4rl.task import load_task
from hls4rl.train.methods import PAPER_METHODS

DRAWN = ("paper", "paper-late", "paper-scaled", "steady")

pytestmark = pytest.mark.xdist_group("paper")


@pytest.fixture(scope="module")
def jobs() -> list[Job]:
    return [
        Job(job.variant, job.spec, 4)
        for job in grid.quick_jobs()
        if job.spec.hidden == (16,) and job.spec.seed == 0 and job.variant in DRAWN and job.spec.task != "cartpole1"
    ]


@pytest.fixture(scope="module")
def found(jobs: list[Job]) -> list[rows.Row]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grid, "EVALUATION_EPISODES", 1)
        return [run_job(job).row for job in jobs]


@pytest.fixture
def results(found: list[rows.Row]) -> Results:
    return Results(found)


def test_everything_is_drawn_and_written(results: Results, tmp_path: Path) -> None:
    drawn = figures.draw_all(results, tmp_path)
    assert {path.stem.split("-")[0] for path in drawn} == {"fig3", "fig4", "fig5", "fig6", "capacity", "step", "cost"}
    for path in drawn:
        assert path.read_bytes()[:4] == b"\x89PNG"
        assert path.with_suffix(".pdf").read_bytes()[:4] == b"%PDF"
        assert b"<svg" in path.with_suffix(".svg").read_bytes()[:2000]
    text = Answers(results).document("figures")
    for claim in CLAIMS:
        assert f"| {claim.title} | {claim.source} |" in text
    assert SUPPORTED not in text.split("|", 1)[1], "one policy a cell answers nothing"
    assert TOO_FEW in text
    assert "| cartpole | binarynet | 16 |" in tables.tables(results)


def made_up(finals: Callable[[str, str, str, int, int], float], variants: tuple[str, ...], seeds: int = 10) -> Results:
    """A grid whose policies end at ``finals(variant, task, method, hidden, seed)``, flat from the first episode."""
    lines = []
    for name in variants:
        variant = VARIANTS[name]
        for task, method, hidden in itertools.product(variant.tasks, variant.methods, variant.widths):
            for seed in range(seeds):
                value = finals(name, task, method, hidden, seed)
                lines.append({
                    "variant": name, "task": task, "method": method, "hidden": hidden, "seed": seed, "inputs": "",
                    "rate": 0.1, "episodes": 3000, "final": value, "area": value, "solved_at": None, "greedy": value,
                    "deployed": None, "long": value, "noisy": value, "cost": None, "curve": [value] * 60,
                })
    return Results(lines)


def level(task: str) -> float:
    return -100.0 if task == "acrobot" else 120.0


def noise(*names: object) -> float:
    """A number of standard deviation 8 that depends on ``names`` alone."""
    return float(8 * np.random.default_rng(zlib.crc32(repr(names).encode())).normal())


def claim(start: str) -> Claim:
    return next(item for item in CLAIMS if item.title.startswith(start))


def test_a_claim_that_a_larger_step_explains_does_not_survive_it() -> None:
    def finals(variant: str, task: str, method: str, hidden: int, seed: int) -> float:
        larger_step = method == "compression" or variant == "paper-late"
        return level(task) + 20 * larger_step + noise(variant, task, method, hidden, seed)

    answers = Answers(made_up(finals, ("paper", "paper-late")))
    surpasses = claim("Compression (k = 8)")
    assert answers.answer(surpasses, "paper") == SUPPORTED
    assert answers.answer(surpasses, "paper", control=True) == NOT_SHOWN
    assert "`paper`: not shown to survive" in answers.table()
    assert answers.answer(claim("Pruning half"), "paper") == SUPPORTED


def test_the_documentations_tables_are_made_again(tmp_path: Path) -> None:
    def finals(variant: str, task: str, method: str, hidden: int, seed: int) -> float:
        return level(task) - 40 * (method == "pruning") + noise(variant, task, method, hidden, seed)

    results = made_up(finals, ("paper", "paper-late"))
    names = "".join(f"<!-- paper:{name} -->\nold\n<!-- /paper:{name} -->\n" for name in publish.TABLES)
    text = publish.fill(f"before\n{names}after\n", results, "here")
    assert text.startswith("before\n<!-- paper:")
    assert "\nold\n" not in text
    assert "| Pruning half of the weights recovers fully and equals full precision | Fig. 6 | **refuted** |" in text
    assert publish.fill(text, results, "here") == text
    with pytest.raises(ProjectError, match="no table 'paper:other'"):
        publish.fill("<!-- paper:other -->\n<!-- /paper:other -->", results, "here")
    for name in publish.DOCUMENTS:
        assert "<!-- paper:" in (publish.PROJECT / name).read_text(encoding="utf-8")
    with pytest.raises(ProjectError, match="no docs here"):
        publish.publish(results, publish.ROWS, tmp_path, tmp_path)


def test_equal_methods_do_not_show_that_none_wins_everywhere() -> None:
    def finals(variant: str, task: str, method: str, hidden: int, seed: int) -> float:
        return level(task) + noise(variant, task, method, hidden, seed)

    answers = Answers(made_up(finals, ("paper",)))
    assert answers.answer(claim("No method wins"), "paper") != SUPPORTED
    assert answers.answer(claim("Compression is of most"), "paper") == NOT_SHOWN


def test_a_method_that_falls_behind_is_refuted_and_two_seeds_answer_nothing() -> None:
    def finals(variant: str, task: str, method: str, hidden: int, seed: int) -> float:
        return level(task) - 40 * (method == "pruning") + noise(variant, task, method, hidden, seed)

    assert Answers(made_up(finals, ("paper",))).answer(claim("Pruning half"), "paper") == REFUTED
    few = Answers(made_up(finals, ("paper",), seeds=2))
    assert {few.answer(item, "paper") for item in CLAIMS} <= {TOO_FEW, None}


def test_another_task_has_its_curves_and_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid, "EVALUATION_EPISODES", 1)
    jobs = [Job("own", PolicySpec("mountaincar", method, 4, 0), 2) for method in PAPER_METHODS]
    results = Results([run_job(job).row for job in jobs])
    drawn = figures.draw_task(results, "mountaincar", tmp_path / "figures")
    assert {path.stem.split("-")[0] for path in drawn} == {"fig3", "fig4", "fig5", "fig6"}
    text = tables.tables(results)
    assert "## Returns, variant `own`" in text
    assert text.count("| mountaincar | pruning | 4 |") == 1


def test_results_are_those_of_the_jobs(results: Results, found: list[rows.Row]) -> None:
    cell = Cell("steady", "acrobot", "pruning", 16)
    row = next(item for item in found if (item["variant"], item["task"], item["method"]) == (
        cell.variant, cell.task, cell.method
    ))
    assert results.curves(cell).tolist() == [row["curve"]]
    assert results.deployed(cell).tolist() == [row["deployed"]]
    assert results.final(cell)[0] == pytest.approx(row["curve"][-1], abs=0.1)


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
        assert cost_of(policy) == results.best_cost(Cell("steady", "cartpole", method, 16))


def test_csim_of_the_matrix_agrees(results: Results) -> None:
    report = compare(results.best_policy(Cell("steady", "acrobot", "binaryconnect", 16)))
    assert report["mismatches"] == 0
    assert report["observations"] > 20_000


def test_learning_curves_of_runs_finished_and_not(tmp_path: Path) -> None:
    place, rng = tmp_path / "pong", np.random.default_rng(0)
    for name in ("fp-h128-s0", "fp-h128-s1", "fp-h128-s0-b4", "first-half"):
        (place / name / "policy").mkdir(parents=True)
        returns = rng.normal(size=100).tolist()
        (place / name / "policy" / "training.json").write_text(json.dumps({"training_returns": returns}))
        as_artefact(place / name / "policy")
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


def test_a_slice_of_the_grid_is_not_published(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"QUICK=1 makes a slice"):
        paper(quick=True, publish=True, root=tmp_path)
