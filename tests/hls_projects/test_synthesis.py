from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from networks import small_network
from random_policies import random_policy

from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.hls_projects.fpga.family import load_family
from hls4rl.hls_projects.fpga.parts import load_part, part_names
from hls4rl.hls_projects.fpga.synthesis import NETLIST, synthesise
from hls4rl.hls_projects.rtl.pipelined import write_rtl
from hls4rl.hls_projects.simulation.pipelined import NetlistBackend, build_netlist_model

SIMULATED = [
    pytest.param(part, recipe, id=f"{part}-{recipe}") for part in ("ecp5-25f", "ice40-hx8k")
    for recipe in load_part(part).tools.recipes
]


@pytest.mark.parametrize(("part", "recipe"), SIMULATED)
@pytest.mark.parametrize("method", ["fp", "binarynet"])
def test_the_netlist_acts_as_the_network(part: str, recipe: str, method: str, tmp_path: Path) -> None:
    network = random_policy("acrobot", method, hidden=4).network
    write_rtl(network, tmp_path, 2)
    synthesise([tmp_path / "policy_core.v"], "policy_core", load_part(part), tmp_path, recipe)
    build_netlist_model(tmp_path, tmp_path / NETLIST, load_part(part).tools.models)
    observations = check_observations(network.input, network.features)
    answer = NetlistBackend(tmp_path).infer(observations)
    assert answer.logits is None
    assert np.array_equal(answer.actions, network.act(observations))


def test_a_changed_cell_in_the_netlist_is_seen(tmp_path: Path) -> None:
    network = random_policy("cartpole", "binarynet", hidden=4).network
    write_rtl(network, tmp_path, 1)
    recipe = next(iter(load_family("ecp5").recipes))
    synthesise([tmp_path / "policy_core.v"], "policy_core", load_part("ecp5-25f"), tmp_path, recipe)
    netlist = json.loads((tmp_path / NETLIST).read_text(encoding="utf-8"))
    cells = netlist["modules"]["policy_core"]["cells"].values()
    outputs = netlist["modules"]["policy_core"]["ports"]["action"]["bits"]
    register = next(cell for cell in cells if cell["connections"].get("Q") == outputs)
    last = next(cell for cell in cells if cell["connections"].get("Z") == register["connections"]["DI"])
    last["parameters"]["INIT"] = "".join("10"[int(bit)] for bit in last["parameters"]["INIT"])
    (tmp_path / NETLIST).write_text(json.dumps(netlist), encoding="utf-8")
    build_netlist_model(tmp_path, tmp_path / NETLIST, load_family("ecp5").models)
    observations = check_observations(network.input, network.features)
    wrong = NetlistBackend(tmp_path).infer(observations).actions
    assert (wrong != network.act(observations)).all()


def test_a_netlist_knows_nothing_of_its_folder(tmp_path: Path) -> None:
    network = random_policy("cartpole", "binarynet", hidden=2).network
    texts = []
    for name in ("first", "räum lich 'x'"):
        source, folder = tmp_path / f"source of {name}", tmp_path / name
        source.mkdir()
        folder.mkdir()
        write_rtl(network, source, 1)
        synthesise([source / "policy_core.v"], "policy_core", load_part("ecp5-25f"), folder, "carry chains")
        texts.append((folder / NETLIST).read_text(encoding="utf-8"))
        assert "policy_core.v" not in texts[-1]
        build_netlist_model(folder, folder / NETLIST, load_family("ecp5").models)  # Yosys reads it back
    assert texts[0] == texts[1]


@pytest.mark.parametrize("part", ["xc7", "gowin", "nexus"])
def test_parts_without_place_and_route_are_counted(part: str, tmp_path: Path) -> None:
    write_rtl(small_network([[1, 2], [-3, 1]], [[1, 2], [2, -1]], [0, 0]), tmp_path, 1)
    found = synthesise([tmp_path / "policy_core.v"], "policy_core", load_part(part), tmp_path)
    assert 0 < found.resources["lut"] < 60
    assert 9 < found.resources["ff"] < 20
    assert not load_part(part).has_bitstream


def test_the_smallest_recipe_is_kept(tmp_path: Path) -> None:
    write_rtl(random_policy("cartpole", "binarynet", hidden=4).network, tmp_path, 1)
    source, part = [tmp_path / "policy_core.v"], load_part("ecp5-25f")
    sizes = {
        recipe: synthesise(source, "policy_core", part, tmp_path, recipe).resources["lut"]
        for recipe in load_family("ecp5").recipes
    }
    best = synthesise(source, "policy_core", part, tmp_path)
    assert best.resources["lut"] == min(sizes.values()) == sizes[best.recipe]


def test_an_unknown_part_is_told() -> None:
    with pytest.raises(ProjectError, match=r"unknown part 'ecp6'; choose one of .*ecp5-25f"):
        load_part("ecp6")


@pytest.mark.parametrize("name", part_names())
def test_each_part_file_is_whole(name: str) -> None:
    part = load_part(name)
    assert part.tools.recipes
    assert part.has_bitstream == (set(part.capacity) == {"lut", "ff", "dsp", "bram", "pins"})
    assert part.level_ns > 0
