"""Send the grid's best policies through export and the g++ C-simulation, and compare every logit."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.artefact import Artefact, write_json
from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.export.writer import QONNX_FILE
from hls4rl.gym_loop import play
from hls4rl.hls_projects.evaluate import differing
from hls4rl.integer_backend import IntegerBackend
from hls4rl.policy import Policy
from hls4rl.processes import worker_pool
from hls4rl.studies.paper.results import Cell, Results
from hls4rl.task import Task, load_task
from hls4rl.train.selection import EVALUATION_SEED

RANDOM_OBSERVATIONS = 20_000
EPISODES = 20
REPORT = "csim.json"


def check_best(results: Results, place: Path) -> Iterator[dict[str, Any]]:
    """Yield the comparison of each ``steady`` cell's best policy; kept under ``place``, so it isn't made twice.

    Raises:
        ProjectError: g++ is missing, or an executor differs.
    """
    cells = [cell for cell in results.cells if cell.variant == "steady"]
    artefacts = {cell: _artefact(results, cell, place) for cell in cells}
    missing = [cell for cell in cells if not artefacts[cell].is_current]
    with worker_pool(min(os.cpu_count() or 1, max(1, len(missing)))) as pool:
        made = {cell: pool.submit(compare, results.best_policy(cell)) for cell in missing}
        for cell in cells:
            if cell in made:
                report = made[cell].result()
                with artefacts[cell].build() as directory:
                    write_json(directory / REPORT, report)
            yield json.loads((artefacts[cell].directory / REPORT).read_text(encoding="utf-8"))


def compare(policy: Policy) -> dict[str, Any]:
    """Logits of the C-simulation against the policy's, on visited, random and extreme observations."""
    from hls4rl.export import export_policy
    from hls4rl.hls_projects.hls.convert import write_project
    from hls4rl.hls_projects.hls.csim import CsimBackend, build_csim

    task, reference = load_task(policy.spec.task), IntegerBackend(policy.network)
    observations = _observations(task, reference)
    with tempfile.TemporaryDirectory() as directory:
        onnx, project = Path(directory) / "onnx", Path(directory) / "hls4ml"
        onnx.mkdir()
        project.mkdir()
        export_policy(policy, onnx)
        write_project(onnx / QONNX_FILE, task.hardware, project)
        build_csim(project)
        wrong = differing(CsimBackend(project).infer(observations), reference.infer(observations))
    return {
        "task": policy.spec.task, "method": policy.spec.method, "hidden": policy.spec.hidden[0],
        "seed": policy.spec.seed, "observations": len(observations), "mismatches": int(np.count_nonzero(wrong)),
    }


def _artefact(results: Results, cell: Cell, place: Path) -> Artefact:
    inputs = {"policy": results.best_inputs(cell), "random_observations": RANDOM_OBSERVATIONS}
    return Artefact(place / "csim" / cell.task / f"{cell.method}-h{cell.hidden}", inputs)


def _observations(task: Task, backend: IntegerBackend) -> IntArray:
    kind, visited = task.observation.type, []

    def watch(observations: IntArray, answer: Answer) -> None:
        visited.append(observations)

    play(task, backend, EPISODES, EVALUATION_SEED, watch)
    features = task.features
    extremes = np.array([[kind.minimum] * features, [kind.maximum] * features, [0] * features, [1] * features])
    random = np.random.default_rng(0).integers(kind.minimum, kind.maximum + 1, (RANDOM_OBSERVATIONS, features))
    return np.concatenate([*visited, extremes, random])
