"""Imported policies: rounded as they are, beside their floats, and as a run like any other."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import worlds  # noqa: F401 (registers the environments)
from pretrained_files import network, outputs
from torch import nn
from typer.testing import CliRunner

import hls4rl
from hls4rl.__main__ import app
from hls4rl.contract import Argmax, Contract, FixedPoint, FloatArray, LayerType, bias_type
from hls4rl.errors import ProjectError
from hls4rl.export.writer import export_policy
from hls4rl.hls_projects.summary import source_rows
from hls4rl.options import PolicyOptions
from hls4rl.policy import Policy, PolicySpec
from hls4rl.ranges import visited
from hls4rl.run import Run
from hls4rl.task import PPO, Distillation, Pixels, Search, Source, Task, Training
from hls4rl.train.pretrained.comparison import compare
from hls4rl.train.pretrained.float_policy import Fitted, FloatPolicy, Normaliser
from hls4rl.train.pretrained.imported import METHOD, prepare
from hls4rl.train.pretrained.quantisation import quantise
from hls4rl.train.selection import train_seed
from hls4rl.train.trainers import resolve_trainer
from hls4rl.train.training import train_policy

FEATURES = 12
WORLD_OUTPUTS = {"discrete": 3, "multidiscrete": 8, "multibinary": 3, "box": 2}


def written(place: Path, sizes: list[int], output: str = "logits", activation: type[nn.Module] = nn.Tanh) -> Path:
    """A random network's file, with a normaliser."""
    class Statistics:
        mean = np.linspace(-0.2, 0.3, sizes[0])
        var = np.linspace(0.5, 2.0, sizes[0])

    path = place / "policy.safetensors"
    hls4rl.save_policy(network(sizes, activation), path, Statistics(), output)
    return path


def rounded(task: Task, path: Path, bits: int) -> tuple[Task, Policy]:
    """The task and the integers of the policy in ``path``."""
    spec = PolicySpec(task.name, "binarynet", (16,), 0, bits)
    task, spec = prepare(task, spec, Source(str(path)), (), (None, None))
    return task, train_policy(task, spec).policy


@pytest.mark.parametrize("actions", WORLD_OUTPUTS)
def test_every_action_space_keeps_its_actions_at_16_bits(actions: str, tmp_path: Path) -> None:
    task = Task(name="world", environment=f"Worlds/{actions}-v0")
    path = written(tmp_path, [FEATURES, 7, WORLD_OUTPUTS[actions]], "clip" if actions == "box" else "logits", nn.ReLU)
    task, policy = rounded(task, path, 16)
    fitted = Fitted.of(task, _read(path), "test")
    found = compare(fitted, policy.network, 4, 0)
    assert found["steps"] == 320
    assert found["equal_actions"] > (0.2 if actions == "box" else 0.98)
    if actions == "box":
        assert found["largest_action_error"] < 10.0 / 2**10


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.ELU, nn.SiLU, nn.LeakyReLU])
@pytest.mark.parametrize(("bits", "allowed"), [(16, 0.005), (8, 0.1)])
def test_the_integers_compute_the_squashed_action_of_every_activation(
    activation: type[nn.Module], bits: int, allowed: float, tmp_path: Path
) -> None:
    """Against PyTorch itself, in the space's units of ±2, on what random episodes visit."""
    path = written(tmp_path, [3, 8, 8, 1], "tanh", activation)
    task, policy = rounded(Task(name="p", environment="Pendulum-v1"), path, bits)
    seen = visited(task, steps=400)
    actions = np.array([task.actions.decode(row) for row in policy.network.infer(task.integers(seen))])
    statistics = (seen - np.linspace(-0.2, 0.3, 3)) / np.sqrt(np.linspace(0.5, 2.0, 3) + 1e-8)
    expected = 2 * np.tanh(outputs(network([3, 8, 8, 1], activation), statistics))
    assert np.quantile(np.abs(actions - expected), 0.95) < allowed
    assert expected.std() > 0.01  # something is computed


def test_a_normaliser_that_cuts_is_cut_at_the_same_place() -> None:
    policy = FloatPolicy(
        "test", (np.array([[1.0], [-1.0]]),), (np.array([0.5, 0.0]),), ("identity",), "logits",
        Normaliser(np.array([0.5]), np.array([0.25]), 2.0),
    )
    values = np.array([[-9.0], [0.0], [0.5], [1.0], [9.0]])
    assert policy.raw(values).tolist() == [[-1.5, 2.0], [-1.5, 2.0], [0.5, 0.0], [2.5, -2.0], [2.5, -2.0]]


def test_a_policy_for_another_environment_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, [4, 5, 2])
    for environment, said in (("Acrobot-v1", "4 features"), ("Pendulum-v1", "4 features")):
        with pytest.raises(ProjectError, match=said):
            rounded(Task(name="x", environment=environment), path, 8)
    with pytest.raises(ProjectError, match="logits"):
        rounded(Task(name="x", environment="Pendulum-v1"), written(tmp_path, [3, 5, 1]), 8)


