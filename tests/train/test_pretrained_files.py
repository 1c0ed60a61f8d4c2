"""Policies of other libraries: read as those compute them, without running anything in their files."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from pretrained_files import BOX, DISCRETE, MARK, Hostile, named, network, outputs, state_bytes, write_sb3
from safetensors.numpy import save
from torch import nn

import hls4rl
from hls4rl.errors import ProjectError
from hls4rl.task import Source
from hls4rl.train.pretrained import archives
from hls4rl.train.pretrained.float_policy import CLIP, LOGITS, TANH
from hls4rl.train.pretrained.normalisers import read_normaliser
from hls4rl.train.pretrained.reader import read_source

OBSERVATIONS = np.random.default_rng(0).normal(size=(50, 3))
AC, HIDDEN = "stable_baselines3.common.policies", slice(0, 4)
MLP = ("mlp_extractor.policy_net", HIDDEN), ("action_net", slice(4, 5))
KINDS = {
    "ppo": (AC, "ActorCriticPolicy", MLP, DISCRETE, {}, nn.Tanh, LOGITS),
    "a2c-box": (AC, "ActorCriticPolicy", MLP, BOX, {"activation_fn": "<class 'torch.nn.modules.activation.ELU'>"},
                nn.ELU, CLIP),
    "dqn": ("stable_baselines3.dqn.policies", "DQNPolicy", (("q_net.q_net", slice(0, 5)),), DISCRETE, {}, nn.ReLU,
            LOGITS),
    "sac": ("stable_baselines3.sac.policies", "SACPolicy", (("actor.latent_pi", HIDDEN), ("actor.mu", slice(4, 5))),
            BOX, {}, nn.ReLU, TANH),
    "td3": ("stable_baselines3.td3.policies", "TD3Policy", (("actor.mu", slice(0, 5)),), BOX, {}, nn.ReLU, TANH),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_zip_of_stable_baselines3_is_read_as_the_library_computes_it(kind: str, tmp_path: Path) -> None:
    module, name, places, action, kwargs, activation, output = KINDS[kind]
    model = network([3, 6, 5, 2 if action is DISCRETE else 1], activation)
    path = write_sb3(tmp_path / "policy.zip", module, name, named(model, *places), action, kwargs)
    policy = read_source(Source(str(path)))
    np.testing.assert_allclose(policy.raw(OBSERVATIONS), outputs(model, OBSERVATIONS), rtol=1e-5, atol=1e-6)
    assert (policy.output, policy.hidden, policy.source) == (output, (6, 5), f"stable-baselines3, {name}")
    assert policy.bounds is None if action is DISCRETE else policy.bounds[0].tolist() == [-2.0]  # type: ignore[index]
    assert not (tmp_path / MARK).exists()


def test_a_squashed_mean_with_gsde_is_cut_before_it_is_squashed(tmp_path: Path) -> None:
    model = network([3, 6, 1], nn.ReLU)
    model[2].weight.data *= 50
    state = named(model, ("actor.latent_pi", slice(0, 2)))
    state |= {f"actor.mu.0.{name}": value for name, value in model[2].state_dict().items()}
    path = write_sb3(tmp_path / "policy.zip", "stable_baselines3.sac.policies", "SACPolicy", state, BOX,
                     {"clip_mean": 1.5}, use_sde=True)
    policy = read_source(Source(str(path)))
    np.testing.assert_allclose(policy.raw(OBSERVATIONS), np.clip(outputs(model, OBSERVATIONS), -1.5, 1.5), rtol=1e-5)


@pytest.mark.parametrize(("change", "said"), [
    ({"policy_kwargs": {"tricks": 1}}, "tricks"),
    ({"policy_kwargs": {"features_extractor_class": "<class 'mine.Cnn'>"}}, "features extractor"),
    ({"policy_kwargs": {"activation_fn": "<class 'mine.Odd'>"}}, "activation"),
    ({"policy_class": {"__module__": "mine"}}, "mine"),
    ({"observation_space": {"dtype": "uint8", "shape": [8, 8, 3]}}, "images"),
])
def test_what_is_not_understood_is_refused_by_name(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write_sb3(tmp_path / "policy.zip", AC, "ActorCriticPolicy", named(network([3, 6, 5, 2]), *MLP), DISCRETE)
    with zipfile.ZipFile(path) as archive:
        data, state = json.loads(archive.read("data")), archive.read("policy.pth")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", json.dumps(data | change))
        archive.writestr("policy.pth", state)
    with pytest.raises(ProjectError, match=said):
        read_source(Source(str(path)))


def test_checkpoints_of_cleanrl_are_known_by_their_parts(tmp_path: Path) -> None:
    dqn = network([3, 120, 84, 2], nn.ReLU)
    ppo = network([3, 6, 5, 1])
    sac = network([3, 6, 5, 1], nn.ReLU)
    states = {
        "dqn": (dqn, named(dqn, ("network", slice(0, 5))), LOGITS),
        "ppo": (ppo, named(ppo, ("actor_mean", slice(0, 5))) | {"actor_logstd": torch.zeros(1, 1)}, CLIP),
        "sac": (sac, {**named(sac, ("fc1", slice(0, 1)), ("fc2", slice(2, 3)), ("fc_mean", slice(4, 5))),
                      "action_scale": torch.tensor([2.0]), "action_bias": torch.tensor([0.5])}, TANH),
    }
    for name, (model, state, output) in states.items():
        path = tmp_path / f"{name}.pth"
        path.write_bytes(state_bytes(state))
        policy = read_source(Source(str(path)))
        np.testing.assert_allclose(policy.raw(OBSERVATIONS), outputs(model, OBSERVATIONS), rtol=1e-4, atol=1e-5)
        assert policy.output == output
        assert "CleanRL" in policy.source
    assert [side.tolist() for side in policy.bounds or ()] == [[-1.5], [2.5]]


def test_a_state_dict_says_no_activation_and_asks_for_it(tmp_path: Path) -> None:
    model = network([3, 6, 2], nn.SiLU)
    arrays = {name: value.numpy() for name, value in model.state_dict().items()}
    places = [tmp_path / "policy.pth", tmp_path / "policy.safetensors"]
    places[0].write_bytes(state_bytes(model.state_dict()))
    places[1].write_bytes(save(arrays))
    for path in places:
        with pytest.raises(ProjectError, match="ACTIVATION=tanh"):
            read_source(Source(str(path)))
        policy = read_source(Source(str(path), activation="SiLU"))
        np.testing.assert_allclose(policy.raw(OBSERVATIONS), outputs(model, OBSERVATIONS), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("activation", [
    nn.ReLU, nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.ELU, nn.SELU, nn.LeakyReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Mish,
    nn.Softplus, nn.Softsign,
])
def test_a_saved_policy_is_the_one_that_is_read(activation: type[nn.Module], tmp_path: Path) -> None:
    model, path = network([3, 6, 2], activation), tmp_path / "policy.safetensors"
    hls4rl.save_policy(model, path)
    policy = read_source(Source(str(path)))
    np.testing.assert_allclose(policy.raw(3 * OBSERVATIONS), outputs(model, 3 * OBSERVATIONS), rtol=1e-4, atol=1e-5)


def test_a_saved_policy_keeps_its_normaliser_and_output(tmp_path: Path) -> None:
    class Statistics:
        mean, var = np.array([1.0, 2.0, 3.0]), np.array([4.0, 1.0, 0.25])

    model, path = network([3, 6, 1]), tmp_path / "policy.safetensors"
    hls4rl.save_policy(model, path, Statistics(), output="tanh")
    policy = read_source(Source(str(path)))
    seen = (OBSERVATIONS - Statistics.mean) / np.sqrt(Statistics.var + 1e-8)
    np.testing.assert_allclose(policy.raw(OBSERVATIONS), outputs(model, seen), rtol=1e-4, atol=1e-5)
    assert policy.output == TANH
    (tmp_path / "n.json").write_text('{"mean": [0, 0, 0], "var": [1, 1, 1]}')
    with pytest.raises(ProjectError, match="normaliser of its own"):
        read_source(Source(str(path), str(tmp_path / "n.json")))


def test_a_float_onnx_chain_with_normaliser_squash_and_bounds(tmp_path: Path) -> None:
    model, values = network([3, 6, 1]), {"mean": np.array([1.0, 2.0, 3.0]), "dev": np.array([2.0, 1.0, 0.5])}
    names, nodes, current = dict(values), [], "x"
    for kind, constant in (("Sub", "mean"), ("Div", "dev")):
        nodes.append(helper.make_node(kind, [current, constant], [f"y{len(nodes)}"]))
        current = nodes[-1].output[0]
    for index in (0, 2):
        names |= {f"w{index}": model[index].weight.detach().numpy(), f"b{index}": model[index].bias.detach().numpy()}
        nodes.append(helper.make_node("Gemm", [current, f"w{index}", f"b{index}"], [f"g{index}"], transB=1))
        nodes.append(helper.make_node("Tanh", [f"g{index}"], [f"t{index}"]))
        current = f"t{index}"
    names |= {"two": np.array(2.0)}
    nodes.append(helper.make_node("Mul", [current, "two"], ["out"]))
    constants = [numpy_helper.from_array(np.asarray(value, dtype=np.float32), name) for name, value in names.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in (("x", 3), ("out", 1))]
    graph = helper.make_graph(nodes, "policy", ends[:1], ends[1:], constants)
    path = tmp_path / "policy.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), str(path))
    policy = read_source(Source(str(path)))
    expected = outputs(model, (OBSERVATIONS - values["mean"]) / values["dev"])
    np.testing.assert_allclose(policy.raw(OBSERVATIONS), expected, rtol=1e-4, atol=1e-5)
    assert (policy.output, policy.hidden, [side.tolist() for side in policy.bounds or ()]) == (TANH, (6,), [[-2], [2]])


def test_an_onnx_graph_that_is_no_chain_is_refused_by_the_node(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gemm", ["x", "w"], ["a"], "first"), helper.make_node("Add", ["a", "a"], ["b"], "twice")]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "b")]
    weight = numpy_helper.from_array(np.eye(3, dtype=np.float32), "w")
    path = tmp_path / "policy.onnx"
    onnx.save(helper.make_model(helper.make_graph(nodes, "policy", ends[:1], ends[1:], [weight])), str(path))
    with pytest.raises(ProjectError, match="twice"):
        read_source(Source(str(path)))


def test_hostile_files_run_nothing_and_are_refused_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = Hostile(tmp_path)
    monkeypatch.setattr(archives, "MAXIMUM_BYTES", 1 << 20)
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(evil))
    (tmp_path / "b.pth").write_bytes(state_bytes({"0.weight": torch.zeros(2, 3), "x": evil}))
    (tmp_path / "d.safetensors").write_bytes((1 << 40).to_bytes(8, "little") + b"{" + b"0" * 100)
    (tmp_path / "e.safetensors").write_bytes((9).to_bytes(8, "little") + b"[1, 2, 3]")
    (tmp_path / "f.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    path = write_sb3(tmp_path / "c.zip", AC, "ActorCriticPolicy", {"x": evil}, DISCRETE)  # type: ignore[dict-item]
    scripted = tmp_path / "g.pt"
    torch.jit.trace(network([3, 4, 2]), torch.zeros(1, 3)).save(str(scripted))  # type: ignore[no-untyped-call]
    with zipfile.ZipFile(tmp_path / "h.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", "{}")
        archive.writestr("policy.pth", bytes(2 << 20))
    for place in (*tmp_path.glob("*.p*"), *tmp_path.glob("*.safetensors"), *tmp_path.glob("*.zip"), path, scripted):
        with pytest.raises(ProjectError) as caught:
            read_source(Source(str(place)))
        assert "\n" not in str(caught.value)
        assert str(place) in str(caught.value)
    assert not (tmp_path / MARK).exists()


def test_torchscript_is_refused_with_the_line_that_makes_a_file_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network([3, 4, 2])
    torch.jit.trace(model, torch.zeros(1, 3)).save(str(tmp_path / "policy.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(ProjectError, match="is TorchScript, a program, which is not run here") as caught:
        read_source(Source(str(tmp_path / "policy.pt")))
    line = re.search(r"(torch\.save\(.*\)), and give ACTIVATION=tanh", str(caught.value))
    assert line is not None
    monkeypatch.chdir(tmp_path)
    exec(line[1], {"torch": torch})
    policy = read_source(Source("policy.pth", activation="tanh"))
    np.testing.assert_allclose(policy.raw(OBSERVATIONS), outputs(model, OBSERVATIONS), rtol=1e-5, atol=1e-6)


def test_a_hostile_normaliser_runs_nothing(tmp_path: Path) -> None:
    for number, item in enumerate((Hostile(tmp_path), {"x": [Hostile(tmp_path)]}, subprocess.Popen, print, np.save)):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(pickle.dumps(item))
        with pytest.raises(ProjectError, match="save_policy"):
            read_normaliser(path)
    assert not (tmp_path / MARK).exists()


def test_a_vecnormalize_pickle_is_read_without_its_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by classes of the library's names, which are gone when it is read."""
    kinds = {}
    with monkeypatch.context() as patch:
        for package in ("", ".common", ".common.vec_env"):  # pickle imports what a module lies in first
            name = f"stable_baselines3{package}"
            patch.setitem(sys.modules, name, types.ModuleType(name))
        for module, name in (("stable_baselines3.common.vec_env.vec_normalize", "VecNormalize"),
                             ("stable_baselines3.common.running_mean_std", "RunningMeanStd")):
            patch.setitem(sys.modules, module, types.ModuleType(module))
            kinds[name] = type(name, (), {"__module__": module})
            setattr(sys.modules[module], name, kinds[name])
        statistics, made = kinds["RunningMeanStd"](), kinds["VecNormalize"]()
        vars(statistics).update(mean=np.array([1.0, -2.0]), var=np.array([4.0, 0.25]), count=100.0)
        vars(made).update(obs_rms=statistics, ret_rms=statistics, clip_obs=5.0, epsilon=np.float64(1e-8), norm_obs=True)
        files = {protocol: pickle.dumps(made, protocol) for protocol in (2, 4, 5)}
    for protocol, data in files.items():
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(data)
        found = read_normaliser(path)
        assert found is not None
        np.testing.assert_allclose(found(np.array([[3.0, 0.0], [900.0, -2.5]])), [[1.0, 4.0], [5.0, -1.0]], rtol=1e-6)
