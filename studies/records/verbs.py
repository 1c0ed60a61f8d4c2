"""The verb ``records``: policies of few gates on the tasks where others have published, from training to the netlist.

Each record is a task's file in ``tasks/`` and a network. Every seed is trained, placed, and driven through 100 greedy
Gymnasium episodes by every executor, the netlist among them; what a line says is of these. Training takes hours on some
tasks: everything that is done is kept, and the same command goes on.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.figure import Figure
from rich.console import Console

from hls4rl.checked import write_checked
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.build import synthesise
from hls4rl.hls_projects.fpga import synthesis
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.options import PolicyOptions, Root, Scheduler, option
from hls4rl.plain import read_json
from hls4rl.policy import PolicySpec
from hls4rl.run import RUNS, Run
from hls4rl.task import Task
from hls4rl.train.progress import TrainingProgress
from hls4rl.train.selection import train_missing
from hls4rl.verdict import interval

CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
TASKS = Path(__file__).resolve().parent / "tasks"
PEERS, PUBLISHED = TASKS.with_name("peers.toml"), TASKS.with_name("results.json")
POLICIES = TASKS.with_name("policies")
IMPORTED = "observation.bits=7 action.bits=7 hardware.fold=0"
"""Settings of the records that go on from a policy of :data:`POLICIES`."""
EPISODES = 100


@dataclass(frozen=True)
class Record:
    """What is trained and built."""

    method: str
    hidden: str
    bits: int
    activation_bits: int = 0
    """Of hidden units; 0: as ``bits``."""
    policy: str = ""
    """Name of a file in :data:`POLICIES` that the search goes on from, with :data:`IMPORTED`."""


RECORDS = {
    "cartpole1": Record("fp", "0", 2),
    "mountaincar": Record("fp", "0", 4),
    "lunarlander": Record("fp", "0", 4),
    "pendulum": Record("fp", "5", 4),
    "halfcheetah": Record("fp", "0", 4),
    "hopper": Record("fp", "0", 5),
    "walker2d": Record("fp", "0", 5),
    "ant": Record("fp", "12", 4, 6),
    "humanoid": Record("fp", "0", 6),
    "bipedalwalker": Record("fp", "0", 5),
    "halfcheetah-ars": Record("fp", "0", 5, policy="halfcheetah-ars.safetensors"),
    "walker2d-ars": Record("fp", "0", 6, policy="walker2d-ars.safetensors"),
}
"""By the name of the task's file; several may be of one environment, and are one front then."""


@dataclass(frozen=True)
class Line:
    """One seed of a record."""

    task: str
    """Name of the task's file."""
    environment: str
    network: str
    """Features, units and outputs, and the weights' bits: ``17-16-6, 3 bits``."""
    seed: int
    return_netlist: float
    """Mean over :data:`EPISODES` greedy episodes that the netlist drove."""
    interval: float
    """Half of its 95 % interval."""
    steps_compared: int
    mismatches: int
    lut4: int
    """Placed on the task's part."""
    lut6: int
    """As Yosys counts them for AMD's 7 series; not placed."""
    latency_ns: float
    training_episodes: int
    training_steps: int
    command: str
    """Builds it again."""


def _policy(name: str, seed: int) -> tuple[Task, PolicySpec]:
    record = RECORDS[name]
    options = PolicyOptions(
        env=str(TASKS / f"{name}.toml"), method=record.method, hidden=record.hidden, bits=record.bits,
        activation_bits=record.activation_bits, seed=seed,
    )
    if record.policy:
        options = replace(options, policy=str(POLICIES / record.policy), trainer="search", settings=IMPORTED)
    return options.read()


def _command(name: str, seed: int) -> str:
    """What builds one seed of the record ``name``, from the repository's root."""
    record, root = RECORDS[name], TASKS.parents[2]
    words = {
        "ENV": (TASKS / f"{name}.toml").relative_to(root), "METHOD": record.method, "HIDDEN": record.hidden,
        "BITS": record.bits,
        **({"ACTIVATION_BITS": record.activation_bits} if record.activation_bits else {}),
        **({"POLICY": (POLICIES / record.policy).relative_to(root), "TRAINER": "search", "SET": f"'{IMPORTED}'"}
           if record.policy else {}),
        "SEED": seed, "EPISODES": EPISODES,
    }
    return " ".join(["make synth", *(f"{key}={value}" for key, value in words.items())])


def _train(name: str, seeds: int, root: Path, scheduler: str | None) -> None:
    """Train what isn't there of a record's seeds, side by side."""
    task, _ = _policy(name, 0)
    with TrainingProgress(name) as progress:
        train_missing(task, [_policy(name, seed)[1] for seed in range(seeds)], root, progress, scheduler)


def line_of(name: str, seed: int, root: Path) -> Line:
    """Build and measure one seed of the record ``name``, trained if it isn't yet, or read what is there.

    Raises:
        ProjectError: a tool failed, or an executor differs.
    """
    task, spec = _policy(name, seed)
    summary = synthesise(task, spec, root=root, episodes=EPISODES, console=CONSOLE).summary
    run = Run(spec, root)
    training = read_json(run.policy.parent / "training.json", "run `make records` again")
    driven = json.loads((run.report / "verification.json").read_text(encoding="utf-8"))
    returns = np.array(next(item["returns"] for item in driven if item["backend"] == "netlist"))
    return Line(
        name, task.environment, _network(task, spec), seed, summary["return_netlist"], interval(returns) or 0.0,
        summary["steps_compared"], summary["mismatches"], summary["lut"], _lut6(run.part(task.hardware.part)),
        summary["latency_ns"], len(training["training_returns"]), training["steps"],
        _command(name, seed),
    )


