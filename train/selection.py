"""Train several seeds side by side, keep each, and choose the one to deploy by validation episodes."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from hls4rl.artefact import Artefact, exclusive, verified, write_json
from hls4rl.backend import Backend
from hls4rl.contract import Argmax
from hls4rl.journal import SECONDS, note
from hls4rl.policy import Policy, PolicySpec, load_policy
from hls4rl.ranges import ranges_of, visited
from hls4rl.run import RUNS
from hls4rl.task import PPO, Search, Task
from hls4rl.train.parallel import Watch, in_processes, on_cluster
from hls4rl.train.trainers import load_trainer, resolve_trainer
from hls4rl.train.training import Standing, TrainingResult, train_policy
from hls4rl.verdict import Verdict, interval, with_interval

VALIDATION_SEED = 1_000_000
"""First environment seed of the episodes that choose among policies."""
EVALUATION_SEED = 0
"""First environment seed of the final evaluation."""
EVALUATION_EPISODES = 100


@dataclass(frozen=True)
class Selection:
    """Which of the trained seeds is deployed, and how all of them did."""

    chosen: PolicySpec
    path: Path
    """The JSON file that says the same."""
    results: dict[int, dict[str, Any]]
    """Each seed's ``training.json``."""


def policy_inputs(task: Task, spec: PolicySpec) -> dict[str, Any]:
    """All that a trained policy depends on, as plain JSON values.

    The paper's published rows carry a digest of them, so that what came later is left out where it changes nothing.

    Raises:
        ProjectError: the trainer that ``task`` asks for cannot train on it.
    """
    observation, network = asdict(task.resolved.observation), asdict(task.network)
    if not any(observation["offset"]):
        del observation["offset"]
    if network["activation"] == "relu":
        del network["activation"]
    trainer = resolve_trainer(task, spec)
    return {
        "spec": spec.to_inputs(),
        "environment": [task.environment, task.environment_options],
        "observation": observation,
        **({"wrappers": list(task.wrappers)} if task.wrappers else {}),
        **({"action": asdict(task.action)} if task.actions.is_continuous else {}),
        "network": network,
        "training": {key: value for key, value in asdict(task.training).items() if key not in ("seeds", "trainer")},
        "trainer": trainer,
        **({} if task.pixels is None else {"pixels": asdict(task.pixels)}),
        **({"search": asdict(task.search or Search())} if trainer == "search" else {}),
        **({"ppo": asdict(task.ppo or PPO())} if trainer == "ppo" else {}),
        **({"lqr": asdict(task.lqr)} if trainer == "lqr" and task.lqr is not None else {}),
        **({} if task.source is None else _source_inputs(task)),
    }


def _source_inputs(task: Task) -> dict[str, Any]:
    assert task.source is not None
    source = {"digest": task.source.digest, "distil": task.source.distil}
    return {"source": source, "distillation": asdict(task.distillation)}


def policy_artefact(task: Task, spec: PolicySpec, root: Path = RUNS) -> Artefact:
    """``<root>/<task>/<run>/policy/``: ``policy.safetensors`` and ``training.json``."""
    return Artefact(root / spec.task / spec.directory_name / "policy", policy_inputs(task, spec))


def train_seed(
    task: Task,
    spec: PolicySpec,
    root: Path = RUNS,
    progress: Callable[[Standing], None] | None = None,
) -> Path:
    """Train, validate, evaluate and save one policy unless that is done; returns the path of ``training.json``.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind.
    """
    artefact = policy_artefact(task, spec, root)
    if not artefact.is_current and not task.is_rounded:
        load_trainer(task, spec)
    run = artefact.directory.parent
    with exclusive(run):
        if not artefact.is_current:
            result, report = _trained(task, spec, progress, run)
            with artefact.build() as directory:
                result.policy.save(directory / "policy.safetensors")
                write_json(directory / "training.json", report)
    return artefact.directory / "training.json"


