"""The verb ``shell``: the policy behind a bus of the user's system, tried before it is handed out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hls4rl.artefact import Artefact, digest, exclusive
from hls4rl.backend import Backend
from hls4rl.checked import write_checked
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.export.graph import read_network
from hls4rl.firmware.shells.bench import LIBRARY, ShellBackend, Trouble, build_bench
from hls4rl.firmware.shells.shell import BUSES, Shell, load_shell
from hls4rl.firmware.shells.write import write_shell
from hls4rl.firmware.verbs import BoardOptions
from hls4rl.gym_loop import play
from hls4rl.hls_projects.evaluate import EPISODES, drive
from hls4rl.network import IntegerNetwork
from hls4rl.options import Episodes, grouped, option
from hls4rl.run import Run
from hls4rl.task import Task
from hls4rl.train.network import TorchBackend

SIMULATION = "simulation"
_TROUBLE = Trouble(pause=0.4, reset_every=500, damage_every=50)
_CHUNK = 10_000
Bus = Annotated[str, option("--bus", f"Bus of the shell: {', '.join(BUSES)}.")]
Transactions = Annotated[
    int, option("--transactions", "Random observations through the bus, with pauses, resets in mid-transfer and "
                                  "damaged packets, each action held against the integer network's.", min=1),
]


@dataclass(frozen=True)
class ShellOptions(BoardOptions):
    """A policy, the part whose core is taken, and the bus."""

    bus: Bus = BUSES[0]


@grouped
def shell(options: ShellOptions, transactions: Transactions = 10_000, episodes: Episodes = None) -> None:
    """Put the policy behind AXI4-Stream, AXI4-Lite or Wishbone, and play episodes through that bus, simulated.

    The folder gets Verilog, a C header with the registers, and for Wishbone a LiteX module with add_policy(soc). Exits
    with a status other than 0 if a single action differs. In make the bus is BUS=axil, for SHELL is make's own.
    """
    console = Console(highlight=False)
    if options.bus not in BUSES:
        raise ProjectError(f"--bus {options.bus!r}: no such bus; choose one of {', '.join(BUSES)}")
    task, chosen = options.built(console)
    part = task.hardware.part
    wanted = load_shell(chosen, part, options.bus)
    with console.status(escape(f"policy behind {options.bus}: writing and compiling its simulation …")):
        directory = make_shell(chosen, part, wanted)
    backend = ShellBackend(wanted, directory / SIMULATION / LIBRARY)
    count = episodes or (1 if wanted.words > 1 and task.hardware.inputs_per_clock else EPISODES)
    try:
        with console.status(escape(f"{transactions:,} transactions and {count} episodes on {options.bus} …")):
            network = read_network(chosen.verified(chosen.onnx.parent) / chosen.qonnx.name)
            result = {
                "bus": options.bus, "task": task.name, "run": chosen.spec.directory_name, "part": part,
                "policy_hash": f"{wanted.policy_hash:016x}", **try_transactions(backend, network, transactions),
                **play_episodes(backend, task, TorchBackend(chosen.load_policy()), count),
            }
    finally:
        backend.close()
    path = chosen.directory / f"shell-{options.bus}-{part}.json"
    write_checked(path, {"policy": digest(chosen.policy), **result})
    _print(result, console)
    console.print(escape(f"Verilog, header and description: {directory}"), soft_wrap=True)
    require_exact(result, path)
    print_result(path)


def make_shell(run: Run, part: str, wanted: Shell) -> Path:
    """The folder ``shell-<bus>-<part>`` of a run: the shell, and its compiled simulation; made if it isn't current."""
    artefact = Artefact(run.directory / f"shell-{wanted.bus}-{part}", {
        "policy": digest(run.policy), "core": digest(wanted.core), "parameters": wanted.parameters,
        "memories": {path.name: digest(path) for path in wanted.memories},
        "sources": {path.name: digest(path) for path in _own_files()},
    })
    with exclusive(run.directory):
        if not artefact.is_current:
            with artefact.build() as directory:
                write_shell(wanted, directory)
                build_bench(wanted, directory / SIMULATION)
    return artefact.directory


