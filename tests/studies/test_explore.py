"""The search for small cores: its space, its front, its trials, and that it goes on where it was."""

from __future__ import annotations

import json
import shlex
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from pretrained_files import network
from random_policies import random_policy

from hls4rl.errors import ProjectError
from hls4rl.gym_loop import play
from hls4rl.integer_backend import IntegerBackend
from hls4rl.options import PolicyOptions
from hls4rl.policy import PolicySpec
from hls4rl.studies.explore import search
from hls4rl.studies.explore.front import Point, dominated, front
from hls4rl.studies.explore.robust import robustness
from hls4rl.studies.explore.space import Candidate, first_guesses, shapes, suggest, usual
from hls4rl.studies.explore.trial import KEYS, Job, look_up_tables, run_trial
from hls4rl.studies.explore.verbs import seconds_of
from hls4rl.task import Source, Task, change, load_task
from hls4rl.train.greedy import greedy_returns
from hls4rl.train.methods import METHODS
from hls4rl.train.pretrained.saved import save_policy
from hls4rl.train.training import train_policy

TASK = load_task("cartpole")
PART = "ecp5-25f"


def candidate(task: Task, environment: str, **changes: Any) -> Candidate:
    method = changes.get("method", "ternary")
    guess = {
        "method": method, "hidden": 2, "input_bits": 2, "group": 1, "part": PART, "stages": 1, "fold": 0, "bits": 3,
        "weight_integer_bits": 1, "activation_bits": 3, "activation_integer_bits": 1, "clusters": 3, "percentile": 50,
        **{f"shift{index}": index % 2 for index in range(len(task.observation.scale))}, **changes,
    }
    return suggest(optuna.trial.FixedTrial(guess), task, environment, (PART,), 3)


def test_a_point_is_dominated_by_what_is_as_good_in_all_and_better_in_one() -> None:
    point = Point(200.0, 10, 5.0, 1.0)
    assert not dominated(point, [point])
    assert not dominated(point, [Point(200.0, 9, 5.1, 1.0), Point(199.0, 1, 1.0, 0.1)])
    assert dominated(point, [Point(200.0, 10, 5.0, 0.9)])


def test_the_front_is_of_placed_trials_alone() -> None:
    def trial(status: str, mean: float, lut: int) -> dict[str, Any]:
        return {"status": status, "return": 0.0, "validation_return": mean, "validation_robust": 500.0, "lut": lut,
                "latency_ns": 2.0, "energy_pj": 1.0}

    trials = [trial("placed", 150.0, 3), trial("unfit", 200.0, 1), trial("placed", 200.0, 9), trial("placed", 199.0, 9),
              trial("placed", 150.0, 3)]
    assert front(trials) == [2, 0]


@pytest.mark.parametrize("method", METHODS)
def test_the_line_of_a_candidate_means_that_candidate(method: str) -> None:
    item = candidate(TASK, "cartpole", method=method)
    words = dict(word.split("=", 1) for word in shlex.split(item.command)[2:])
    defaults = {"PERCENTILE": 50, "BITS": 8, "CLUSTERS": 8}
    numbers = {key: float(words.get(key, default)) for key, default in defaults.items()}
    task, spec = PolicyOptions(
        words["ENV"], words["METHOD"], int(words["HIDDEN"]), int(words["SEED"]), int(numbers["BITS"]),
        int(numbers["CLUSTERS"]), numbers["PERCENTILE"], int(words.get("ACTIVATION_BITS", 0)),
        settings=words["SET"],
    ).read()
    assert (task, spec) == (item.task(TASK), item.spec)
    assert task.observation.bits == 2
    assert task.observation.scale == (0.25, 1.0, 8.0, 1.0)
    assert task.hardware.stages == 1


@pytest.mark.parametrize("name", ["cartpole", "acrobot", "mountaincar", "pendulum"])
def test_first_guesses_lie_in_the_space(name: str) -> None:
    task = load_task(name)
    for guess in first_guesses(task, (PART,)):
        item = suggest(optuna.trial.FixedTrial(guess), task, name, (PART,), 3)
        assert item.task(task).observation.scale == task.observation.scale


def test_continuous_tasks_are_searched_for_any_depth_and_their_actions_width() -> None:
    task = load_task("pendulum")
    items = [candidate(task, "pendulum", hidden=hidden, action_bits=3) for hidden in (0, 4, "8x8")]
    assert [item.spec.hidden for item in items] == [(), (4,), (8, 8)]
    assert {item.task(task).action.bits for item in items} == {3}
    assert "action.bits=3" in items[0].command
    with pytest.raises(ValueError, match="0"):
        candidate(TASK, "cartpole", hidden=0)


def test_a_folded_core_is_a_candidate_too() -> None:
    item = candidate(TASK, "cartpole", fold=4)
    assert "hardware.fold=4" in item.command
    assert "hardware.stages" not in item.command
    assert item.task(TASK).hardware.fold == 4