def test_an_imported_run_is_like_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, [4, 5, 2])
    words = ["train", "--env", "CartPole-v1", "--policy", str(path), "--bits", "12", "--root", str(tmp_path),
             "--set", "training.evaluation_episodes=5"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    options = PolicyOptions("CartPole-v1", policy=str(path), bits=12, root=tmp_path,
                            settings="training.evaluation_episodes=5")
    task, spec = options.read()
    run = Run(spec, tmp_path)
    assert (spec.method, spec.hidden, spec.bits, len(spec.variant)) == (METHOD, (5,), 12, 8)
    assert (task.observation.bits, task.hardware.fold, task.training.seeds) == (12, "auto", 1)
    report = json.loads(run.policy.with_name("training.json").read_text(encoding="utf-8"))
    assert report["source"]["episodes"] == 5
    assert report["source"]["steps"] >= 80
    policy = run.load_policy()
    before = run.policy.stat().st_mtime_ns
    assert CliRunner().invoke(app, words).exit_code == 0
    assert run.policy.stat().st_mtime_ns == before  # a second call makes nothing again
    assert policy.network.infer(np.zeros((1, 4), dtype=np.int64)).shape == (1, 2)


def test_where_rounding_loses_return_a_policy_is_trained_after_it(tmp_path: Path) -> None:
    """A policy that balances well, and at two bits not at all."""
    model = network([4, 2])
    model[0].weight.data = torch.tensor([[-0.1, -0.4, -1.0, -0.4], [0.1, 0.4, 1.0, 0.4]])
    model[0].bias.data.zero_()
    hls4rl.save_policy(model, tmp_path / "policy.safetensors")
    settings = ("training.evaluation_episodes=2 distillation.steps=64 distillation.updates=5 "
                "distillation.validation_episodes=1 distillation.rounds=")
    found = []
    for rounds in (1, 0):
        options = PolicyOptions("CartPole-v1", policy=str(tmp_path / "policy.safetensors"), bits=2, root=tmp_path,
                                settings=f"{settings}{rounds}")
        task, spec = options.read()
        found.append(json.loads(train_seed(task, spec, tmp_path).read_text(encoding="utf-8")))
        assert Run(spec, tmp_path).load_policy().spec.bits == 2
    assert [item["source"]["distilled"] for item in found] == [True, False]
    assert found[1]["source"]["float_return"] > 300
    assert not found[1]["source"]["keeps_return"]
    assert found[0]["source"]["rounded"]["integer_return"] == found[1]["source"]["integer_return"] < 20
    assert [item["steps"] > 0 for item in found] == [True, False]
    rows = dict(source_rows(found[0]["source"]))
    assert rows["… only rounded, which lost too much"].startswith(f"{found[1]['source']['integer_return']:.2f}")


def test_settings_that_are_given_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path, [4, 5, 2])
    options = PolicyOptions("CartPole-v1", policy=str(path), bits=12,
                            settings="observation.bits=9 hardware.fold=2")
    task, _ = options.read()
    assert (task.observation.bits, task.hardware.fold) == (9, 2)