def _trained(
    task: Task, spec: PolicySpec, progress: Callable[[Standing], None] | None, run: Path
) -> tuple[TrainingResult, dict[str, Any]]:
    """The policy and its report; where an imported one loses return by rounding, of one that is trained after it."""
    logged = _logged(run, progress)
    result = train_policy(task, spec, logged, run)
    report = _report(task, result)
    if not task.is_rounded or not task.distillation.rounds or report["source"]["keeps_return"]:
        return result, report
    assert task.source is not None
    rounded = report["source"]
    means = [with_interval(rounded[f"{kind}_return"], rounded[f"{kind}_interval"]) for kind in ("integer", "float")]
    text = f"{spec.bits} bits lose return ({means[0]}, the float policy has {means[1]}): a policy is trained after it"
    note(run, text)
    if progress is not None:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"  [bold]{escape(text)}[/bold]")
    taught = dataclasses.replace(task, source=dataclasses.replace(task.source, distil=True))
    result = train_policy(taught, spec, logged, run)
    report = _report(taught, result)
    report["source"]["rounded"] = {key: value for key, value in rounded.items() if not key.startswith("float_")}
    return result, report


def _logged(
    directory: Path, progress: Callable[[Standing], None] | None
) -> Callable[[Standing], None]:
    """``progress``, which also goes to the log of the run in ``directory``, now and then."""
    last = -SECONDS

    def told(standing: Standing) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS or standing.episode >= standing.episodes:
            last = time.monotonic()
            note(directory, f"training: {standing}")
        if progress is not None:
            progress(standing)

    return told


def train_seeds(
    task: Task,
    spec: PolicySpec,
    root: Path = RUNS,
    progress: Watch | None = None,
    scheduler: str | None = None,
) -> Selection:
    """Train ``task.training.seeds`` policies that differ from ``spec`` in the seed alone (0, 1, …), and choose one.

    The best mean return over the validation episodes wins, the lowest seed among equals.

    Args:
        scheduler: see :func:`train_missing`.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind.
    """
    specs = [dataclasses.replace(spec, seed=seed) for seed in range(task.training.seeds)]
    train_missing(task, specs, root, progress, scheduler)
    paths = {item.seed: policy_artefact(task, item, root).directory / "training.json" for item in specs}
    results = {seed: json.loads(path.read_text(encoding="utf-8")) for seed, path in paths.items()}
    best = max(specs, key=lambda item: (results[item.seed]["validation_return"], -item.seed))
    return _write_selection(best, results, root, task.solved)


def train_missing(
    task: Task, specs: Sequence[PolicySpec], root: Path = RUNS, progress: Watch | None = None,
    scheduler: str | None = None,
) -> None:
    """Train those of ``specs`` that aren't there, in processes of their own, as many at once as there are processors.

    Args:
        scheduler: of a Dask cluster (``tcp://host:port``), where they are trained instead, without progress.

    Raises:
        ProjectError: the task's environment cannot be made or is of another kind; nothing answers at ``scheduler``.
    """
    missing = [item for item in specs if not policy_artefact(task, item, root).is_current]
    if scheduler and missing:
        for spec, files in on_cluster(train_seed, task, missing, scheduler):
            artefact = policy_artefact(task, spec, root)
            with exclusive(artefact.directory.parent):
                artefact.adopt(files)
    elif len(missing) == 1:
        only = missing[0].seed
        watch = (lambda standing: progress(only, standing)) if progress else None
        train_seed(task, missing[0], root, watch)
    elif missing:
        in_processes(train_seed, task, missing, root, progress)


def deployed_policy(task: Task, spec: PolicySpec, root: Path = RUNS) -> Policy:
    """The saved policy ``spec``.

    Raises:
        ProjectError: it isn't trained yet, or its file is damaged.
    """
    directory = policy_artefact(task, spec, root).directory
    verified(directory, "run `make train` again", spec=spec.to_inputs())
    return load_policy(directory / "policy.safetensors")


