"""The report on a real run: each figure against the JSON that it came from, and the page in a real browser."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hls4rl.artefact import digest
from hls4rl.checked import write_checked
from hls4rl.errors import ProjectError
from hls4rl.hls_projects import synthesise
from hls4rl.hls_projects.summary import KEYS
from hls4rl.policy import PolicySpec
from hls4rl.report import write_reports
from hls4rl.report.collect import block_means, collect_task
from hls4rl.report.commands import commands
from hls4rl.report.write import _marked, _render, look_up
from hls4rl.task import Source, Task, change, load_task
from hls4rl.train import train_seed

pytestmark = pytest.mark.xdist_group("page")  # one real run serves all tests here

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def task() -> Task:
    quick = "training.episodes=200 training.validation_episodes=5 hardware.place_seeds=1"
    return change(load_task("cartpole"), quick)[0]


@pytest.fixture(scope="module")
def root(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task with a built design of two seeds, a search and a board's result."""
    root = tmp_path_factory.mktemp("reported")
    train_seed(task, PolicySpec("cartpole", "binarynet", 2, 1), root)
    run = synthesise(task, PolicySpec("cartpole", "binarynet", 2, 0), root=root, episodes=5)
    directory = run.path.parent.parent
    write_checked(directory / "hil.json", {
        "policy": digest(directory / "policy" / "policy.safetensors"),
        "board": "ulx3s", "port": "sim", "episodes": 5, "return_hardware": 31.4, "return_software": 31.4,
        "steps_compared": 157, "mismatches": 0, "retries": 3, "inferences_per_second": 1422.1,
    })
    point = {"fold": 0, "lut": 30, "ff": 3, "dsp": 0, "bram": 0, "fmax_mhz": 100.0, "cycles": 1, "latency_ns": 10.0,
             "steps": 100352, "mismatches": 0}
    write_checked(directory / "fold.json", {
        "policy": digest(directory / "policy" / "policy.safetensors"), "part": "ecp5-25f",
        "points": [point, {**point, "fold": 1, "lut": 90, "latency_ns": 700.0}],
    })
    (root / "cartpole" / "explore").mkdir()
    write_checked(root / "cartpole" / "explore" / "explore.json", search())
    write_reports(root)
    return root


def search() -> dict[str, Any]:
    """As make explore writes it."""
    trial = {
        "status": "placed", "method": "ternary", "hidden": 2, "seed": 3, "bits": 8, "input_bits": 3, "part": "ecp5-25f",
        "run": "ternary-h2-s3", "return": 199.5, "solved": True, "lut": 9, "latency_ns": 3.21, "energy_pj": 0.27,
        "cycles": 1, "command": "make synth ENV=cartpole METHOD=ternary HIDDEN=2 SEED=3 PART=ecp5-25f <&>",
    }
    worse = {**trial, "number": 1, "seed": 4, "lut": 12, "return": 198.0, "latency_ns": 4.0}
    lost = {**trial, "number": 2, "status": "unfit", "lut": None, "return": None, "latency_ns": None}
    return {
        "task": "cartpole", "environment": "cartpole", "solved": 195.0, "front": [0],
        "trials": [{**trial, "number": 0}, worse, lost, {**trial, "number": 3, "seed": 5}],
    }


@pytest.fixture(scope="module")
def content(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "cartpole" / "report.json").read_text())
    return found


