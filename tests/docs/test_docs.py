"""The documentation: its links, its commands and its notebooks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.gym_loop import play
from hls4rl.task import change, load_task

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
NOTEBOOKS = sorted(DOCS.glob("*.ipynb"))


def commands() -> list[str]:
    """Every make line in the documentation, blocks and running text alike."""
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    for path in NOTEBOOKS:
        texts += [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown"]
    found = {match for text in texts for match in re.findall(r"(?:^|`|&& )(make [a-z][^`#\n]*)", text, re.MULTILINE)}
    return sorted(item.strip() for item in found)


@pytest.mark.parametrize("command", commands())
def test_a_command_names_a_target_and_variables_that_exist(command: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    variables = re.search(r"^VARIABLES := (.*)$", makefile, re.MULTILINE)
    assert variables is not None
    target, *words = command.split()[1:]
    assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for name in [word.partition("=")[0] for word in words if re.match(r"[A-Z_]+=", word)]:
        assert name in variables[1].split(), name


@pytest.mark.parametrize("command", [item for item in commands() if " SET=" in item and "…" not in item])
def test_changed_settings_are_real_ones(command: str) -> None:
    text = re.search(r"SET=(?:'([^']*)'|(\S+))", command)
    assert text is not None
    env = re.search(r" ENV=(\w+)", command)
    change(load_task(env[1] if env and "pixels." in text[0] else "cartpole"), text[1] or text[2])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}, target


def test_every_page_is_in_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    for path in [*PAGES, *NOTEBOOKS]:
        assert path.name == "README.md" or f"({path.name})" in index


def test_the_tutorials_files_are_the_examples() -> None:
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    toml = (DOCS / "examples" / "thermostat.toml").read_text(encoding="utf-8")
    assert toml.partition("\n")[2].strip() in text


def test_the_tutorials_environment_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS / "examples")
    task = load_task(str(DOCS / "examples" / "thermostat.toml"))
    assert task.spaces == (2, 2)

    class Switch:
        name = "switch"

        def infer(self, observations: IntArray) -> Answer:
            return Answer((2 * observations[:, :1] + observations[:, 1:] < 0).astype(np.int64), None)

    played = play(task, Switch(), 20, 0)
    assert (played.lengths == 100).all()
    assert task.solved is not None
    assert played.mean_return > task.solved  # a switch made by hand solves it


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_has_no_outputs(path: Path) -> None:
    book = nbformat.read(path, 4)
    nbformat.validate(book)
    assert all(not cell.get("outputs") for cell in book.cells), "keep the notebook without outputs"


def test_the_first_notebook_runs(tmp_path: Path) -> None:
    assert printed_by("first-policy", tmp_path).count(" 0 mismatches on 4096 observations") == 3


def test_the_notebook_on_stable_baselines3_runs(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="pip install 'hls4rl[bench]'")
    printed = printed_by("from-sb3", tmp_path)
    assert "100.0% of the actions are the library's" in printed
    assert " 0 mismatches in " in printed
    assert "core.bit" in printed


def printed_by(name: str, folder: Path) -> str:
    """What the cells of a notebook print when they are run."""
    book = nbformat.read(DOCS / f"{name}.ipynb", 4)
    specification = KernelSpecManager().get_kernel_spec("python3")
    assert specification.argv[0] in (sys.executable, "python", "python3")
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    return "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", ()))
