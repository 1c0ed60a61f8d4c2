"""Tools and workers end with whoever started them; the whole set of commands and endings is `make kill-test`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hls4rl.processes import run, started
from tools.orphans import Case, leftovers

GRANDCHILD = "sleep 600 & echo $!; {}"
"""A shell's script that starts a process of its own, and says which."""


def lives(number: int) -> bool:
    try:
        status = Path(f"/proc/{number}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def assert_ends(number: int) -> None:
    deadline = time.monotonic() + 10
    while lives(number):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_tool_answers_as_it_is(tmp_path: Path) -> None:
    done = run(["sh", "-c", "cat; pwd >&2; exit 3"], tmp_path, text="given")
    assert (done.returncode, done.stdout, done.stderr) == (3, "given", f"{tmp_path}\n")
    assert run(["cat"], tmp_path).stdout == ""
    with (tmp_path / "log").open("w", encoding="utf-8") as log:
        run(["sh", "-c", "echo out; echo errors >&2"], tmp_path, log=log)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "out\nerrors\n"


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nosuch is not installed"):
        run(["nosuch"], tmp_path)


def test_what_a_tool_leaves_running_ends_with_it(tmp_path: Path) -> None:
    done = run(["sh", "-c", GRANDCHILD.format("exec >&- 2>&-").replace("600", "600 >/dev/null 2>&1")], tmp_path)
    assert_ends(int(done.stdout))


def test_a_tool_that_takes_too_long_ends_with_its_children(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w", encoding="utf-8") as log, pytest.raises(subprocess.TimeoutExpired):
        run(["sh", "-c", GRANDCHILD.format("sleep 600")], tmp_path, log=log, timeout=1)
    assert_ends(int((tmp_path / "log").read_text(encoding="utf-8")))


def test_a_tool_is_asked_to_end_first(tmp_path: Path) -> None:
    script = f"trap 'echo asked > {tmp_path}/said; exit' TERM; echo; while :; do sleep 0.01; done"
    with started(["sh", "-c", script], stdout=subprocess.PIPE) as tool:
        tool.stdout.readline()
    assert (tmp_path / "said").read_text(encoding="utf-8") == "asked\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_tools_end_with_their_owner_whatever_they_ignore(number: int) -> None:
    owner = (
        "import sys\nfrom pathlib import Path\n"
        "from hls4rl.interruption import listen\nfrom hls4rl.processes import run\n"
        "listen()\nrun(['sh', '-c', \"trap '' HUP INT TERM; sleep 600 & echo $!; sleep 600\"], Path(), log=sys.stdout)"
    )
    with subprocess.Popen([sys.executable, "-c", owner], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        tool = int(process.stdout.readline())
        process.send_signal(number)
    assert_ends(tool)


def test_a_command_in_compiled_code_ends_at_last() -> None:
    script = (
        "import ctypes, sys\nfrom hls4rl import interruption\ninterruption.PATIENCE_SECONDS = 0.2\n"
        "interruption.listen()\nwhile True:\n"
        "    try:\n        print(flush=True)\n        ctypes.CDLL(None).sleep(600)\n"
        "    except KeyboardInterrupt:\n        pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM


def test_nohup_is_meant() -> None:
    script = (
        "import os, signal\nfrom hls4rl.interruption import listen\nlisten()\nos.kill(os.getpid(), signal.SIGHUP)\n"
        "print('goes on')\n"
    )
    done = subprocess.run(["nohup", sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "goes on\n"


@pytest.mark.parametrize(("ending", "arguments", "awaited"), [
    ("SIGTERM to make", ("train", "ENV=pong", "SEED=0"), "multiprocessing.forkserver"),
    ("SIGKILL", ("train", "ENV=acrobot", "HIDDEN=256"), "multiprocessing.spawn"),
    ("SIGKILL to make", ("train", "ENV=acrobot", "HIDDEN=256"), "multiprocessing.spawn"),
    ("closed terminal", ("explore", "BUDGET=10m"), "multiprocessing.spawn"),
])
def test_nothing_is_left_of_a_command(ending: str, arguments: tuple[str, ...], awaited: str, tmp_path: Path) -> None:
    assert leftovers(Case(ending, ("make", *arguments, f"ROOT={tmp_path}"), awaited), ending) == []


def test_no_alarm_comes_when_python_ends() -> None:
    said = subprocess.run(
        [sys.executable, "-c", "import atexit, signal\n"
         "atexit.register(lambda: print(signal.getitimer(signal.ITIMER_REAL)))\n"  # the last one to be called
         "from hls4rl import guard\n"
         "guard._look_for_hangs()\n"
         "print(signal.getitimer(signal.ITIMER_REAL)[1])\n"],
        capture_output=True, text=True, check=True,
    ).stdout
    assert said == "30.0\n(0.0, 0.0)\n"
