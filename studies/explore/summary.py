"""A search for people: one line while it runs, and the front as a table with the line that builds each point."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hls4rl.checked import read_checked
from hls4rl.run import root_word
from hls4rl.studies.explore.search import Standing

_COLUMNS = (
    ("#", "number", "{}"), ("return", "return", "{:.1f}"), ("robust", "robust_return", "{:.1f}"),
    ("LUT", "lut", "{}"), ("ns", "latency_ns", "{:.2f}"),
    ("pJ", "energy_pj", "{:.2f}"), ("MHz", "fmax_mhz", "{:.0f}"), ("method", "method", "{}"), ("units", "hidden", "{}"),
    ("input bits", "input_bits", "{}"), ("bits", "bits", "{}"), ("stages", "cycles", "{}"), ("part", "part", "{}"),
)


class Progress:
    """The line of a running search; call it with its standing."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("the first trials …")
        self._smallest: dict[str, float] = {}

    def __enter__(self) -> Progress:
        self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def __call__(self, standing: Standing) -> None:
        """Show ``standing``, and say a word on each new record."""
        trials = [standing.trials[index] for index in standing.front]
        solving = [trial for trial in trials if trial["solved"] is not False]
        for key, unit in (("lut", "LUT"), ("latency_ns", "ns")):
            best = min(solving, key=lambda trial: trial[key], default=None)
            if best is not None and best[key] < self._smallest.get(key, float("inf")):
                self._smallest[key] = best[key]
                self._console.print(f"trial {best['number']}: {best[key]:g} {unit}, return {best['return']:.1f}, "
                                    f"{best['run']}")
        placed = sum(trial["status"] == "placed" for trial in standing.trials)
        records = ", ".join(f"{value:g} {unit}" for unit, value in self._smallest.items()) or "nothing solves it yet"
        minutes, seconds = divmod(int(standing.seconds_left), 60)
        self._status.update(
            f"{minutes}:{seconds:02} left, {len(standing.trials)} trials, {placed} placed, "
            f"{len(standing.front)} on the front; {records}"
        )


def print_front(path: Path, console: Console) -> None:
    """Print the front in the ``explore.json`` at ``path``, and below it the lines that build its points."""
    result = read_checked(path, "run `make explore` again")
    trials = {trial["number"]: trial for trial in result["trials"]}
    chosen = [trials[number] for number in result["front"]]
    if not chosen:
        console.print("nothing was placed in this time; give a larger BUDGET, or fewer SET=training.episodes=…")
        return
    table = Table(title=f"{result['task']}: {len(trials)} trials; solved from {result['solved']} on",
                  title_justify="left")
    for label, _, _ in _COLUMNS:
        table.add_column(label, justify="left" if label in ("method", "part") else "right")
    for trial in chosen:
        table.add_row(*(_cell(trial, key, form) for _, key, form in _COLUMNS),
                      style=None if trial["solved"] is not False else "dim")
    console.print(table)
    for cause in sorted({trial.get("fmax_capped_by") for trial in chosen} - {None}):
        console.print(f"the highest MHz are capped by {cause}, as the data sheet has it", style="dim")
    for trial in chosen:
        console.print(escape(f"# {trial['number']}: {trial['lut']} LUT, {trial['latency_ns']} ns, "
                             f"return {trial['return']:.1f}"), style="dim")
        console.print(escape(trial["command"] + root_word(path.parents[2])), soft_wrap=True)


def _cell(trial: dict[str, Any], key: str, form: str) -> str:
    return "–" if trial[key] is None else form.format(trial[key])
