"""The verbs about boards: ``hil``, ``watch``, ``bitstream``, ``endure``, ``boards``."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hls4rl.artefact import Artefact, digest, exclusive, write_json
from hls4rl.checked import read_if_whole, write_checked
from hls4rl.cli import print_result
from hls4rl.errors import ProjectError
from hls4rl.firmware.boards import Board, board_names, load_board
from hls4rl.firmware.design import load_design, load_netlist
from hls4rl.hls_projects.build import build_core, find_run, synthesise
from hls4rl.hls_projects.evaluate import EPISODES, is_wide
from hls4rl.hls_projects.fpga.nextpnr import check_programs
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.prove.claims import CERTIFICATE
from hls4rl.options import Episodes, Part, PolicyOptions, grouped, option
from hls4rl.policy import PolicySpec
from hls4rl.run import Run
from hls4rl.task import Task, with_settings
from hls4rl.verdict import solved_markup

BoardName = Annotated[
    str | None,
    option("--board", "Board; `hls4rl boards` lists them, or the path of a TOML file of yours. Default: the task's."),
]
Port = Annotated[str, option("--port", "Serial port of the board, as /dev/ttyUSB0; sim: the simulated one.")]
Faults = Annotated[
    float,
    option("--faults", "Share of all bytes on the simulated wire that is dropped, flipped or doubled; with any, the "
                       "board is also unplugged twice and power-cycled once.", min=0.0, max=0.5),
]
Minutes = Annotated[float, option("--minutes", "Of the soak over a bad wire.", min=0.0)]


@dataclass(frozen=True)
class BoardOptions(PolicyOptions):
    """A policy, the part whose build is taken, and the board."""

    part: Part = None
    board: BoardName = None

    def read(self) -> tuple[Task, PolicySpec]:
        """See :meth:`hls4rl.options.PolicyOptions.read`."""
        task, spec = super().read()
        return with_settings(task, "hardware", part=self.part), spec

    def built(self, console: Console) -> tuple[Task, Run]:
        """The task and the run, which is made now if it isn't there."""
        task, spec = self.read()
        try:
            found = find_run(task, spec, self.seed is None, self.root)
            load_design(found, task.hardware.part)
        except ProjectError:
            synthesise(task, spec, choose_seed=self.seed is None, root=self.root, console=console)
            found = find_run(task, spec, self.seed is None, self.root)
        return task, found

    @property
    def target(self) -> Board:
        """The board.

        Raises:
            ProjectError: there is none of this name.
        """
        return load_board(self.board or self.read()[0].hardware.board)


@grouped
def hil(options: BoardOptions, port: Port = "sim", episodes: Episodes = None, faults: Faults = 0.0) -> None:
    """Let the board drive Gymnasium and hold every action against the software policy.

    Exits with a status other than 0 if a single action differs. A simulated board takes half a second for a picture:
    without --episodes it gets the first 300 of a game.
    """
    from hls4rl.firmware.hil import Session, require_exact, run_hil

    console = Console(highlight=False)
    target = options.target  # a wrong name is told before anything is built
    task, chosen = options.built(console)
    session = Session(task, chosen, task.hardware.part, target, port)
    count = episodes or (1 if is_wide(task) else EPISODES)
    with console.status(escape(f"{count} episodes on {port} …")):
        result = run_hil(session, count, faults, whole=episodes is not None)
    path = chosen.directory / "hil.json"
    write_checked(path, {"policy": digest(chosen.policy), **result})
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for label, key in (
        ("board", "board"), ("port", "port"), ("mean return, hardware", "return_hardware"),
        ("mean return, software", "return_software"), ("episodes", "episodes"), ("steps compared", "steps_compared"),
        ("mismatches", "mismatches"), ("link faults noticed", "link_faults"), ("requests sent again", "retries"),
        ("inferences per second", "inferences_per_second"), ("bytes of a request", "request_bytes"),
        ("wire time per action, µs", "wire_us_per_action"),
        ("core latency, cycles", "core_cycles"), ("core latency, ns", "core_latency_ns"),
    ):
        table.add_row(label, escape(str(result[key])))
    table.add_row("solved", solved_markup(result["return_hardware"], result["solved_from"]))
    console.print(table)
    require_exact(result)
    print_result(path)


@grouped
def watch(
    options: BoardOptions, port: Port = "sim",
    episode: Annotated[int, typer.Option(min=0, help="Seed of the episode.")] = 0,
) -> None:
    """Draw one episode while the board drives it, and keep it as a GIF."""
    from hls4rl.firmware.hil import Session, open_board
    from hls4rl.firmware.picture import film
    from hls4rl.train.network import TorchBackend

    console = Console(highlight=False)
    target = options.target  # a wrong name is told before anything is built
    task, chosen = options.built(console)
    session = Session(task, chosen, task.hardware.part, target, port)
    picture = chosen.directory / "watch.gif"
    with open_board(session) as link:
        caption = f"{task.name} on {'a simulated board' if port == 'sim' else session.board.name}"
        result = film(task, link, TorchBackend(chosen.load_policy()), episode, picture, caption)
    console.print(f"{picture}: return {result['return']:g}, {result['mismatches']} mismatches")
    path = chosen.directory / "watch.json"
    write_json(path, {"task": task.name, "run": chosen.spec.directory_name, "picture": str(picture), **result})
    print_result(path)