def try_transactions(backend: ShellBackend, network: IntegerNetwork, count: int, seed: int = 0) -> dict[str, Any]:
    """Random observations of the whole input type: first without trouble, for the clocks that one takes, then with.

    Returns:
        ``transactions``, ``mismatches``, ``clocks_per_observation``, ``resets``, ``damaged``, ``clocks``.

    Raises:
        ProjectError: the shell broke a rule of its bus, or fell silent.
    """
    rng, kind = np.random.default_rng(seed), network.input
    found = {"transactions": 0, "mismatches": 0, "resets": 0, "damaged": 0, "clocks": 0}
    backend.trouble = Trouble()
    observations = rng.integers(kind.minimum, kind.maximum, (min(count, 200), network.features), endpoint=True)
    quick = backend.exchange(observations)
    wrong = int((quick.actions != network.act(observations)).any(axis=1).sum())
    backend.trouble = _TROUBLE
    while found["transactions"] < count:
        shape = (min(_CHUNK, count - found["transactions"]), network.features)
        observations = rng.integers(kind.minimum, kind.maximum, shape, endpoint=True)
        traffic = backend.exchange(observations)
        found["transactions"] += len(observations)
        found["mismatches"] += int((traffic.actions != network.act(observations)).any(axis=1).sum())
        for name in ("resets", "damaged", "clocks"):
            found[name] += getattr(traffic, name)
    found["mismatches"] += wrong
    return {**found, "clocks_per_observation": round(quick.clocks / len(quick.actions), 2)}


def play_episodes(backend: ShellBackend, task: Task, reference: Backend, episodes: int) -> dict[str, Any]:
    """Gymnasium driven through the bus, with pauses; each action held against ``reference``.

    Returns:
        ``episodes``, ``steps_compared``, ``step_mismatches``, ``return_shell``, ``return_software``, ``returns_equal``.
    """
    backend.trouble = Trouble(pause=_TROUBLE.pause)
    software = play(task, reference, episodes, first_seed=0)
    hardware = drive(task, backend, reference, episodes)
    return {
        "episodes": episodes, "steps_compared": hardware.steps, "step_mismatches": hardware.mismatches,
        "return_shell": hardware.mean_return, "return_software": software.mean_return,
        "returns_equal": bool(np.array_equal(hardware.returns, software.returns)),
    }


def require_exact(result: dict[str, Any], path: Path) -> None:
    """Insist that nothing differed.

    Raises:
        ProjectError: an action or a return did.
    """
    if result["mismatches"] or result["step_mismatches"] or not result["returns_equal"]:
        raise ProjectError(
            f"{result['mismatches'] + result['step_mismatches']} actions behind {result['bus']} differ from the "
            f"software policy's; this is a bug in hls4rl or in a tool it calls: please report it with {path}"
        )


def _own_files() -> list[Path]:
    here = Path(__file__).resolve().parent
    patterns = ("verilog/*.v", "templates/*", "*.cpp", "write.py")
    return sorted(path for pattern in patterns for path in here.glob(pattern))


def _print(result: dict[str, Any], console: Console) -> None:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, key in (
        ("bus", "bus"), ("random transactions, with pauses", "transactions"), ("mismatches", "mismatches"),
        ("resets in mid-transfer", "resets"), ("damaged packets told, or refused observations", "damaged"),
        ("clocks per observation, without pauses", "clocks_per_observation"), ("episodes through the bus", "episodes"),
        ("steps compared", "steps_compared"), ("mismatches in them", "step_mismatches"),
        ("mean return, through the bus", "return_shell"), ("mean return, software", "return_software"),
    ):
        table.add_row(label, escape(str(result[key])))
    console.print(table)