def test_a_task_file_names_no_policy(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('environment = "CartPole-v1"\n[source]\npolicy = "/etc/passwd"\n', encoding="utf-8")
    with pytest.raises(ProjectError, match="unknown key 'source'"):
        hls4rl.load_task(str(path))


def test_an_id_of_gymnasium_is_a_task() -> None:
    task = hls4rl.load_task("Worlds/discrete-v0")
    assert (task.name, task.environment, task.features) == ("Worlds-discrete-v0", "Worlds/discrete-v0", FEATURES)


@pytest.mark.parametrize(("actions", "hidden"), [("multidiscrete", (7,)), ("box", ())])
def test_a_student_learns_what_its_teacher_does(actions: str, hidden: tuple[int, ...], tmp_path: Path) -> None:
    """One that did not learn would share a twelfth of the choices, or be off by half of the range."""
    task = Task(name="world", environment=f"Worlds/{actions}-v0")
    box = actions == "box"
    path = written(tmp_path, [FEATURES, WORLD_OUTPUTS[actions]], "tanh" if box else "logits", nn.ReLU)
    task = dataclasses.replace(task, distillation=Distillation(2, 480, 80, 128, 2e-2, 1))
    spec = PolicySpec(task.name, "fp", hidden, 0, 8)
    task, spec = prepare(task, spec, Source(str(path), distil=True), (), ("fp", "x"))
    made = train_policy(task, spec)
    found = compare(Fitted.of(task, _read(path), "test"), made.policy.network, 2, 0)
    assert made.policy.spec.hidden == hidden
    if box:
        assert found["mean_action_error"] < 0.3
        again = train_policy(task, spec).policy
        assert all(np.array_equal(*pair) for pair in zip(made.policy.weights, again.weights, strict=True))
    else:
        assert found["equal_actions"] > 0.6


@pytest.mark.parametrize("section", [{"search": Search()}, {"ppo": PPO()}, {"pixels": Pixels()}])
def test_a_teacher_goes_before_what_the_tasks_file_asks_for(section: dict[str, Any]) -> None:
    task = Task("world", "Worlds/box-v0", source=Source("teacher.zip", distil=True), **section)
    assert resolve_trainer(task, PolicySpec("world", "fp", (), 0, 8)) == "distil"
    deaf = dataclasses.replace(task, training=Training(trainer="ppo"))
    with pytest.raises(ProjectError, match="TRAINER=ppo listens to no teacher; leave it out, or take search"):
        resolve_trainer(deaf, PolicySpec("world", "fp", (), 0, 8))


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_a_search_goes_on_from_an_imported_policy(hidden: tuple[int, ...], tmp_path: Path) -> None:
    """With a step of nothing it is the rounded policy; with one it is a run like any other."""
    task = dataclasses.replace(
        Task(name="world", environment="Worlds/box-v0"),
        training=Training(episodes=16), search=Search(directions=4, top=2, trial_episodes=2, validation_episodes=4),
    )
    path = written(tmp_path, [FEATURES, *hidden, WORLD_OUTPUTS["box"]], "clip", nn.ReLU)
    task, spec = prepare(task, PolicySpec(task.name, "fp", (), 0, 4), Source(str(path)), (), (None, None))
    plain = train_policy(task, spec).policy
    searching = dataclasses.replace(task, training=dataclasses.replace(task.training, trainer="search"))
    assert plain.spec.hidden == hidden
    assert (task.is_rounded, searching.is_rounded) == (True, False)
    assert task.search is not None
    still = train_policy(dataclasses.replace(searching, search=dataclasses.replace(task.search, step=1e-9)), spec)
    assert still.policy.contract == plain.contract
    assert len(still.returns) == 16
    for ours, theirs in zip(still.policy.network.layers, plain.network.layers, strict=True):
        assert np.array_equal(ours.weight, np.maximum(theirs.weight, -7))  # as many steps below zero as above it
    made = train_seed(searching, spec, tmp_path)
    report = json.loads(made.read_text(encoding="utf-8"))
    assert report["source"]["file"] == path.name
    assert len(report["training_returns"]) == 16


@pytest.mark.parametrize(("options", "said"), [
    ({"policy": "a.zip", "trainer": "ppo"}, "no TRAINER is to be chosen but search"),
    ({"policy": "a.zip", "teacher": "b.zip"}, "both given"), ({"normaliser": "n.pkl"}, "POLICY or TEACHER"),
    ({"policy": "nowhere.zip"}, "no such file"),
])
def test_wrong_options_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        PolicyOptions(**options).read()


def test_a_policy_without_biases_is_exported(tmp_path: Path) -> None:
    """QONNX and ONNX are executed as they stand, and held against the policy; a bias of one bit is a sign there."""
    kind, weights = FixedPoint(4, 1), np.random.default_rng(0).integers(-7, 8, (2, 4)) / 8
    for whole in (-64, -5, -4):
        bias = bias_type(kind.lsb * kind.lsb, whole)
        assert bias.bits >= 2
        assert bias.lsb == kind.lsb * kind.lsb
        contract = Contract(kind, (LayerType(kind, bias, None),), Argmax())
        policy = Policy(
            PolicySpec("cartpole", "fp", (), 0, 4), contract, (weights.astype(np.float32),), (np.zeros(2, np.float32),)
        )
        export_policy(policy, tmp_path)


def test_quantising_is_exact_where_the_numbers_are(tmp_path: Path) -> None:
    """Weights and observations that have few bits come out as they are: each action, at every step."""
    rng = np.random.default_rng(0)
    weights = tuple(rng.integers(-7, 8, shape) / 8.0 for shape in ((6, 4), (2, 6)))
    policy = FloatPolicy("test", weights, (np.zeros(6), np.zeros(2)), ("relu", "identity"), "logits")
    task = dataclasses.replace(
        Task(name="c", environment="CartPole-v1"),
        observation=dataclasses.replace(Task("c", "CartPole-v1").observation, scale=(0.25,), bits=10),
    )
    observations: FloatArray = rng.integers(-500, 500, (400, 4)) / 128.0
    fitted = Fitted.of(task, policy, "test")
    made, _ = quantise(fitted, PolicySpec("c", METHOD, (6,), 0, 16), observations)
    logits = policy.raw(observations)
    decided = made.network.act(task.integers(observations))[:, 0]
    clear = np.abs(logits[:, 0] - logits[:, 1]) > 2**-6
    assert clear.mean() > 0.9
    assert (decided == logits.argmax(axis=1))[clear].all()


def _read(path: Path) -> FloatPolicy:
    from hls4rl.train.pretrained.reader import read_source

    return read_source(Source(str(path)))