def _network(task: Task, spec: PolicySpec) -> str:
    features, outputs = task.spaces
    source = "" if task.source is None else f", from {Path(task.source.policy).stem}"
    return f"{'-'.join(map(str, (features, *spec.hidden, outputs)))}, {spec.bits} bits{source}"


def _lut6(part: Path) -> int:
    """Look-up tables of six inputs that Yosys makes of the core in ``part``."""
    with tempfile.TemporaryDirectory(prefix="hls4rl-") as folder:
        counted = synthesis.synthesise([part / "policy_core.v"], "policy_core", load_part("xc7"), Path(folder))
    return int(counted.resources["lut"])


def records(
    task: Annotated[
        str | None, option("--task", f"Some of {', '.join(RECORDS)}, with spaces between. Default: all.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of each record, from 0 on.")] = 5,
    published: Annotated[
        bool, option("--published", "Show the lines that come with the project; train nothing.")
    ] = False,
    scheduler: Scheduler = None, root: Root = RUNS / "records",
) -> None:
    """Policies of few gates on the tasks where others have published: returns on the netlist, tables, nanoseconds.

    Training takes from minutes (cartpole1, halfcheetah) to hours (hopper); what is done is kept. The
    result is a JSON file, a table beside what others published, and a picture; `make report` has a page of them.
    """
    names = (task or " ".join(RECORDS)).split()
    if unknown := [name for name in names if name not in RECORDS]:
        raise ProjectError(f"no record '{unknown[0]}'; choose from {', '.join(RECORDS)}")
    if published:
        lines = [Line(**item) for item in json.loads(PUBLISHED.read_text(encoding="utf-8"))]
        lines = [line for line in lines if line.task in names]
    else:
        for name in names:
            _train(name, seeds, root, scheduler)
        lines = [line_of(name, seed, root) for name in names for seed in range(seeds)]
    root.mkdir(parents=True, exist_ok=True)
    peers = _peers(lines)
    write_checked(root / "records.json", {"lines": [asdict(line) for line in lines], "peers": peers})
    text = table_of(lines)
    (root / "records.md").write_text(text, encoding="utf-8")
    print(text)
    draw(lines, root / "records.png")
    print_result(root / "records.json")


def _peers(lines: Sequence[Line]) -> dict[str, list[dict[str, Any]]]:
    """What others published of each environment of ``lines``, by environment, in the order of these."""
    known: dict[str, list[dict[str, Any]]] = tomllib.loads(PEERS.read_text(encoding="utf-8"))
    return {name: known.get(name, []) for name in dict.fromkeys(line.environment for line in lines)}


def table_of(lines: Sequence[Line]) -> str:
    """Markdown: each environment's networks with their seeds and mean, and what others published of it."""
    rows = [
        "| environment | what | return | LUT6 | LUT4 | latency ns | steps compared, mismatches | trained, M steps |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    peers = _peers(lines)
    for name, published in peers.items():
        of_name = [line for line in lines if line.environment == name]
        for task in dict.fromkeys(line.task for line in of_name):
            rows += _rows([line for line in of_name if line.task == task])
        rows += [
            f"| {name} | {peer['name']} | {peer['return']:,} | {peer.get('lut6', '')} | | {peer.get('ns', '')} | | |"
            for peer in published
        ]
    notes = [f"- {peer['name']} ({name}): {peer['note']}" for name, items in peers.items() for peer in items]
    return "\n".join([*rows, "", *notes, ""])


def _rows(seeds: Sequence[Line]) -> list[str]:
    """Of one record."""
    name, ours = seeds[0].environment, f"ours, {seeds[0].network}"
    means = [line.return_netlist for line in seeds]
    return [
        *(
            f"| {name} | {ours}, seed {line.seed} | {line.return_netlist:,.1f} ± {line.interval:,.1f} | "
            f"{line.lut6:,} | {line.lut4:,} | {line.latency_ns:.1f} | {line.steps_compared:,}, {line.mismatches} | "
            f"{line.training_steps / 1e6:.2f} |"
            for line in seeds
        ),
        f"| {name} | **{ours}**, seeds: {len(means)} | mean {statistics.fmean(means):,.1f}, "
        f"median {statistics.median(means):,.1f} | | | | | |",
    ]


def draw(lines: Sequence[Line], path: Path) -> None:
    """Return against look-up tables of six inputs, a panel an environment, with the published points that have both."""
    peers = _peers(lines)
    figure = Figure(figsize=(3.4 * len(peers), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(peers), squeeze=False)[0], peers, strict=True):
        of_name = [line for line in lines if line.environment == name]
        for network in dict.fromkeys(line.network for line in of_name):
            ours = [line for line in of_name if line.network == network]
            axes.errorbar(
                [line.lut6 for line in ours], [line.return_netlist for line in ours], [line.interval for line in ours],
                fmt="o", label=f"hls4rl, {network}, a seed each",
            )
        for peer, marker in zip(peers[name], "s^Dvx", strict=False):
            if "lut6" in peer:
                axes.plot(peer["lut6"], peer["return"], marker, color="0.4", label=peer["name"])
        axes.set(title=name, xlabel="LUT6", ylabel="return")
        axes.set_xlim(left=0)
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)
