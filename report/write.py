"""Write the reports: ``report.html``, ``report.json`` and ``report.md`` for each task and over all of them."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from hls4rl.artefact import write_json
from hls4rl.errors import ProjectError
from hls4rl.report import plots
from hls4rl.report.collect import collect_task, imported, overview
from hls4rl.report.episode import pictures
from hls4rl.report.records import records_of
from hls4rl.report.sources import imported_builds, task_directories, task_of
from hls4rl.train.methods import METHODS

NAME = "report"
"""The files' stem."""
NONE = "–"


def write_reports(root: Path) -> Path:
    """Write a report into each task's directory below ``root``, and one over all into ``root``; returns its JSON.

    Raises:
        ProjectError: nothing was built below ``root``, or a file there is damaged.
    """
    tasks = []
    for directory in task_directories(root):
        content = collect_task(directory)
        _write(directory, "task", content, _task_drawings(directory, content))
        tasks.append(content)
    models = [imported(build) for build in imported_builds(root)]
    records = records_of(root)
    if not tasks and not models and not records:
        raise ProjectError(f"nothing to report in {root}; run `make synth` or `make explore` first")
    content = overview(tasks, models, records)
    drawings = {item["task"]: plots.fronts(item["points"], item["solved_from"], f"p{index}")
                for index, item in enumerate(content["tasks"])}
    drawn = [plots.records(item, f"r{index}") for index, item in enumerate(records)]
    _write(root, "overview", content, {"fronts": drawings, "drawn_records": drawn})
    return root / f"{NAME}.json"


def look_up(content: Any, path: str) -> Any:
    """The value at a dotted ``path``, as ``policies.0.figures.lut``."""
    for key in path.split("."):
        content = content[int(key)] if isinstance(content, list) else content[key]
    return content


def formatted(value: Any, form: str) -> str:
    """``value`` as it is shown; a dash for None."""
    return NONE if value is None else form.format(value)


def _task_drawings(directory: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    drawn = []
    for index, policy in enumerate(content["policies"]):
        name = f"p{index}"
        drawn.append({
            "training": plots.training(policy, f"{name}-training"),
            "weights": plots.weights(policy, f"{name}-weights"),
            "episode": plots.episode(policy, f"{name}-episode"),
            "fold": plots.fold(policy, f"{name}-fold") if policy["folds"] else None,
            "critical_path": plots.critical_path(policy, f"{name}-path") if policy["critical_path"] else None,
            "frames": pictures(task_of(directory / policy["name"]), policy["episode"]),
        })
    return {"drawn": drawn, "fronts": plots.fronts(content["points"], content["solved_from"], "front")}


def _write(directory: Path, template: str, content: dict[str, Any], drawings: dict[str, Any]) -> None:
    write_json(directory / f"{NAME}.json", content)
    _write_text(directory / f"{NAME}.html", _render(f"{template}.html.j2", content, drawings, _marked))
    _write_text(directory / f"{NAME}.md", _render(f"{template}.md.j2", content, drawings, _plain))


def _render(
    template: str, content: dict[str, Any], drawings: dict[str, Any], show: Callable[[str, str], str]
) -> str:
    environment = Environment(
        loader=PackageLoader("hls4rl.report"), autoescape=select_autoescape(["html.j2"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        finalize=escaped if template.endswith(".md.j2") else None,
    )
    environment.filters["code"] = code

    def figure(path: str, form: str = "{}") -> str:
        return show(path, formatted(look_up(content, path), form))

    return environment.get_template(template).render(
        content=content, figure=figure, explain=plots.explain, methods=METHODS, **drawings
    )


class _Raw(str):
    """Text that is Markdown already."""


def escaped(value: object) -> str:
    """``value`` as Markdown that shows it and means nothing more: no HTML, no links, no columns, no second line."""
    if isinstance(value, _Raw):
        return value
    text = html.escape(" ".join(str(value).splitlines()), quote=False)
    return re.sub(r"([\\`*\[\]|~])", r"\\\1", text)


def code(value: object) -> str:
    """``value`` as Markdown's code, in a table too."""
    text = " ".join(str(value).splitlines()).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return _Raw(f"{fence}{space}{text}{space}{fence}")


def _marked(path: str, text: str) -> Markup:
    # The path says where in the JSON the figure stands, for readers of the source and for the tests.
    return Markup('<span data-path="{}">{}</span>').format(path, text)


def _plain(path: str, text: str) -> str:
    return text


def _write_text(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
