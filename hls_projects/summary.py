"""The reports of a run: ``summary.json`` for scripts, and one table for people."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.cost import Cost, memory_figures
from hls4rl.hls_projects.evaluate import Comparison
from hls4rl.plain import read_json
from hls4rl.run import Run
from hls4rl.train.methods import weight_bits
from hls4rl.verdict import Verdict, is_solved, solved_markup, with_interval

KEYS = (
    "task", "method", "hidden", "seed", "bits", "part", "tool",
    "return_software", "return_csim", "return_rtl", "return_netlist", "episodes", "steps_compared", "mismatches",
    "lut", "ff", "dsp", "bram", "fmax_mhz", "cycles", "latency_ns", "inferences_per_second",
    "multiplications", "additions", "parameter_bits", "energy_pj", "bitstream",
)
"""Keys that every ``summary.json`` has; null where a tool wasn't run, with a reason under ``skipped``."""

_BITSTREAM = "return_bitstream"
"""In summaries since bitstreams are read back."""
_RETURNS = {
    "return_software": "torch", "return_csim": "csim", "return_rtl": "rtl", "return_netlist": "netlist",
    _BITSTREAM: "bitstream",
}
_SKIPPED = {
    ("vitis", key): "the vendor's flow builds from C++, not from our RTL"
    for key in ("return_rtl", "return_netlist", _BITSTREAM, "bitstream")
}
_ROWS = (
    ("return, software", "return_software", "{:.2f}"),
    ("return, C-simulation", "return_csim", "{:.2f}"),
    ("return, RTL", "return_rtl", "{:.2f}"),
    ("return, netlist", "return_netlist", "{:.2f}"),
    ("return, bitstream", _BITSTREAM, "{:.2f}"),
    ("steps compared", "steps_compared", "{:,}"),
    ("mismatches", "mismatches", "{:,}"),
    ("LUT", "lut", "{:,}"),
    ("FF", "ff", "{:,}"),
    ("DSP", "dsp", "{:,}"),
    ("BRAM", "bram", "{:,}"),
    ("Fmax, MHz", "fmax_mhz", "{:.1f}"),
    ("cycles", "cycles", "{:,}"),
    ("latency, ns", "latency_ns", "{:.1f}"),
    ("inferences per second", "inferences_per_second", "{:,.0f}"),
    ("multiplications per action", "multiplications", "{:,}"),
    ("additions per action", "additions", "{:,}"),
    ("parameter bits", "parameter_bits", "{:,}"),
    ("memory bits", "memory_bits", "{:,}"),
    ("energy per action, pJ (Table I)", "energy_pj", "{:,.2f}"),
    ("… with the weights in block RAM", "energy_on_chip_pj", "{:,.0f}"),
    ("… float32, weights in block RAM", "energy_float32_block_ram_pj", "{:,.0f}"),
    ("… float32, weights in SRAM", "energy_float32_sram_pj", "{:,.0f}"),
    ("… float32, weights in DRAM", "energy_float32_dram_pj", "{:,.0f}"),
    ("bitstream", "bitstream", "{}"),
)


_COLUMNS = (
    ("task", "task", "{}"),
    ("method", "method", "{}"),
    ("units", "hidden", "{}"),
    ("seed", "seed", "{}"),
    ("return", "return_software", "{:.1f}"),
    ("netlist", "return_netlist", "{:.1f}"),
    ("steps", "steps_compared", "{:,}"),
    ("mism.", "mismatches", "{:,}"),
    ("LUT", "lut", "{:,}"),
    ("FF", "ff", "{:,}"),
    ("DSP", "dsp", "{:,}"),
    ("MHz", "fmax_mhz", "{:.0f}"),
    ("cycles", "cycles", "{}"),
    ("ns", "latency_ns", "{:.1f}"),
    ("pJ", "energy_pj", "{:.1f}"),
)

_SOLVED = {True: "[green]yes[/green]", False: "[bold red]NO[/bold red]", None: "–"}