def _report(task: Task, result: TrainingResult) -> dict[str, Any]:
    from hls4rl.gym_loop import Sampling, play
    from hls4rl.integer_backend import IntegerBackend  # equal to the Brevitas module, and needs no torch

    episodes = task.training.evaluation_episodes or EVALUATION_EPISODES
    if task.source is not None:
        return _report_of_import(task, result, episodes)
    backend = IntegerBackend(result.policy.network)
    validation = play(task, backend, task.training.validation_episodes, VALIDATION_SEED)
    greedy = play(task, backend, episodes, EVALUATION_SEED)
    sampled, output = None, result.policy.contract.output
    if isinstance(output, Argmax):
        rng = np.random.default_rng(result.policy.spec.seed)
        sampling = Sampling(backend, result.policy.contract.logit_lsb, rng, output)
        sampled = play(task, sampling, episodes, EVALUATION_SEED)
    verdict = Verdict(
        greedy.mean_return, interval(greedy.returns),
        sampled.mean_return if sampled else None, interval(sampled.returns) if sampled else None, task.solved,
    )
    return {
        "validation_return": validation.mean_return,
        **verdict.to_json(),
        **_of_training(result),
        **({} if not isinstance(task.observation.scale, str) else {"observation": _measured(task, backend)}),
    }


def _of_training(result: TrainingResult) -> dict[str, Any]:
    return {
        "spec": result.policy.spec.to_json(),
        "contract": result.policy.contract.to_json(),
        "steps": result.steps,
        "steps_per_second": round(result.steps_per_second, 1),
        "training_returns": result.returns.tolist(),
        **({"training_steps": result.ends.tolist()} if len(result.ends) else {}),
        **({} if result.saturated is None else {"saturated": result.saturated}),
    }


def _report_of_import(task: Task, result: TrainingResult, episodes: int) -> dict[str, Any]:
    """What an imported policy, or one that was trained after it, does beside the one in real numbers."""
    from hls4rl.train.pretrained.imported import compared

    found = compared(task, result.policy, episodes, EVALUATION_SEED)
    verdict = Verdict(found["integer_return"], found["integer_interval"], None, None, task.solved)
    return {"validation_return": found["integer_return"], **verdict.to_json(), **_of_training(result), "source": found}


def _measured(task: Task, backend: Backend) -> dict[str, Any]:
    """The scales and offsets that were measured, and what of the trained policy's own episodes they cut off."""
    seen = visited(task, lambda floats: backend.infer(task.integers(floats)).actions)
    proposed = ranges_of(task, seen)
    return {
        "scale": task.converter.scale.tolist(), "offset": task.converter.offset.tolist(),
        "saturated": task.converter.saturated(seen).tolist(),
        "proposed_scale": proposed.scale.tolist(), "proposed_offset": proposed.offset.tolist(),
    }


def _write_selection(
    best: PolicySpec, results: dict[int, dict[str, Any]], root: Path, solved_from: float | None
) -> Selection:
    directory = root / best.task
    path = directory / f"{best.directory_name.replace(f'-s{best.seed}', '-selection', 1)}.json"
    scores = {seed: result["validation_return"] for seed, result in results.items()}
    values = np.array(list(scores.values()))
    write_json(path, {
        "task": best.task,
        "method": best.method,
        "hidden": best.shape,
        "chosen_seed": best.seed,
        "chosen_directory": best.directory_name,
        "chosen_by": "mean greedy return over the validation episodes",
        "validation_returns": {str(seed): value for seed, value in scores.items()},
        "validation_mean": float(values.mean()),
        "validation_deviation": float(values.std()),
        "greedy_returns": {str(seed): result["greedy_return"] for seed, result in results.items()},
        "sampled_returns": {str(seed): result["sampled_return"] for seed, result in results.items()},
        **Verdict.of(results[best.seed] | {"solved_from": solved_from}).to_json(),
    })
    return Selection(best, path, results)
