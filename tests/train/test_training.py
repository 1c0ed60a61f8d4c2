"""Training for real, small; what is saved; what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hls4rl.__main__ import app
from hls4rl.backend import Answer
from hls4rl.contract import Argmax, IntArray
from hls4rl.errors import ProjectError
from hls4rl.gym_loop import Sampling, play
from hls4rl.policy import Policy, PolicySpec, load_policy
from hls4rl.task import Task, change, load_task, with_settings
from hls4rl.train import train_policy, train_seed, train_seeds
from hls4rl.train.methods import PAPER_METHODS
from hls4rl.train.network import TorchBackend
from hls4rl.train.selection import policy_artefact, train_missing


def short(name: str, episodes: int, **changes: int) -> Task:
    return with_settings(load_task(name), "training", episodes=episodes, validation_episodes=5, **changes)


@pytest.mark.parametrize("method", PAPER_METHODS)
def test_each_method_learns_cartpole(method: str) -> None:
    task = short("cartpole", 1000)
    result = train_policy(task, PolicySpec("cartpole", method, 16, 0))
    assert result.returns[:20].mean() < 60
    assert play(task, TorchBackend(result.policy), 20, 0).mean_return >= 190
    if method == "compression":
        assert len(np.unique(result.policy.weights[0])) <= 8
    if method == "pruning":
        assert (result.policy.weights[0] == 0).mean() == 0.5


def test_the_reference_trains_a_task_that_is_not_compiled() -> None:
    task = short("mountaincar", 2)
    result = train_policy(task, PolicySpec("mountaincar", "binarynet", 4, 0))
    assert result.returns.tolist() == [-200.0, -200.0]
    assert result.steps == 400


@pytest.mark.parametrize("trainer", ["reference", "kernel"])
def test_equal_settings_give_equal_bytes(trainer: str, tmp_path: Path) -> None:
    task, _ = change(short("cartpole", 20), f'training.trainer="{trainer}"')
    spec = PolicySpec("cartpole", "compression", 8, 4)
    paths = [tmp_path / "a", tmp_path / "b"]
    for path in paths:
        train_policy(task, spec).policy.save(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_progress_is_told() -> None:
    seen = []
    train_policy(short("cartpole", 60), PolicySpec("cartpole", "fp", 4, 0), seen.append)
    assert seen[-1].episode == seen[-1].episodes == 60
    assert seen[-1].steps_per_second > 0


def test_seeds_are_trained_once_and_the_best_is_chosen(tmp_path: Path) -> None:
    task, spec = short("cartpole", 150, seeds=2), PolicySpec("cartpole", "binarynet", 8, 0)
    first = train_seeds(task, spec, tmp_path)
    assert set(first.results) == {0, 1}
    written = json.loads(first.path.read_text())
    scores = {int(seed): value for seed, value in written["validation_returns"].items()}
    assert written["chosen_seed"] == first.chosen.seed == max(scores, key=lambda seed: (scores[seed], -seed))
    specs = [PolicySpec("cartpole", "binarynet", 8, seed) for seed in (0, 1)]
    policies = [policy_artefact(task, spec, tmp_path).directory for spec in specs]
    stamps = [(path / "policy.safetensors").stat().st_mtime_ns for path in policies]
    again = train_seeds(task, spec, tmp_path)
    assert again.chosen == first.chosen
    assert stamps == [(path / "policy.safetensors").stat().st_mtime_ns for path in policies]
    # a seed's policy does not depend on which others were trained beside it
    alone = train_seed(task, PolicySpec("cartpole", "binarynet", 8, 1), tmp_path / "alone")
    assert (alone.parent / "policy.safetensors").read_bytes() == (policies[1] / "policy.safetensors").read_bytes()


def test_changed_settings_train_again(tmp_path: Path) -> None:
    spec = PolicySpec("cartpole", "fp", 4, 0)
    path = train_seed(short("cartpole", 10), spec, tmp_path)
    train_seed(short("cartpole", 12), spec, tmp_path)
    assert len(json.loads(path.read_text())["training_returns"]) == 12


class Constant:
    name = "constant"

    def infer(self, observations: IntArray) -> Answer:
        return Answer.of_logits(np.tile([0, 1], (len(observations), 1)))


def test_play_is_gymnasium_itself() -> None:
    task, seen = load_task("cartpole"), []
    played = play(task, Constant(), 150, 40, watch=lambda observations, answer: seen.append(observations))
    env = task.make()
    for episode in (0, 70, 149):
        env.reset(seed=40 + episode)
        steps = 1
        while not env.step(1)[2]:
            steps += 1
        assert played.returns[episode] == played.lengths[episode] == steps
    assert sum(len(item) for item in seen) == played.lengths.sum()
    assert seen[0].dtype == np.int64


def test_sampling_draws_from_the_softmax() -> None:
    answer = Sampling(Constant(), 1.0, np.random.default_rng(0), Argmax()).infer(np.zeros((20_000, 4), dtype=np.int64))
    assert answer.actions.mean() == pytest.approx(1 / (1 + np.exp(-1)), abs=0.015)


def command(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "hls4rl", "train", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(("arguments", "cause"), [
    (("--env", "nosuch"), "unknown task 'nosuch'"),
    (("--method", "magic"), "unknown method 'magic'"),
    (("--hidden", "8x"), "HIDDEN=8x"),
    (("--hidden", "wide"), "HIDDEN=wide"),
    (("--bits", "1"), "BITS=1"),
    (("--trainer", "gpu"), "training.trainer is 'gpu'; choose one of auto, "),
    (("--env", "mountaincar", "--trainer", "kernel"), "the kernel knows only"),
    (("--episodes", "1"), "training.episodes"),
])
def test_bad_options_end_in_one_line(arguments: tuple[str, ...], cause: str) -> None:
    status, message = command(*arguments)
    assert status != 0
    assert message.startswith("error: ")
    assert cause in message
    assert "\n" not in message


@pytest.mark.parametrize(("old", "new", "cause"), [
    ("learning_rate", "learning_rat", "unknown key 'training.learning_rat'"),
    ("scale = [0.25,", "scale = [0.3,", "no power of two"),
    ("scale = [0.25,", "scale = [", "observation.scale"),
    ('"CartPole-v0"', '"CartPole-v77"', "CartPole-v77"),
    ("[network]", "[network", "not valid TOML"),
    ("episodes = 2000", "episodes = true", "training.episodes"),
])
def test_bad_task_files_are_refused(tmp_path: Path, old: str, new: str, cause: str) -> None:
    text = (Path(__file__).parents[2] / "hls_projects" / "tasks" / "cartpole.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ProjectError) as caught:
        load_task(str(path)).spaces  # noqa: B018
    assert cause in str(caught.value)
    assert "\n" not in str(caught.value)


def saved(path: Path) -> Path:
    train_policy(short("cartpole", 2), PolicySpec("cartpole", "fp", 4, 0)).policy.save(path)
    return path


def test_a_policy_survives_its_file(tmp_path: Path) -> None:
    policy: Policy = load_policy(saved(tmp_path / "policy.safetensors"))
    assert policy.spec == PolicySpec("cartpole", "fp", 4, 0)
    assert policy.contract.is_integer


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, keep: int) -> None:
    path = saved(tmp_path / "policy.safetensors")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ProjectError, match="train it again"):
        load_policy(path)


def test_an_imported_checkpoint_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "policy.safetensors"
    save_file({"weight": np.zeros(3)}, path, {"format": "pt"})
    with pytest.raises(ProjectError, match="not in the format"):
        load_policy(path)
    path.write_bytes(b"\x80\x04\x95 a pickle, never to be opened")
    with pytest.raises(ProjectError, match="not a whole policy file"):
        load_policy(path)


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    arguments = ["--env", "mountaincar", "--hidden", "4", "--root", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "hls4rl", "train", *arguments], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob(".lock")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in message
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_help_teaches() -> None:
    answer = CliRunner().invoke(app, ["train", "--help"])
    assert answer.exit_code == 0
    assert "--percentile" in answer.output
    assert "Example: hls4rl train" in answer.output


@pytest.mark.parametrize("section", ["ppo", "search"])
def test_a_cluster_trains_the_same_bytes(section: str, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    text = {"ppo": "total_timesteps = 256\nnum_envs = 2\nnum_steps = 64", "search": "directions = 4\ntop = 2"}[section]
    file = tmp_path / "pole.toml"
    file.write_text(
        'environment = "CartPole-v1"\nsolved = 475\n[observation]\nscale = [0.5, 0.5, 4, 0.5]\nbits = 5\n'
        "integer_bits = 1\n[network]\nweight_integer_bits = 3\nbias_integer_bits = 3\n[training]\nepisodes = 16\n"
        f"validation_episodes = 2\nevaluation_episodes = 2\n[{section}]\n{text}\n", encoding="utf-8",
    )
    task = load_task(str(file))
    specs = [PolicySpec(task.name, "fp", (), seed, 4) for seed in (0, 1)]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None, silence_logs=50
    ) as cluster:
        train_missing(task, specs, tmp_path / "there", scheduler=cluster.scheduler_address)
    for spec in specs:
        there = policy_artefact(task, spec, tmp_path / "there")
        assert there.is_current
        here = train_seed(task, spec, tmp_path / "here").parent
        assert (there.directory / "policy.safetensors").read_bytes() == (here / "policy.safetensors").read_bytes()


def test_what_a_cluster_sends_must_be_what_was_asked_for(tmp_path: Path) -> None:
    task, spec = short("cartpole", 2), PolicySpec("cartpole", "fp", 4, 0)
    made = train_seed(task, spec, tmp_path / "there").parent
    files = {path.name: path.read_bytes() for path in made.iterdir()}
    asked = policy_artefact(task, PolicySpec("cartpole", "fp", 4, 1), tmp_path)
    with pytest.raises(ProjectError, match="what came is not what was asked for"):
        asked.adopt(files)
    asked = policy_artefact(task, spec, tmp_path)
    with pytest.raises(ProjectError, match="what came is not what was asked for"):
        asked.adopt(files | {"policy.safetensors": files["policy.safetensors"][:-1] + b"?"})
    asked.adopt(files)
    assert asked.is_current
