"""``hls4rl paper --publish``: keep the rows with the project, and write the documentation's tables from them.

A table lies between ``<!-- paper:NAME -->`` and ``<!-- /paper:NAME -->``; nothing in it is typed by hand.
"""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from hls4rl.errors import ProjectError
from hls4rl.studies.paper import departures, pong_claims, pong_table, tables
from hls4rl.studies.paper.answers import Answers
from hls4rl.studies.paper.results import Results
from hls4rl.studies.paper.variants import TASKS

PROJECT = Path(__file__).resolve().parents[2]
ROWS = Path(__file__).with_name("results.jsonl.gz")
"""The rows that the documentation's figures were made of, one JSON object a line."""
PONG_ROWS = Path(__file__).with_name("pong.jsonl.gz")
"""The same of Pong."""
_NONE = "(not trained to its end for this revision: `make paper`)"
DOCUMENTS = ("docs/results.md", "docs/departures.md")
Tables = Mapping[str, Callable[[Results], str]]
PICTURES = {"step.png": "docs/step.png"}


def publish_pong(results: Results, rows: Path, picture: Path, project: Path = PROJECT) -> list[Path]:
    """The same with the grid of Pong."""
    path = _documents(project) / "results.md"
    path.write_text(fill(path.read_text(encoding="utf-8"), results, path.name, "pong", PONG_TABLES), encoding="utf-8")
    shutil.copy(picture, project / "docs" / "pong.png")
    PONG_ROWS.write_bytes(gzip.compress(rows.read_bytes(), mtime=0))
    return [path, project / "docs" / "pong.png", PONG_ROWS]


def publish(results: Results, rows: Path, figures: Path, project: Path = PROJECT) -> list[Path]:
    """Write tables and pictures into the documentation of a checkout; returns the files that were written.

    Raises:
        ProjectError: this is no checkout of the project, or a document names a table that there is not.
    """
    _documents(project)
    written = []
    for name in DOCUMENTS:
        path = project / name
        if path.is_file():
            path.write_text(fill(path.read_text(encoding="utf-8"), results, name), encoding="utf-8")
            written.append(path)
    for source, place in PICTURES.items():
        if (figures / source).is_file():
            shutil.copy(figures / source, project / place)
            written.append(project / place)
    ROWS.write_bytes(gzip.compress(rows.read_bytes(), mtime=0))
    return [*written, ROWS]


def _documents(project: Path) -> Path:
    if not (project / "docs").is_dir():
        raise ProjectError(f"{project}: no docs here; --publish is for a checkout of the project")
    return project / "docs"


def fill(text: str, results: Results, where: str, mark: str = "paper", tables: Tables | None = None) -> str:
    """``text`` with each table made again that is marked with ``mark``."""
    tables = TABLES if tables is None else tables

    def make(match: re.Match[str]) -> str:
        name = match[1]
        if name not in tables:
            raise ProjectError(f"{where}: no table '{mark}:{name}'; there are {', '.join(sorted(tables))}")
        return f"<!-- {mark}:{name} -->\n{tables[name](results)}\n<!-- /{mark}:{name} -->"

    return re.sub(rf"<!-- {mark}:([\w-]+) -->\n.*?<!-- /{mark}:\1 -->", make, text, flags=re.DOTALL)


def _answers(results: Results) -> str:
    return Answers(results).table() if results.recipes else _NONE


def _summary(results: Results) -> str:
    """Means over the policies and widths of each method."""
    if not results.recipes:
        return _NONE
    lines = [
        "| recipe | task | method | policies | final | area | long | noisy | solved |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for recipe in results.recipes:
        for task in TASKS:
            for method in dict.fromkeys(cell.method for cell in results.cells):
                line = tables.summary(results, recipe, task, method)
                if line:
                    lines.append(line)
    return "\n".join(lines)


def _without_heading(table: str) -> str:
    return table.split("\n", 2)[2].strip() if table.count("\n|") > 2 else _NONE


TABLES: Tables = {
    "answers": _answers,
    "summary": _summary,
    "step": lambda results: _without_heading(tables.step_sizes(results)),
    "departures": lambda results: _without_heading(departures.table(results)),
    "costs": lambda results: _without_heading(tables.costs(results, "steady")),
}
"""What may stand between marks."""
PONG_TABLES: Tables = {
    "policies": lambda results: _without_heading(pong_table.table(results)),
    "claims": lambda results: _without_heading(pong_claims.claims(results)),
}
"""The same of Pong, marked ``pong:NAME``."""
