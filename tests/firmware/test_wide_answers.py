"""A board whose action is several integers: continuous dimensions, and a choice with bits beside it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_c_driver import DRIVER, STRICT

from hls4rl.contract import CONTINUOUS, Argmax, FixedPoint
from hls4rl.export.check import check_observations
from hls4rl.firmware.design import Design
from hls4rl.firmware.link import Expected, Link
from hls4rl.firmware.model import build_board_model
from hls4rl.firmware.protocol import ActionFormat
from hls4rl.firmware.simulated_board import Trouble, simulated_board
from hls4rl.hls_projects.rtl.pipelined import CORE, write_rtl
from hls4rl.network import IntegerNetwork, Layer

pytestmark = pytest.mark.xdist_group("firmware")
FEATURES, BITS, HASH = 5, 7, 0xFEED


def network(outputs: int, action_bits: int = 8) -> IntegerNetwork:
    rng = np.random.default_rng(2)
    weight = rng.integers(-4, 5, (outputs, FEATURES))
    bias = rng.integers(-9, 9, outputs)
    kind = FixedPoint(action_bits, action_bits + 1)
    return IntegerNetwork(FixedPoint(BITS, BITS), (Layer(weight, 1.0, bias, 1.0, kind),), CONTINUOUS)


def chosen(groups: tuple[int, ...]) -> IntegerNetwork:
    whole = network(sum(groups))
    return replace(whole, layers=(replace(whole.layers[0], activation=None),), output=Argmax(groups))


NETWORKS = {
    "more than 25 bytes": network(17, 13), "a choice and bits": chosen((3, 1, 1, 5)),
}


@pytest.fixture(scope="module", params=NETWORKS)
def board(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[IntegerNetwork, Expected, Path]:
    directory, core = tmp_path_factory.mktemp("wide"), NETWORKS[request.param]
    info = write_rtl(core, directory, 2)
    action = ActionFormat(info.action_widths, info.action_signed, core.choices)
    library = build_board_model(Design(directory / f"{CORE}.v", FEATURES, BITS, action, HASH), directory / "model")
    return core, Expected(FEATURES, BITS, action, HASH), library


@pytest.mark.parametrize("rate", [0.0, 0.005])
def test_every_integer_comes_over_the_link(board: tuple[IntegerNetwork, Expected, Path], rate: float) -> None:
    core, expected, library = board
    rows = check_observations(core.input, FEATURES)[:100]
    with (
        simulated_board(library, trouble=Trouble(rate, seed=3)) as port,
        # Machines are busy.
        Link(port, 1_000_000, expected, timeout=10.0, patience=120.0) as link,
    ):
        actions = link.infer(rows).actions
    assert np.array_equal(actions, core.act(rows))
    assert len(np.unique(actions, axis=0)) > 10


def test_every_integer_comes_to_c(board: tuple[IntegerNetwork, Expected, Path], tmp_path: Path) -> None:
    core, expected, library = board
    if expected.action.choices:
        pytest.skip("the C host of these tests takes equal widths; choices of one dimension have a test of their own")
    sources = (DRIVER / "hls4rl_link.c", Path(__file__).with_name("c_host.c"))
    subprocess.run(["gcc", *STRICT, "-O1", f"-I{DRIVER}", *sources, "-o", tmp_path / "host"], check=True)
    rows = check_observations(core.input, FEATURES)[:40]
    format = f"-{expected.action.widths[0]}:{len(expected.action.widths)}"
    with simulated_board(library) as port:
        done = subprocess.run(
            [tmp_path / "host", port, f"{HASH:x}", str(FEATURES), str(BITS), format, "60000", "5000"],
            input="\n".join(" ".join(map(str, row)) for row in rows.tolist()),
            capture_output=True, text=True, check=True, timeout=120,
        )
    answers = [[int(word) for word in line.split()] for line in done.stdout.splitlines()[2:-1]]
    assert answers == core.act(rows).tolist()