def summarise(
    run: Run,
    tool: str,
    comparisons: list[Comparison],
    cost: Cost,
    hardware: Mapping[str, Any],
    selection: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The content of ``summary.json``.

    Args:
        hardware: part, lut, ff, dsp, bram, fmax_mhz, cycles, bitstream, … as far as they are known.
        selection: the deployed seed and the validation returns of all, if several were trained.
    """
    by_name = {item.backend: item for item in comparisons}
    fmax, cycles = hardware.get("fmax_mhz"), hardware.get("cycles")
    values: dict[str, Any] = {
        **hardware,
        "task": run.spec.task,
        "method": run.spec.method,
        "hidden": run.spec.shape,
        "seed": run.spec.seed,
        "bits": weight_bits(run.spec),
        "tool": tool,
        **{key: by_name[name].mean_return if name in by_name else None for key, name in _RETURNS.items()},
        "episodes": len(comparisons[0].returns),
        "steps_compared": sum(item.steps for item in comparisons if item.backend != "torch"),
        "mismatches": sum(item.mismatches for item in comparisons),
        "latency_ns": round(1000 * cycles / fmax, 2) if fmax and cycles else None,
        "inferences_per_second": round(1e6 * fmax / hardware.get("interval", 1)) if fmax else None,
        "multiplications": cost.multiplications,
        "additions": cost.additions,
        "parameter_bits": cost.parameter_bits,
        "energy_pj": cost.energy_pj,
    }
    summary = {key: values.get(key) for key in (*KEYS, _BITSTREAM)}
    reasons = {
        **_SKIPPED, ("open", _BITSTREAM): hardware.get("not_read_back", "only those of unrolled cores are read back"),
    }
    skipped = {key: reasons.get((tool, key), "the part's flow gives none") for key in summary if summary[key] is None}
    for key, name in _RETURNS.items():
        if key in skipped and name in by_name:
            skipped[key] = f"{by_name[name].steps:,} frames of the software's games, compared"
    if "memory_bits" in hardware:
        summary |= memory_figures(cost, hardware["memory_bits"])
    return {**summary, "skipped": skipped, "selection": selection, "implementation": dict(hardware)}


def returns_verdict(summary: Mapping[str, Any], trained: Verdict) -> dict[str, Any]:
    """What a summary says of its returns: whether they solve the task, and what they are when actions are drawn.

    Args:
        trained: of the evaluation after training.
    """
    return {
        "solved": is_solved(summary["return_software"], trained.solved_from), "solved_from": trained.solved_from,
        "evaluation": trained.to_json(),
    }


def load_summary(path: Path) -> dict[str, Any]:
    """Read a ``summary.json``.

    Raises:
        ProjectError: it isn't there or isn't whole.
    """
    summary: dict[str, Any] = read_json(path, "run `make synth` again")
    if missing := [key for key in (*KEYS, "skipped") if key not in summary]:
        raise ProjectError(f"{path}: a summary without {missing[0]}; run `make synth` again")
    return summary


def print_summary(summary: Mapping[str, Any], console: Console) -> None:
    """Print the table of one run."""
    spec = "{method}, {hidden} hidden units, seed {seed}".format(**summary)
    table = Table(title=f"{summary['task']}: {spec} on {summary['part']}", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for label, key, form in _ROWS:
        if key not in KEYS and key not in summary:  # of streaming cores, or of this version, alone
            continue
        value = summary[key]
        if key == "bitstream" and value is not None:
            value = os.path.relpath(value)
        shown = f"– ({summary['skipped'][key]})" if value is None else form.format(value)
        if key == "fmax_mhz" and (cap := summary["implementation"].get("fmax_capped_by")):
            shown += f" (capped by {cap}; nextpnr: {summary['implementation']['fmax_nextpnr_mhz']:.0f})"
        table.add_row(label, shown)
    for label, value in source_rows(summary.get("source")):
        table.add_row(label, value)
    if "evaluation" in summary:
        verdict = Verdict.of(summary["evaluation"])
        table.add_row("return, actions drawn (as trained)", verdict.sampled_markup)
        table.add_row("solved", solved_markup(summary["return_software"], summary["solved_from"]))
    console.print(table)
    for line in verdict.warnings() if "evaluation" in summary else []:
        console.print(line)
    if summary.get("selection"):
        console.print(_spread(summary["selection"]))


def source_rows(source: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Label and value, in rich's markup, of what an integer policy does beside the one that it was made of."""
    if source is None:
        return []
    means = [with_interval(source[f"{kind}_return"], source[f"{kind}_interval"]) for kind in ("float", "integer")]
    kept = "[green]yes[/green]" if source["keeps_return"] else (
        "[bold red]NO[/bold red]: more BITS, a larger HIDDEN, or a longer distillation (SET='distillation.rounds=40')"
    )
    rows = [
        (f"float policy's return ({source['episodes']} episodes)", means[0]), ("… the integers'", means[1]),
        ("… kept within both 95 % intervals", kept),
        ("equal actions", f"{100 * source['equal_actions']:.2f} % of {source['steps']:,} steps"),
    ]
    if "rounded" in source:
        before = with_interval(source["rounded"]["integer_return"], source["rounded"]["integer_interval"])
        rows.insert(1, ("… only rounded, which lost too much", before))
    if source["distilled"]:
        rows.append(("trained after it (distillation)", "yes"))
    if source["largest_action_error"] is not None:
        rows.append(("action error, largest and mean",
                     f"{source['largest_action_error']:.4f}, {source['mean_action_error']:.5f}"))
    return [(escape(label), value) for label, value in rows]


def one_line(summary: Mapping[str, Any]) -> str:
    """The figures that matter most, for a list of many runs."""
    shown = (("return", "return_software"), ("mismatches", "mismatches"), ("LUT", "lut"), ("ns", "latency_ns"))
    text = "  " + ", ".join(f"{label} {summary[key]:,}" for label, key in shown if summary[key] is not None)
    return text + (", [bold red]NOT SOLVED[/bold red]" if summary.get("solved") is False else "")


def print_matrix(summaries: Sequence[Mapping[str, Any]], console: Console) -> None:
    """Print one row a run."""
    table = Table()
    for label, key, _ in _COLUMNS:
        table.add_column(label, justify="left" if key in ("task", "method") else "right")
    table.add_column("solved")
    for summary in summaries:
        cells = ("–" if summary[key] is None else form.format(summary[key]) for _, key, form in _COLUMNS)
        table.add_row(*cells, _SOLVED[summary.get("solved")])
    console.print(table)


def _spread(selection: Mapping[str, Any]) -> str:
    returns = ", ".join(f"seed {seed}: {value:.1f}" for seed, value in selection["validation_returns"].items())
    return f"seed {selection['seed']} is the best of {len(selection['validation_returns'])} by validation ({returns})"