class Figures(HTMLParser):
    """The text of each element that names its place in the JSON; and whatever would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.fetched: list[str] = []
        self._path: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self._path = values.get("data-path")
        for key in ("src", "href", "xlink:href"):
            target = values.get(key) or "#"
            if tag != "a" and not target.startswith(("#", "data:")):
                self.fetched.append(target)

    def handle_data(self, data: str) -> None:
        if self._path:
            self.found.append((self._path, data))

    def handle_endtag(self, tag: str) -> None:
        self._path = None


@pytest.mark.parametrize("page", [".", "cartpole"])
def test_each_figure_of_the_page_is_that_of_its_json(root: Path, page: str) -> None:
    content = json.loads((root / page / "report.json").read_text())
    figures = Figures((root / page / "report.html").read_text()).found
    assert len(figures) > (15 if page == "." else 120)
    for path, shown in figures:
        value = look_up(content, path)
        if value is None:
            assert shown == "–", path
        else:
            digits = len(shown.partition(".")[2])
            assert float(shown.replace(",", "")) == pytest.approx(value, abs=0.5001 * 10**-digits, rel=1e-5), path


def test_the_json_has_what_the_runs_files_have(root: Path, content: dict[str, Any]) -> None:
    run = root / "cartpole" / "binarynet-h2-s0"
    policy = content["policies"][0]
    summary = json.loads((run / "report" / "summary.json").read_text())
    assert {key: policy["figures"][key] for key in KEYS if key != "bitstream"} == {
        key: summary[key] for key in KEYS if key != "bitstream"
    }
    assert (root / "cartpole" / policy["figures"]["bitstream"]).is_file()
    assert policy["energy"] == json.loads((run / "report" / "op_and_param_counts.json").read_text())
    for row, item in zip(policy["verification"], json.loads((run / "report" / "verification.json").read_text()),
                         strict=True):
        assert (row["backend"], row["mismatches"], row["steps"]) == (item["backend"], 0, item["steps"])
        assert row["mean_return"] == np.mean(item["returns"])
        assert (row["lowest"], row["highest"]) == (min(item["returns"]), max(item["returns"]))
    assert [seed["seed"] for seed in policy["training"]["seeds"]] == [0, 1]
    assert [seed["deployed"] for seed in policy["training"]["seeds"]] == [True, False]
    for seed in policy["training"]["seeds"]:
        training = json.loads((run.with_name(f"binarynet-h2-s{seed['seed']}") / "policy" / "training.json").read_text())
        assert seed["greedy_return"] == training["greedy_return"]
        assert np.mean(seed["curve"]) == pytest.approx(np.mean(training["training_returns"]), abs=1e-3)
    lut = policy["resources"][0]
    assert (lut["name"], lut["used"], lut["has"]) == ("LUT", summary["lut"], 24288)
    assert lut["percent"] == round(100 * summary["lut"] / 24288, 3)


def test_the_drawn_episode_is_the_first_of_the_verification(content: dict[str, Any]) -> None:
    policy = content["policies"][0]
    assert policy["episode"]["return"] == policy["verification"][0]["first"]
    assert policy["episode"]["steps"] == len(policy["episode"]["actions"]) == len(policy["episode"]["observations"])


def test_the_critical_path_adds_up(content: dict[str, Any]) -> None:
    policy = content["policies"][0]
    path = policy["critical_path"]
    assert path["total_ns"] == pytest.approx(1000 / policy["figures"]["fmax_mhz"], abs=0.02)
    assert path["logic_ns"] + path["routing_ns"] + path["register_ns"] == pytest.approx(path["total_ns"])
    assert path["from"] == "an input's register"
    assert path["to"] == "the action's register"
    assert f"{path['total_ns']:.2f} ns" in path["words"]


def test_the_picture_of_the_weights_holds_the_hardwares_values(content: dict[str, Any]) -> None:
    hidden, output = content["policies"][0]["weights"]["layers"]
    assert (np.shape(hidden["weight"]), np.shape(output["weight"])) == ((2, 4), (2, 2))
    assert {abs(value) for row in hidden["weight"] for value in row} == {1.0}


def test_the_front_is_that_of_the_search_and_the_runs(content: dict[str, Any]) -> None:
    front = [point["label"] for point in content["points"] if point["front"]]
    assert "trial 0: ternary-h2-s3" in front
    assert "trial 1: ternary-h2-s3" not in front
    assert "trial 3: ternary-h2-s3" not in front  # it is no better than trial 0, which counts it
    assert [point["equals"] for point in content["points"] if point["label"].startswith("trial 0")] == [1]
    assert len(content["points"]) == 4
    assert content["trials"] == {"placed": 3, "unfit": 1}


def test_points_lie_where_their_figures_say(root: Path, content: dict[str, Any]) -> None:
    text = (root / "cartpole" / "report.html").read_text()
    marks = re.findall(r'id="front-lut-tip-(\d+)".*?<use [^>]*?x="([\d.]+)" y="([\d.]+)"', text, re.DOTALL)
    assert len(marks) == len(content["points"])
    points = [content["points"][int(index)] for index, _, _ in marks]
    x, y = (np.array([float(mark[place]) for mark in marks]) for place in (1, 2))
    told = [[math.log10(point["lut"]) for point in points], [point["return"] for point in points]]
    for drawn, values in zip((x, y), told, strict=True):
        line = np.polyfit(values, drawn, 1)
        assert np.abs(np.polyval(line, values) - drawn).max() < 0.1


def test_the_curve_goes_through_its_values(root: Path, content: dict[str, Any]) -> None:
    text = (root / "cartpole" / "report.html").read_text()
    for seed in content["policies"][0]["training"]["seeds"]:
        path = re.search(rf'id="p0-training-tip-{seed["seed"]}".*?<path d="([^"]*)"', text, re.DOTALL)
        assert path is not None
        pairs = re.findall(r"[ML] ([\d.]+) ([\d.]+)", path[1])
        drawn = np.array([[float(number) for number in pair] for pair in pairs])
        assert len(drawn) == len(seed["curve"])
        line = np.polyfit(seed["curve"], drawn[:, 1], 1)
        assert np.abs(np.polyval(line, seed["curve"]) - drawn[:, 1]).max() < 0.1


def test_each_point_is_explained_and_leads_to_its_command(root: Path) -> None:
    text = (root / "cartpole" / "report.html").read_text()
    assert 'data-tip="trial 0: ternary-h2-s3: ternary, 2 units, 2-bit weights, 3-bit inputs, ecp5-25f. Re' in text
    assert "make synth ENV=cartpole METHOD=ternary HIDDEN=2 SEED=3 PART=ecp5-25f &lt;&amp;&gt;" in text


def test_a_page_needs_nothing_but_itself(root: Path) -> None:
    for path in (root / "report.html", root / "cartpole" / "report.html"):
        assert Figures(path.read_text()).fetched == []
        assert not re.search(r"@import|url\((?!#)", path.read_text())


def test_names_in_the_drawings_are_unique(root: Path) -> None:
    names = re.findall(r'\bid="([^"]*)"', (root / "cartpole" / "report.html").read_text())
    assert len(names) == len(set(names))


def test_markdown_has_the_same_figures(root: Path, content: dict[str, Any]) -> None:
    text = (root / "cartpole" / "report.md").read_text()
    figures = content["policies"][0]["figures"]
    assert f"| {figures['lut']} | {figures['ff']} |" in text
    assert content["policies"][0]["critical_path"]["words"] in text
    assert "| trial 0: ternary-h2-s3 and 1 equal | 199.50 | 9 | 3.21 | 0.27 |" in text
    assert "make synth ENV=cartpole METHOD=ternary HIDDEN=2 SEED=3 PART=ecp5-25f <&>" in text


def test_equal_runs_give_equal_pages(root: Path) -> None:
    before = (root / "cartpole" / "report.html").read_bytes()
    write_reports(root)
    assert (root / "cartpole" / "report.html").read_bytes() == before


def test_commands_say_every_setting_that_differs(task: Task) -> None:
    changed, _ = change(load_task("cartpole"), "observation.bits=2 hardware.clock_mhz=80")
    spec = {"method": "pruning", "hidden": [4], "seed": 7, "bits": 4, "percentile": 75.0, "clusters": 8}
    lines = {item["figure"]: item["command"] for item in commands(spec, changed, "cartpole", board_tried=True)}
    assert lines["all of them"] == (
        "make synth ENV=cartpole METHOD=pruning HIDDEN=4 BITS=4 PERCENTILE=75 SEED=7 SET=observation.bits=2 "
        "PART=ecp5-25f CLOCK_MHZ=80"
    )
    assert "SEED" not in lines["training curve, all seeds"]
    text = re.search(r"SET='([^']*)'", commands(spec, task, "cartpole", False)[0]["command"])
    assert text is not None
    assert change(load_task("cartpole"), text[1])[0] == task


def test_block_means_leave_out_a_rest() -> None:
    assert block_means([1.0, 3.0, 5.0, 7.0, 100.0], 2) == [2.0, 6.0]


def test_nothing_built_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"nothing to report in .*run `make synth` or `make explore` first"):
        write_reports(tmp_path)


def test_a_damaged_run_is_told_by_its_file(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "cartpole", tmp_path / "cartpole")
    (tmp_path / "cartpole" / "binarynet-h2-s0" / "report" / "verification.json").write_text("{")
    with pytest.raises(ProjectError, match=r"verification.json: not the file that was made here .*run `make synth`"):
        collect_task(tmp_path / "cartpole")


def test_a_search_alone_makes_a_page(tmp_path: Path) -> None:
    (tmp_path / "mine" / "explore").mkdir(parents=True)
    write_checked(tmp_path / "mine" / "explore" / "explore.json", {**search(), "environment": "my/mine.toml"})
    write_reports(tmp_path)
    text = (tmp_path / "mine" / "report.html").read_text()
    assert "3 placed, 1 unfit" in text
    assert "make explore ENV=my/mine.toml" in text


def browser() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium: one on PATH, or the one that `playwright install chromium` fetched."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        try:
            opened = driver.chromium.launch(executable_path=browser())
        except playwright.Error as error:
            pytest.skip(f"no Chromium here: install one, or run `playwright install chromium` ({type(error).__name__})")
        yield opened
        opened.close()


@pytest.mark.parametrize(
    ("scheme", "width", "background"),
    [("light", 1280, "rgb(255, 255, 255)"), ("dark", 1280, "rgb(22, 24, 27)"), ("dark", 360, "rgb(22, 24, 27)")],
)
@pytest.mark.parametrize("page", [".", "cartpole"])
def test_in_a_browser(chromium: Any, root: Path, page: str, scheme: str, width: int, background: str) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    sheet, complaints = context.new_page(), []
    sheet.on("console", lambda message: complaints.append(message.text))
    sheet.on("pageerror", lambda error: complaints.append(str(error)))
    sheet.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else complaints.append(
        request.url))
    sheet.goto((root / page / "report.html").as_uri())
    assert complaints == []
    assert sheet.evaluate("getComputedStyle(document.body).backgroundColor") == background
    assert sheet.evaluate("document.documentElement.scrollWidth") <= width
    drawings = sheet.locator("svg.plot")
    assert drawings.count() == (4 if page == "." else 8)
    for index in range(drawings.count()):
        box = drawings.nth(index).bounding_box()
        assert box["width"] > 200
        assert box["height"] > 50
        assert drawings.nth(index).locator("path, use, image").count() > 5
        colour = drawings.nth(index).locator("text").first.evaluate("item => getComputedStyle(item).fill")
        assert colour == ("rgb(28, 28, 28)" if scheme == "light" else "rgb(233, 233, 228)")
    context.close()


def test_a_point_is_explained_when_pointed_at(chromium: Any, root: Path, content: dict[str, Any]) -> None:
    context = chromium.new_context(viewport={"width": 1000, "height": 800})
    sheet = context.new_page()
    sheet.goto((root / "cartpole" / "report.html").as_uri())
    assert sheet.locator("#tip").is_hidden()
    for index, point in enumerate(content["points"]):
        box = sheet.locator(f"#front-lut-tip-{index}").bounding_box()
        sheet.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert point["label"] in sheet.locator("#tip").inner_text()
        assert f"{point['lut']} LUT" in sheet.locator("#tip").inner_text()
        sheet.mouse.move(1, 1)
        assert sheet.locator("#tip").is_hidden()
    sheet.locator("#front-lut-tip-0").focus()
    assert content["points"][0]["label"] in sheet.locator("#tip").inner_text()
    sheet.keyboard.press("Escape")
    assert sheet.locator("#tip").is_hidden()
    context.close()


def test_paper_is_white_and_shows_every_design(chromium: Any, root: Path) -> None:
    context = chromium.new_context(color_scheme="dark")
    sheet = context.new_page()
    sheet.goto((root / "cartpole" / "report.html").as_uri())
    sheet.evaluate("for (const item of document.querySelectorAll('details')) item.open = false")
    sheet.emulate_media(media="print")
    assert sheet.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    sheet.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert sheet.locator("details:not([open])").count() == 0
    sheet.evaluate("dispatchEvent(new Event('afterprint'))")
    assert sheet.locator("details[open]").count() == 0
    context.close()


def test_commands_of_an_imported_policy_name_its_file_and_leave_out_what_follows_from_it() -> None:
    task = change(load_task("cartpole1"), "observation.bits=4 hardware.fold=\"auto\" distillation.rounds=3")[0]
    seen = replace(task.observation, scale=(4.0, 4.0, 64.0, 2.0), offset=(0.1, 0.2, 0.3, 0.4))
    spec = PolicySpec("cartpole1", "ternary", (4,), 0, 4).to_json()
    for distil, word in ((True, "TEACHER"), (False, "POLICY")):
        built = replace(task, observation=seen, source=Source("my policy.zip", "n.pkl", distil=distil))
        assert commands(spec, built, "cartpole1", False)[0]["command"] == (
            f"make synth ENV=cartpole1 METHOD=ternary HIDDEN=4 BITS=4 SEED=0 {word}='my policy.zip' NORMALISER=n.pkl "
            "SET=distillation.rounds=3 PART=ecp5-25f"
        )


def test_the_returns_of_an_imported_policy_are_told(content: dict[str, Any]) -> None:
    found = {"distilled": True, "file": "p.zip", "policy": "PPO", "network": "tanh 64-64", "episodes": 9, "steps": 1234,
             "float_return": 198.25, "float_interval": 1.5, "integer_return": 197.75, "integer_interval": 2.5,
             "equal_actions": 0.75, "rounded": {"integer_return": 101.5, "integer_interval": 3.5}}
    changed = {**content, "policies": [{**content["policies"][0], "imported": found}]}
    drawn = {"training": "", "weights": "", "episode": "", "fold": None, "critical_path": None, "frames": ""}
    drawings = {"drawn": [drawn], "fronts": ""}
    text = _render("task.md.j2", changed, drawings, lambda path, text: text)
    assert "Trained after p.zip (PPO, tanh 64-64), 9 greedy episodes each:" in text
    assert [line in text for line in (
        "| in real numbers | 198.25 | 1.50 |", "| only rounded | 101.50 | 3.50 |", "| this one | 197.75 | 2.50 |",
    )] == [True] * 3
    page = _render("task.html.j2", changed, drawings, _marked)
    assert "<h3>Trained after p.zip</h3>" in page
    assert '<span data-path="policies.0.imported.equal_actions">75.00%</span>' in page


def test_measured_scales_are_told_only_where_others_would_be_measured(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('environment = "CartPole-v1"\n', encoding="utf-8")
    spec = PolicySpec("own", "fp", "0", 0).to_json()
    built = load_task(str(path)).resolved
    assert "SET" not in commands(spec, built, str(path), False)[0]["command"]
    fewer = change(load_task(str(path)), "observation.bits=4")[0].resolved
    assert "SET=observation.bits=4 " in commands(spec, fewer, str(path), False)[0]["command"]
    other = change(load_task(str(path)), "observation.scale=[0.5,0.5,0.5,0.5]")[0]
    assert "observation.scale=[0.5,0.5,0.5,0.5]" in commands(spec, other, str(path), False)[0]["command"]
