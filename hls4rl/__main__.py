"""The command ``hls4rl``: every verb, each in the module it belongs to, which is imported when it is called."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperGroup

from hls4rl.cli import run


@dataclass(frozen=True)
class Verb:
    """Where a verb's function stands, and what it does in a few words."""

    module: str
    summary: str


SECTIONS: dict[str, dict[str, Verb]] = {
    "One policy, from the Gym to the gates": {
        "train": Verb("train.verbs", "train policies: one seed, or several of which the best is chosen"),
        "synth": Verb("hls_projects.verbs", "the whole build: train, export, C-simulate, place, verify"),
        "evaluate": Verb("hls_projects.verbs", "let one executor, or all, drive Gymnasium and compare every step"),
        "prove": Verb("hls_projects.prove.verbs", "certificate: netlist, RTL and software equal on all observations"),
        "export": Verb("export.verbs", "a trained policy as QONNX and ONNX, checked"),
    },
    "On a board": {
        "hil": Verb("firmware.verbs", "let the board, or a simulated one, drive Gymnasium, each action checked"),
        "watch": Verb("firmware.verbs", "draw an episode that the board drives, as a GIF"),
        "bitstream": Verb("firmware.verbs", "policy and serial link for a board, and the command that loads it"),
        "shell": Verb("firmware.shells.verbs", "the policy behind AXI4-Stream, AXI4-Lite or Wishbone, tried there"),
        "endure": Verb("firmware.verbs", "damaged frames and a bad wire, for minutes, on the simulated board"),
    },
    "Of many policies": {
        "report": Verb("report.verbs", "pages with figures, plots and commands of all runs"),
        "matrix": Verb("studies.matrix", "every method on two tasks and two widths, built and verified"),
        "equality": Verb("hls_projects.prove.verbs", "all executors of all built policies on millions of observations"),
        "zoo": Verb("studies.zoo", "a folder of other people's agents: returns at 16 and 8 bits, and cores"),
        "fold": Verb("studies.fold", "one policy as cores of 1, 2, 4 units and unrolled: area against latency"),
        "explore": Verb("studies.explore.verbs", "search for the smallest and quickest cores that solve a task"),
        "paper": Verb("studies.paper.verbs", "the paper in four recipes with controls: figures, tables, claims"),
        "tune": Verb("studies.paper.verbs", "the learning rates of these recipes, by one search with one budget"),
        "curves": Verb("studies.paper.learning", "learning curves of all runs of a task"),
        "bench-train": Verb("studies.benchmark", "training speed against a plain loop and stable-baselines3"),
        "records": Verb("studies.records.verbs", "control in the fewest gates, beside what others published"),
        "bench-ppo": Verb("studies.ppo_benchmark", "PPO's speed and returns against stable-baselines3's"),
    },
    "What there is": {
        "observe": Verb("studies.observe", "an environment's features, beside the range that the converter keeps"),
        "parts": Verb("hls_projects.verbs", "list the FPGAs that can be built for"),
        "boards": Verb("firmware.verbs", "list the boards"),
    },
}
VERBS = {name: verb for section in SECTIONS.values() for name, verb in section.items()}


class _Group(TyperGroup):
    """Imports what a verb needs when that verb is called; the list of verbs needs none of it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"hls4rl.{VERBS[cmd_name].module}")
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(cmd_name, epilog=f"Each option can be a variable too: HLS4RL_ENV=acrobot hls4rl {cmd_name}")(
            getattr(module, cmd_name.replace("-", "_"))
        )
        return typer.main.get_command(app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for title, verbs in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, verb.summary) for name, verb in verbs.items()])


app = typer.Typer(cls=_Group, no_args_is_help=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def hls4rl() -> None:
    """From the Gym to the gates: reinforcement-learning policies as bit-exact FPGA accelerators.

    \b
    hls4rl synth --env cartpole              a chip that balances the pole, in about a minute
    hls4rl synth --env ./mine.toml           the same for a Gymnasium environment of your own
    hls4rl synth --onnx policy.onnx          the same for a network that was trained elsewhere
    hls4rl hil --env cartpole                the board (here a simulated one) plays, every action checked

    Runs lie below ./runs, a folder each; what is there already is not made again, and Ctrl-C loses nothing that is
    finished. `hls4rl VERB --help` tells the options of a verb.
    """


def main() -> None:
    """Run the command line and end the process."""
    run(app, "hls4rl")


if __name__ == "__main__":
    main()