def test_the_line_of_a_student_means_that_student(tmp_path: Path) -> None:
    """All that follows from the teacher is written out, so that the line does not measure it again."""
    save_policy(network([3, 4, 1]), tmp_path / "teacher.safetensors", output="tanh")
    task, source = load_task("pendulum"), Source(str(tmp_path / "teacher.safetensors"), distil=True)
    base = usual(task, "", source)
    assert base.source is not None
    assert 0 in shapes(replace(TASK, source=base.source))  # no kernel trains students
    guess = first_guesses(base, (PART,))[0]
    item = suggest(optuna.trial.FixedTrial(guess), task, "pendulum", (PART,), 1, "", source)
    words = dict(word.split("=", 1) for word in shlex.split(item.command)[2:])
    assert words["TEACHER"] == source.policy
    read, spec = PolicyOptions(
        words["ENV"], words["METHOD"], words["HIDDEN"], int(words["SEED"]), int(words.get("BITS", 8)),
        activation_bits=int(words.get("ACTIVATION_BITS", 0)), settings=words["SET"], teacher=words["TEACHER"],
    ).read()
    assert (read, spec) == (item.task(task), item.spec)
    assert read.observation.scale == base.observation.scale
    assert read.observation.offset == base.observation.offset
    assert read.hardware.fold == guess["fold"]


def test_settings_given_for_all_candidates_are_in_their_lines() -> None:
    guess = first_guesses(TASK, (PART,))[0]
    item = suggest(optuna.trial.FixedTrial(guess), TASK, "cartpole", (PART,), 3, "training.episodes=77")
    assert item.task(TASK).training.episodes == 77
    assert "training.episodes=77" in item.command
    assert item.spec.variant == change(TASK, item.settings)[1] != ""


def test_changes_of_settings_are_typed_and_named() -> None:
    same, nothing = change(TASK, "observation.bits=3 hardware.clock_mhz=99")
    assert (nothing, same.hardware.clock_mhz) == ("", 99.0)  # what is built does not change which policy it is
    _, one = change(TASK, "observation.bits=2  observation.scale=[1, 0.5, 8, 1]")
    _, other = change(TASK, "observation.scale=[1,0.5,8.0,1] observation.bits=2")
    assert one == other != change(TASK, "observation.bits=2")[1]
    assert PolicySpec("cartpole", "fp", 4, 0, variant=one).directory_name == f"fp-h4-s0-v{one}"
    for text in ("bits=2", "observation.bits=two", "observation.colour=1", "weather.bits=2", "observation.bits=99"):
        with pytest.raises(ProjectError, match="SET"):
            change(TASK, text)


def test_later_settings_leave_files_as_they_were() -> None:
    assert "variant" not in PolicySpec("cartpole", "fp", 4, 0).to_json()
    assert PolicySpec("cartpole", "fp", 4, 0, activation_bits=3).to_json()["activation_bits"] == 3


@pytest.mark.parametrize("name", ["cartpole", "acrobot"])
@pytest.mark.parametrize("method", ["ternary", "pruning"])
def test_compiled_greedy_episodes_are_gymnasiums(name: str, method: str) -> None:
    task, policy = load_task(name), random_policy(name, method, hidden=3, seed=4)
    expected = play(task, IntegerBackend(policy.network), 5, 1_000_000)
    assert greedy_returns(task, policy, 5, 1_000_000).tolist() == expected.returns.tolist()


@pytest.mark.parametrize("method", METHODS)
def test_the_network_of_a_policy_has_its_integers(method: str) -> None:
    policy = random_policy("acrobot", method)
    kind = policy.contract.observation
    observations = np.random.default_rng(0).integers(kind.minimum, kind.maximum + 1, (200, 6))
    expected = IntegerBackend(policy.network).infer(observations).logits
    assert np.array_equal(policy.network.infer(observations), expected)
    assert look_up_tables(policy.network) > 1


def test_a_task_never_seen_before_is_trained_and_placed_from_its_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "hill.toml"
    path.write_text(
        'environment = "MountainCar-v0"\n'
        + "[observation]\nscale = [0.5, 8]\nbits = 8\n[training]\nepisodes = 2\nvalidation_episodes = 2\n"
        "[hardware]\nplace_seeds = 1\n", encoding="utf-8",
    )
    task = load_task(str(path))
    job = Job(task, candidate(task, str(path), group=0), 1, (), -1e9, float("inf"), 600.0)
    answer = run_trial(job)
    assert answer["status"] == "placed", answer
    assert set(answer) == set(KEYS)
    assert answer["return"] == -200.0
    assert answer["solved"] is None
    assert 0 < answer["lut"] < 100
    assert answer["latency_ns"] == pytest.approx(1000 / answer["fmax_mhz"], abs=0.01)

    beaten = run_trial(replace(job, front=(Point(0.0, 0, 0.0, 0.0),)))
    assert (beaten["status"], beaten["lut"]) == ("dominated", None)
    assert run_trial(replace(job, floor=0.0))["status"] == "unfit"
    assert run_trial(replace(job, seconds=0.0))["status"] == "late"


