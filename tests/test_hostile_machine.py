"""Disks that are full or read-only, two runs at once, odd paths, and files: huge ones, strange ones, malicious ones."""

from __future__ import annotations

import json
import os
import pickle
import resource
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from random_policies import random_policy
from safetensors import safe_open
from safetensors.numpy import save_file
from test_bad_input import assert_one_line

from hls4rl.artefact import METADATA
from hls4rl.errors import LONGEST, ProjectError
from hls4rl.export.graph import read_network
from hls4rl.export.imported.original import Original
from hls4rl.journal import LOG
from hls4rl.plain import read_json
from hls4rl.policy import FORMAT, load_policy
from hls4rl.task import load_task
from tools.faults import PROJECT, command, small_task

GIGABYTE = 1 << 30
ODD = "räum lich/日本 'x'"
"""A piece of a path: spaces, an apostrophe, letters beyond ASCII."""

own_mounts = pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0,
    reason="needs a mount namespace of its own: root, or a kernel that lets users have one",
)


def train(folder: Path, root: Path) -> list[str]:
    options = ("--env", str(small_task(folder)), "--hidden", "4", "--seed", "0", "--root", str(root))
    return command("train", *options)


def synth(folder: Path, root: Path) -> list[str]:
    options = ("--env", str(small_task(folder)), "--hidden", "4", "--seed", "0", "--episodes", "2", "--root", str(root))
    return command("synth", *options)


def ended(arguments: list[str], setup: Callable[[], None] | None = None) -> tuple[int, str]:
    """Exit status and standard error; what ``setup`` takes from the command must not fail coverage.py within it."""
    env = {key: value for key, value in os.environ.items() if not (setup and key.startswith("COVERAGE_"))}
    done = subprocess.run(
        arguments, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=300, check=False, preexec_fn=setup
    )
    return done.returncode, done.stderr


def on_mount(place: Path, options: str, *steps: str) -> list[str]:
    """A shell that sees an empty file system at ``place``, runs ``steps`` and fails as the last one does."""
    mount = f"mount -t tmpfs -o {options} none {shlex.quote(str(place))}"
    return ["unshare", "-rm", "bash", "-c", "\n".join([f"set -u; {mount} || exit 99", *steps])]


@pytest.mark.parametrize("size", [100, 1100], ids=["policy", "what lies beside it"])
def test_a_file_that_may_not_grow(size: int, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    status, errors = ended(train(tmp_path, root), lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert_one_line(status, errors, "cannot write", "too large")
    assert [path.name for path in root.rglob("*") if path.is_file() and path.name != LOG] == [".lock"]


@own_mounts
def test_a_full_disk_and_then_a_larger_one(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    line = shlex.join(train(tmp_path, root))
    count = f"find {root} -type f -not -name .lock -not -name {LOG} | wc -l"
    steps = (f"{line}; echo $?; {count}", f"mount -o remount,size=1m {root}; {line}; echo $?; {count}")
    done = subprocess.run(on_mount(root, "size=8k", *steps), cwd=PROJECT, capture_output=True, text=True, check=True)
    first, nothing, path, second, files = done.stdout.split()
    assert (first, nothing, second, Path(path).name) == ("1", "0", "0", "training.json")
    assert int(files) == 3
    assert_one_line(1, done.stderr, "cannot write", "No space left")


@own_mounts
def test_a_disk_that_is_too_small_for_place_and_route(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    leftovers = f"find {root} -name '.*.*' >&2; exit $status"
    status, errors = ended(on_mount(root, "size=2m", f"{shlex.join(synth(tmp_path, root))}; status=$?", leftovers))
    assert_one_line(status, errors, "free some space")
    assert "/." not in errors.split("\n", errors.count("error: "))[-1]


@own_mounts
def test_a_read_only_folder(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    root.mkdir()
    assert_one_line(*ended(on_mount(root, "ro", shlex.join(train(tmp_path, root)))), "cannot write", "Read-only")


def test_two_runs_at_once_make_everything_once(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    arguments = train(tmp_path, root)
    both = [subprocess.Popen(arguments, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]
    answers = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert answers[0][0] == answers[1][0]
    assert sum("40/40 episodes" in errors for _, errors in answers) == 1, "the second one trains nothing"
    (artefact,) = {path.parent for path in root.rglob(METADATA)}
    made = json.loads((artefact / METADATA).read_text(encoding="utf-8"))["files"]
    assert sorted(path.name for path in artefact.iterdir()) == sorted([METADATA, *made])


def test_an_odd_path_goes_all_the_way(tmp_path: Path) -> None:
    folder = tmp_path / ODD
    folder.mkdir(parents=True)
    status, errors = ended(synth(folder, folder / "runs"))
    assert status == 0, errors
    (summary,) = (folder / "runs").rglob("report/summary.json")
    assert json.loads(summary.read_text(encoding="utf-8"))["mismatches"] == 0


HUGE: dict[str, Callable[[Path], object]] = {
    "mine.toml": lambda path: load_task(str(path)), "summary.json": lambda path: read_json(path, "build it again"),
    "policy.safetensors": load_policy, "policy.qonnx.onnx": read_network, "model.onnx": Original.load,
}


@pytest.mark.parametrize("name", HUGE)
def test_a_gigabyte_is_refused_before_it_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(GIGABYTE)  # sparse: it takes no room
    start = time.monotonic()
    with pytest.raises(ProjectError, match="larger than"):
        HUGE[name](path)
    assert time.monotonic() - start < 1


class _Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", HUGE)
def test_a_pickle_is_never_opened(name: str, tmp_path: Path) -> None:
    path, mark = tmp_path / name, tmp_path / "executed"
    path.write_bytes(pickle.dumps(_Bomb(mark)))
    with pytest.raises(ProjectError):
        HUGE[name](path)
    assert not mark.exists()
    pickle.loads(path.read_bytes())
    assert mark.exists(), "it would have gone off"


@pytest.mark.parametrize("version", ["hls4rl-policy-1", "hls4rl-policy-3"])
def test_a_policy_of_another_version_is_refused_by_its_format(version: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    random_policy("cartpole", "fp", hidden=3).save(path)
    with safe_open(path, framework="numpy") as file:
        header = {version: file.metadata()[FORMAT]}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(arrays, path, header)
    with pytest.raises(ProjectError, match=f"not in the format {FORMAT}; train it again"):
        load_policy(path)


def test_a_key_of_a_later_version_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "policy.safetensors"
    random_policy("cartpole", "fp", hidden=3).save(path)
    with safe_open(path, framework="numpy") as file:
        description = json.loads(file.metadata()[FORMAT])
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    description["spec"]["layers"] = 3
    save_file(arrays, path, {FORMAT: json.dumps(description)})
    with pytest.raises(ProjectError, match="layers"):
        load_policy(path)


@pytest.mark.parametrize("key", ["9" * 5000, "a\\nb"], ids=["endless", "of two lines"])
def test_a_key_that_no_one_would_write_is_told_in_one_line(key: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'"{key}" = 1\n', encoding="utf-8")
    with pytest.raises(ProjectError, match="unknown key") as told:
        load_task(str(path))
    assert "\n" not in str(told.value)
    assert len(str(told.value)) <= LONGEST
    assert str(told.value).endswith("wrappers"), "the remedy is still there"
