"""The verb ``zoo``: a folder of other people's agents, each through import, rounding and, where it needs it, training.

One row an agent, on standard output and in ``zoo.json`` and ``zoo.md``, written anew after each step: a second call
goes on where the first one ended.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
from rich.console import Console
from rich.table import Table

from hls4rl.artefact import write_json
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.build import synthesise
from hls4rl.hls_projects.flow.core import expect
from hls4rl.journal import note, working
from hls4rl.options import Root, option
from hls4rl.plain import read_json
from hls4rl.policy import PolicySpec, load_policy, read_hidden
from hls4rl.run import RUNS, Run
from hls4rl.task import Source, Task, load_task, with_settings
from hls4rl.train.pretrained.float_policy import FloatPolicy
from hls4rl.train.pretrained.imported import prepare
from hls4rl.train.pretrained.reader import read_source
from hls4rl.train.pretrained.saved import to_bytes
from hls4rl.train.selection import train_seed
from hls4rl.verdict import with_interval

FOLDER = "zoo"
ENDINGS = (".zip", ".pth", ".pt", ".safetensors", ".onnx")
NORMALISERS = (".vecnormalize.pkl", ".normaliser.json")
"""What a normaliser is called beside its policy, after the policy's own name."""
BITS = (16, 8)
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 200)

Folder = Annotated[Path, option("--policies", "Folder with the agents' files: <algorithm>/<environment>.zip.")]
Published = Annotated[
    Path | None,
    option("--published", "README with a table of returns. Default: README.md in the folder or the one above."),
]
Builds = Annotated[
    str | None,
    option("--build", "Agents that end in a bitstream, as 'ppo/CartPole-v1 ars/Hopper-v3', or all. Default: none."),
]


@dataclass(frozen=True)
class Agent:
    """One agent of the folder."""

    name: str
    """``<algorithm>/<environment>`` as its file is called."""
    policy: Path
    normaliser: Path | None
    task: Path | None = None
    """Its task file, where the name isn't that of an environment."""
    published: str = "–"
    """Mean and deviation of its return, as a README says them."""


@dataclass
class Row:
    """What is known of an agent so far."""

    name: str
    published: str
    environment: str = "–"
    network: str = "–"
    float_return: str = "–"
    rounded: dict[int, str] = field(default_factory=dict)
    distilled: str = "–"
    core: str = "–"
    """What its 8 bits come to: placed, or estimated."""
    student: str = "–"
    """A network of other hidden layers that was trained after it: its return and its core."""
    error: str = ""

    def cells(self, hidden: str | None) -> list[str]:
        """Of the table; ``hidden``: see :func:`zoo`."""
        rounded = [self.rounded.get(bits, "–") for bits in BITS]
        return [self.name, self.network, self.environment, self.published, self.float_return, *rounded, self.distilled,
                self.error or self.core, *([] if hidden is None else [self.student])]


def columns(hidden: str | None) -> list[str]:
    """Of the table; ``hidden``: see :func:`zoo`."""
    found = ["agent", "network", "environment", "published", "float", "16 bits", "8 bits", "distilled, 8 bits",
             "8 bits: LUT, DSP, block RAM, latency"]
    return found if hidden is None else [*found, f"student of {hidden} units, 8 bits; its core"]


def zoo(
    policies: Folder, published: Published = None, build: Builds = None,
    episodes: Annotated[int, option("--episodes", "Of each policy, float and rounded.", min=2)] = 100,
    checked: Annotated[int, option("--build-episodes", "That each executor of a built one drives.", min=1)] = 2,
    hidden: Annotated[
        str | None, option("--hidden", "Also train a network of such hidden layers after each, as 16 or 32x16.")
    ] = None,
    root: Root = RUNS,
) -> None:
    """Take every agent of a folder through import: returns in real numbers, at 16 and 8 bits, distilled, and the core.

    An agent's environment is its file's name, in Gymnasium's newest version of it, or the task file beside it
    (<algorithm>/<environment>.toml). Returns have 95 % intervals; "NO"
    marks those that fall by more than both intervals together, and where 8 bits do, a network of 8 bits is trained
    after it. Look-up tables, multipliers, block RAMs and latency are placed where it's built, else estimated (about).

    Example: hls4rl zoo --policies agents --build 'ppo/CartPole-v1 ars/Hopper-v3' --hidden 16
    """
    if hidden is not None:
        read_hidden(hidden)
    agents = list(find_agents(policies, _table(policies, published)))
    if not agents:
        raise ProjectError(f"{policies}: no agents there; give a folder with <algorithm>/<environment>.zip")
    wanted = {agent.name for agent in agents} if build == "all" else set((build or "").split())
    if unknown := wanted - {agent.name for agent in agents}:
        raise ProjectError(f"--build names {sorted(unknown)[0]}, which is not in {policies}")
    place = root / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    rows = [Row(agent.name, agent.published) for agent in agents]
    for agent, row in zip(agents, rows, strict=True):
        try:
            for step in _Visit(agent, row, root, episodes).steps(checked if agent.name in wanted else 0, hidden):
                note(place, f"{agent.name}: {step}")
                _write(rows, place, hidden)
        except ProjectError as error:
            row.error = str(error)
            CONSOLE.print(f"{agent.name}: {error}", markup=False)
        _write(rows, place, hidden)
    table = Table(show_lines=False)
    for column in columns(hidden):
        table.add_column(column)
    for row in rows:
        table.add_row(*row.cells(hidden))
    CONSOLE.print(table)
    print_result(place / "zoo.json")