class Here(Executor):
    """Runs a made-up trial at once."""

    def __init__(self, stop_after: int) -> None:
        self._left = stop_after

    def submit(self, function: Any, /, job: Job, **_: Any) -> Future[dict[str, Any]]:  # type: ignore[override]
        future: Future[dict[str, Any]] = Future()
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        spec = job.candidate.spec
        future.set_result(dict.fromkeys(KEYS) | {
            "command": job.candidate.command, "status": "placed",
            "validation_return": 200.0, "validation_robust": 500.0, "return": 200.0, "solved": True, "seconds": 0.0,
            "hidden": spec.shape, "method": spec.method, "lut": 10 * spec.hidden[0],
            "latency_ns": 5.0, "energy_pj": 1.0,
        })
        return future


def test_a_search_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def executor(*_: Any) -> Any:
        yield Here(8), 1

    monkeypatch.setattr(search, "_executor", executor)
    for done in (8, 16, 24):
        with pytest.raises(KeyboardInterrupt):
            search.explore(TASK, "cartpole", seconds=60, root=tmp_path)
        result = json.loads((tmp_path / "cartpole" / "explore" / search.RESULT).read_text(encoding="utf-8"))
        assert len(result["trials"]) == done
        best = next(trial for trial in result["trials"] if trial["number"] == result["smallest_solving"])
        assert best["lut"] == min(trial["lut"] for trial in result["trials"]) == 10
        assert result["front"] == [best["number"]]
        assert len({trial["command"] for trial in result["trials"]}) == done  # nothing is tried twice
    assert 9.0 < result["random_return"] < 40.0


def test_a_core_that_ignores_the_cart_solves_and_is_not_robust() -> None:
    """It balances the pole for 200 steps and has left the track by 500, so that it isn't the smallest robust one."""
    policy = train_policy(TASK, PolicySpec("cartpole", "ternary", 2, 0)).policy
    blind = replace(policy, weights=(policy.weights[0] * np.array([0, 0, 1, 1], dtype=np.float32), policy.weights[1]))
    check = robustness(TASK)
    assert (check.task.environment, check.bar) == ("CartPole-v1", 475.0)
    assert check.passes(check.mean(IntegerBackend(blind.network), 20, 0)) is False
    trials = [
        {"status": "placed", "validation_return": 200.0, "validation_robust": robust, "lut": lut, "latency_ns": 2.0,
         "energy_pj": 1.0} for lut, robust in ((2, 284.0), (9, 500.0), (10, 499.0))
    ]
    assert front(trials) == [0, 1]


class Told(Here):
    """Trials as :class:`Here` makes them, with an evaluation of its own."""

    def __init__(self, stop_after: int, evaluation: float) -> None:
        super().__init__(stop_after)
        self._evaluation = evaluation

    def submit(self, function: Any, /, job: Job, **_: Any) -> Future[dict[str, Any]]:  # type: ignore[override]
        future, mean = super().submit(function, job), self._evaluation
        future.result().update({"return": mean, "solved": mean > 100, "robust_return": mean})
        return future


@pytest.fixture(scope="module")
def seen() -> list[Any]:
    """What the first of the two searches below came to."""
    return []


@pytest.mark.xdist_group("explored")  # the second is compared with the first
@pytest.mark.parametrize("evaluation", [200.0, 0.0])
def test_the_search_never_sees_the_evaluation(
    evaluation: float, seen: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials that differ in the evaluation and nothing else lead to equal values, proposals and choices."""
    @contextmanager
    def executor(*_: Any) -> Any:
        yield Told(6, evaluation), 1

    monkeypatch.setattr(search, "_executor", executor)
    with pytest.raises(KeyboardInterrupt):
        search.explore(TASK, "cartpole", seconds=60, root=tmp_path)
    place = tmp_path / "cartpole" / "explore"
    result = json.loads((place / search.RESULT).read_text(encoding="utf-8"))
    storage = search.JournalStorage(search.JournalFileBackend(str(place / search.JOURNAL)))
    trials = optuna.load_study(study_name=None, storage=storage).trials
    seen.append([
        [trial.values for trial in trials], [trial["command"] for trial in result["trials"]],
        result["front"], result["smallest_solving"], result["smallest_robust"],
    ])
    assert seen[0] == seen[-1]


def test_noise_on_the_sensors_is_the_same_for_the_same_seed() -> None:
    task = load_task("acrobot")
    check = robustness(task)
    assert check.bar == task.solved
    noisy, plain = check.task.make(), task.make()
    first, again, quiet = noisy.reset(seed=3)[0], noisy.reset(seed=3)[0], plain.reset(seed=3)[0]
    assert np.array_equal(first, again)
    # 2 % of the largest value that each feature's converter takes: 1 over its scale.
    deviation = np.abs(first - quiet) / (0.02 / np.array(task.observation.scale))
    assert 0.1 < deviation.mean() < 3.0


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("30m", 1800.0), ("1.5h", 5400.0)])
def test_budgets(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "0m", "soon", "-5m"])
def test_budgets_that_are_none(text: str) -> None:
    with pytest.raises(ProjectError, match="BUDGET"):
        seconds_of(text)


def test_a_part_without_timing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no open place and route"):
        search.explore(TASK, "cartpole", seconds=1, root=tmp_path, parts=("xc7",))
