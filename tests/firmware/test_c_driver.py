from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from random_run import BITS, STAGES, random_observations

from hls4rl import firmware
from hls4rl.backend import Backend
from hls4rl.firmware.hil import Session
from hls4rl.firmware.simulated_board import Trouble, simulated_board

pytestmark = pytest.mark.xdist_group("firmware")
DRIVER = Path(firmware.__file__).parent / "driver"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("c") / "host"
    strict = ("-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
    sources = (DRIVER / "hls4rl_link.c", Path(__file__).with_name("c_host.c"))
    subprocess.run(["gcc", *strict, "-O1", f"-I{DRIVER}", *sources, "-o", program], check=True)
    return program


def run(host: Path, port: str, policy_hash: int, rows: list[list[int]]) -> list[str]:
    done = subprocess.run(
        [host, port, f"{policy_hash:x}", "4", str(BITS), "2"], input="\n".join(" ".join(map(str, row)) for row in rows),
        capture_output=True, text=True, check=True, timeout=120,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("rate", [0.0, 0.01])
def test_the_c_driver_gets_the_software_policy_s_actions(
    rate: float, host: Path, session: Session, library: Path, policy: Backend
) -> None:
    rows = random_observations(200)
    with simulated_board(library, trouble=Trouble(rate, seed=4)) as port:
        crc, status, *actions, last = run(host, port, session.expected.policy_hash, rows.tolist())
    assert (crc, status) == ("crc cbf43926", "status 0")
    assert [int(action) for action in actions] == policy.infer(rows).actions.tolist()
    _, cycles, _, retries = last.split()
    assert int(cycles) == STAGES
    assert (int(retries) > 0) == (rate > 0)


def test_the_c_driver_refuses_another_policy(host: Path, library: Path) -> None:
    with simulated_board(library) as port:
        assert run(host, port, 1, [])[1] == "status -2"