def find_agents(folder: Path, published: dict[str, str]) -> Iterator[Agent]:
    """The agents of ``folder``, in the order of their names."""
    for path in sorted(folder.glob("*/*")):
        if path.suffix in ENDINGS and path.is_file():
            name = f"{path.parent.name}/{path.stem}"
            beside = [path.with_name(path.stem + ending) for ending in NORMALISERS]
            found = next((item for item in beside if item.is_file()), None)
            task = path.with_suffix(".toml")
            yield Agent(name, path, found, task if task.is_file() else None, published.get(name, "–"))


def published_returns(text: str) -> dict[str, str]:
    """Mean and deviation by agent, of the table rows that begin with an agent's name in a Markdown ``text``."""
    found = {}
    for line in text.splitlines():
        cells = [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
        name = re.match(r"[\w-]+/[\w-]+", cells[0])
        numbers = [cell.replace(",", "").replace("−", "-") for cell in cells[-2:]]
        if name and len(cells) > 2 and all(re.fullmatch(r"-?[\d.]+", cell) for cell in numbers):
            found[name[0]] = f"{numbers[0]} ± {numbers[1]} (std)"
    return found


def newest(environment: str) -> str:
    """Gymnasium's newest version of ``environment``, as Hopper-v5 of Hopper-v3."""
    stem = re.sub(r"-v\d+$", "", environment)
    versions = [spec.version for spec in gym.registry.values()
                if spec.name == stem and not spec.namespace and spec.version is not None]
    return f"{stem}-v{max(versions)}" if versions else environment


def _table(folder: Path, given: Path | None) -> dict[str, str]:
    if given is not None and not given.is_file():
        raise ProjectError(f"{given}: no such file; give a Markdown file with --published")
    for path in (given, folder / "README.md", folder.parent / "README.md"):
        if path is not None and path.is_file():
            return published_returns(path.read_text(encoding="utf-8"))
    return {}


def _write(rows: list[Row], place: Path, hidden: str | None) -> None:
    titles = columns(hidden)
    write_json(place / "zoo.json", {"columns": titles, "agents": [dataclasses.asdict(row) for row in rows]})
    lines = [titles, ["---"] * len(titles), *(row.cells(hidden) for row in rows)]
    text = "".join(f"| {' | '.join(str(cell).replace('|', '/') for cell in line)} |\n" for line in lines)
    (place / "zoo.md").write_text(text, encoding="utf-8")


class _Visit:
    """One agent's way through import; each step fills in its row."""

    def __init__(self, agent: Agent, row: Row, root: Path, episodes: int) -> None:
        self._agent, self._row, self._root, self._episodes = agent, row, root, episodes
        self._source = Source(str(agent.policy), "" if agent.normaliser is None else str(agent.normaliser))

    def steps(self, checked: int, hidden: str | None) -> Iterator[str]:
        """Take them, and say each that is done.

        Args:
            checked: episodes that each executor of the built core drives; 0 doesn't build it.
            hidden: see :func:`zoo`.
        """
        policy, row = read_source(self._source), self._row
        row.network = policy.shape
        task = self._task(policy)
        row.environment = task.environment + (" with the time that is left" if task.wrappers else "")
        yield "read"
        for bits in BITS:
            # As many bits as this are only rounded.
            wanted = task if bits == BITS[-1] else with_settings(task, "distillation", rounds=0)
            found = self._train(wanted, bits)
            row.float_return = with_interval(found["float_return"], found["float_interval"])
            row.rounded[bits] = _shown(found.get("rounded", found))
            yield f"{bits} bits: {row.rounded[bits]}, float {row.float_return}"
        if found["distilled"]:
            row.distilled = _shown(found)
            yield f"distilled: {row.distilled}"
        row.core = self._estimated(task)
        if checked:
            row.core = self._built(task, checked)
        yield f"core: {row.core}"
        if hidden is not None:
            row.student = f"{_shown(self._train(task, BITS[-1], hidden))}; {self._estimated(task, hidden)}"
            yield f"student of {hidden} units: {row.student}"

    def _task(self, policy: FloatPolicy) -> Task:
        name = newest(self._agent.policy.stem) if self._agent.task is None else str(self._agent.task)
        known = self._agent.task is not None or re.search(r"-v\d+$", name)
        task = load_task(name) if known else Task(name=name, environment=name)
        if policy.features == task.features + 1:
            wrapper = {"name": "TimeAwareObservation", "normalize_time": True}
            task = dataclasses.replace(task, name=f"{task.name}-time", wrappers=(wrapper,))
            self._source = Source(str(self._time_counted_up(policy)))
        return with_settings(task, "training", evaluation_episodes=self._episodes)

    def _time_counted_up(self, policy: FloatPolicy) -> Path:
        """The same policy for the time that has gone by: rl-zoo's wrapper gives the share of it that is left."""
        first, normaliser = policy.weights[0].copy(), policy.normaliser
        if normaliser is None:
            bias = policy.biases[0] + first[:, -1]
            policy = dataclasses.replace(policy, biases=(bias, *policy.biases[1:]))
        else:
            mean = normaliser.mean.copy()
            mean[-1] = 1.0 - mean[-1]
            normaliser = dataclasses.replace(normaliser, mean=mean)
        first[:, -1] *= -1.0
        policy = dataclasses.replace(policy, weights=(first, *policy.weights[1:]))
        place = self._root / FOLDER / f"{self._agent.name.replace('/', '-')}-time.safetensors"
        place.write_bytes(to_bytes(policy, normaliser))
        return place

    def _prepared(self, task: Task, bits: int, hidden: str | None) -> tuple[Task, PolicySpec]:
        spec = PolicySpec(task.name, "fp", () if hidden is None else read_hidden(hidden), 0, bits)
        source = dataclasses.replace(self._source, distil=hidden is not None)
        return prepare(task, spec, source, (), (None, hidden))

    def _train(self, task: Task, bits: int, hidden: str | None = None) -> dict[str, Any]:
        task, spec = self._prepared(task, bits, hidden)
        name = f"{self._agent.name}: {bits} bits{'' if hidden is None else f', {hidden} units'}"
        with working(CONSOLE, name, self._root / FOLDER):
            path = train_seed(task, spec, self._root)
        found: dict[str, Any] = read_json(path, "run `make zoo` again")["source"]
        return found

    def _estimated(self, task: Task, hidden: str | None = None) -> str:
        task, spec = self._prepared(task, BITS[-1], hidden)
        found = expect(load_policy(Run(spec, self._root).policy).network, task.hardware)
        assert found is not None
        latency = 1000 * found.cycles / task.hardware.clock_mhz
        return "about " + _core(dataclasses.asdict(found) | {"latency_ns": latency})

    def _built(self, task: Task, episodes: int) -> str:
        task, spec = self._prepared(task, BITS[-1], None)
        summary = synthesise(task, spec, root=self._root, episodes=episodes, console=CONSOLE).summary
        made = "bitstream" if summary["bitstream"] else "netlist"
        return f"{_core(summary)}; {made}, {summary['mismatches']} mismatches in {summary['steps_compared']:,} steps"


def _shown(found: dict[str, Any]) -> str:
    text = with_interval(found["integer_return"], found["integer_interval"])
    return text if found["keeps_return"] else f"{text} NO"


def _core(figures: dict[str, Any]) -> str:
    latency = figures["latency_ns"]
    shown = "–" if latency is None else f"{latency:.0f} ns" if latency < 1000 else f"{latency / 1000:,.1f} µs"
    return f"{figures['lut']:,}, {figures['dsp']}, {figures['bram']}, {shown}"
