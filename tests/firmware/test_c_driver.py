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
STRICT = ("-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("c") / "host"
    sources = (DRIVER / "hls4rl_link.c", Path(__file__).with_name("c_host.c"))
    subprocess.run(["gcc", *STRICT, "-O1", f"-I{DRIVER}", *sources, "-o", program], check=True)
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
    assert crc == "crc cbf43926"
    assert status.startswith("status 0 ")
    assert [int(action) for action in actions] == policy.infer(rows).actions[:, 0].tolist()
    _, cycles, _, retries = last.split()
    assert int(cycles) == STAGES
    assert (int(retries) > 0) == (rate > 0)


def test_the_c_driver_refuses_another_policy(host: Path, library: Path) -> None:
    with simulated_board(library) as port:
        assert run(host, port, 1, [])[1].startswith("status -2 ")


def test_the_c_driver_ends_without_a_clock_and_refuses_a_bad_setup(tmp_path: Path) -> None:
    sources = (DRIVER / "hls4rl_link.c", Path(__file__).with_name("c_limits.c"))
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    subprocess.run(["gcc", *STRICT, *checks, f"-I{DRIVER}", *sources, "-o", tmp_path / "limits"], check=True)
    done = subprocess.run([tmp_path / "limits"], capture_output=True, text=True, check=True, timeout=60)
    lines = [line.split() for line in done.stdout.splitlines()]
    setups = [line for line in lines if line[0] not in ("large", "frozen", "wrapping")]
    assert len(setups) == 14
    assert all(line[1:] == ["-9", "-9", "0", "77"] for line in setups)
    (large,) = (line for line in lines if line[0] == "large")
    assert large[1:3] == ["-1", "-4"]
    frozen, wrapping = ([line for line in lines if line[0] == kind] for kind in ("frozen", "wrapping"))
    assert [line[1:3] for line in frozen] == [["-1", "-1"], ["-5", "-5"], ["-5", "-5"]]
    attempts, wait_bytes = 5, 4096
    assert [int(line[3]) for line in frozen] == [attempts * 2 + 1] + [(attempts * 2 + 1) * wait_bytes] * 2
    assert all(int(line[3]) <= 200 for line in wrapping)  # a read takes a tick and more, and patience is 100