@grouped
def bitstream(options: BoardOptions) -> None:
    """Make the bitstream of a board, and print the command that loads it.

    For the Zynq boards pynq-z2 and zcu102: hls4ml's project with its driver, C-simulated, and built where Vivado is.
    """
    from hls4rl.firmware.bitstream import REPORT, build_bitstream
    from hls4rl.firmware.zynq import ZYNQ_BOARDS

    console = Console(highlight=False)
    if options.board in ZYNQ_BOARDS:
        _make_zynq(options.board, *options.built(console), console)
        return
    target = options.target  # a wrong name, or a missing program, is told before anything is built
    check_programs(target.family)
    task, chosen = options.built(console)
    name = target.part_for(load_part(task.hardware.part)).name
    if name != task.hardware.part:  # cells of another family
        build_core(with_settings(task, "hardware", part=name), chosen, console)
    design, core = load_design(chosen, name), load_netlist(chosen, name)
    artefact = Artefact(chosen.directory / f"board-{target.name}", {
        "board": repr(target), "policy": digest(chosen.policy), "core": [name, core.recipe, digest(core.file)],
        "link": {path.name: digest(path) for path in design.link},
    })
    with exclusive(chosen.directory):
        if not artefact.is_current:
            doing = escape(f"synthesis, place and route for {target.title} …")
            with console.status(doing), artefact.build() as directory:
                build_bitstream(design, core, target, directory)
    _print_bitstream(artefact.directory, console)
    console.print(_proven(chosen, name, digest(core.file)), soft_wrap=True)
    print_result(artefact.directory / REPORT)


@grouped
def endure(
    options: BoardOptions, minutes: Minutes = 10.0, faults: Faults = 0.01,
    frames: Annotated[int, option("--frames", "Damaged frames sent to the board's pin.", min=1)] = 100_000,
) -> None:
    """Fuzz the simulated board with damaged frames, then soak it over a bad wire.

    Exits with a status other than 0 if a single answer was wrong or missing.
    """
    from hls4rl.firmware.endurance import fuzz, soak
    from hls4rl.firmware.hil import Session, board_library
    from hls4rl.train.network import TorchBackend

    console = Console(highlight=False)
    task, chosen = options.built(console)
    session = Session(task, chosen, task.hardware.part, options.target)
    if session.design.inputs_per_clock:
        raise ProjectError("endure is for cores that take all features at once; for this one take make hil FAULTS=0.01")
    reference = TorchBackend(chosen.load_policy())
    with console.status(f"{frames:,} damaged frames …"):
        fuzzed = fuzz(session.design, board_library(session), reference, frames)
    console.print(f"{fuzzed.frames:,} damaged frames, {fuzzed.good:,} good ones between them: "
                  f"{fuzzed.wrong} wrong answers, {fuzzed.unanswered} missing")
    with console.status(f"{minutes:g} minutes over a bad wire …"):
        soaked = soak(session, minutes, faults)
    console.print(f"{soaked['minutes']:g} minutes, {soaked['inferences']:,} inferences over a bad wire: "
                  f"{soaked['mismatches']} wrong")
    path = chosen.directory / "endurance.json"
    write_json(path, {"fuzz": asdict(fuzzed), "soak": soaked})
    if fuzzed.wrong or fuzzed.unanswered or soaked["mismatches"]:
        raise ProjectError(f"the link gave wrong answers or none, see {path}; please report it with the run")
    print_result(path)


def boards() -> None:
    """List the boards."""
    table = Table()
    for label in ("board", "what it is", "clock MHz", "baud"):
        table.add_column(label)
    for name in board_names():
        item = load_board(name)
        table.add_row(name, escape(item.title), f"{item.clock_mhz:g}", f"{item.baud:,}")
    Console(highlight=False).print(table)


def _make_zynq(board: str, task: Task, chosen: Run, console: Console) -> None:
    from hls4rl.firmware.zynq import REPORT, write_zynq
    from hls4rl.train.network import TorchBackend

    artefact = Artefact(chosen.directory / f"board-{board}", {
        "board": board, "policy": digest(chosen.policy), "hardware": repr(task.hardware),
        "tool": shutil.which("vivado_hls"),
    })
    with exclusive(chosen.directory):
        if not artefact.is_current:
            with console.status(f"hls4ml project for {board} …"), artefact.build() as directory:
                qonnx = chosen.verified(chosen.onnx.parent) / chosen.qonnx.name
                write_zynq(qonnx, task.hardware, board, TorchBackend(chosen.load_policy()), directory)
    report = json.loads((artefact.directory / REPORT).read_text(encoding="utf-8"))
    console.print(f"{board}: {report['observations']:,} observations C-simulated, {report['mismatches']} mismatches; "
                  f"{report['skipped'] or 'built'}")
    print_result(artefact.directory / REPORT)


def _print_bitstream(directory: Path, console: Console) -> None:
    from hls4rl.firmware.bitstream import REPORT

    report = json.loads((directory / REPORT).read_text(encoding="utf-8"))
    used = ", ".join(f"{name} {count}/{total}" for name, (count, total) in report["utilization"].items())
    title = escape(report["title"])
    console.print(f"{title}: {report['fmax_mhz']} MHz reached, {report['clock_mhz']} MHz needed; {used}")
    console.print("load it with:", style="bold")
    print(f"  {report['load'].replace(report['bitstream'], str(directory / report['bitstream']))}", flush=True)



def _proven(run: Run, part: str, netlist: str) -> str:
    """What `make prove` has shown of the netlist in a bitstream."""
    path = run.directory / f"proof-{part}" / CERTIFICATE
    certificate = read_if_whole(path) or {}
    if certificate.get("core", {}).get("netlist") != netlist:
        return f"its core's netlist ({netlist[:16]}…) is not proven yet: run make prove PART={part} for it"
    return f"its core's netlist ({netlist[:16]}…) is the one of {path}: {certificate['verdict']}"
