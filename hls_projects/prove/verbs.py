"""The verbs ``prove`` and ``equality``."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hls4rl.artefact import digest, exclusive
from hls4rl.checked import write_checked
from hls4rl.cli import print_result
from hls4rl.hls_projects.build import find_run
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.prove.claims import OPEN, PROVEN, Certificate
from hls4rl.hls_projects.prove.design import DesignUnderProof, find_designs, task_of
from hls4rl.hls_projects.prove.equality import RESULT, require_no_mismatch, run_equality
from hls4rl.hls_projects.prove.mutation import CAUGHT, EQUIVALENT, UNDECIDED, read_mutations, try_mutants
from hls4rl.hls_projects.prove.picture import draw_counterexamples
from hls4rl.hls_projects.prove.properties import judge, read_properties
from hls4rl.hls_projects.prove.prover import prove as prove_subject
from hls4rl.hls_projects.prove.prover import require_no_counterexample
from hls4rl.hls_projects.simulation.cores import open_netlist
from hls4rl.hls_projects.simulation.streaming import is_stream
from hls4rl.options import Part, PolicyOptions, Root, grouped, option
from hls4rl.run import RUNS, Run
from hls4rl.task import Task, with_settings

Minutes = Annotated[float, option("--minutes", "Time to give up after; the same command then goes on.", min=0.01)]
Mutations = Annotated[
    int, option("--mutations", "Faulty netlists to try afterwards: the proof must catch each.", min=0)
]
Properties = Annotated[
    Path | None, option("--properties", "TOML file of what shall hold in boxes of observations, in real units: judged "
                                        "on the netlist, in place of the certificate."),
]
Steps = Annotated[int, option("--steps", "Observations in all, shared evenly among the policies.", min=1)]

_CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 132)


@grouped
def prove(
    policy: PolicyOptions, part: Part = None, minutes: Minutes = 60.0, mutations: Mutations = 0,
    properties: Properties = None,
) -> None:
    """Prove that a built policy's netlist, RTL and software give equal answers to all observations.

    The certificate says what was proven, of which files, by which tool, and what was not. Exits with a status
    other than 0 if an observation refutes it.
    """
    task, spec = policy.read()
    task = with_settings(task, "hardware", part=part)
    run = find_run(task, spec, policy.seed is None, policy.root)
    if properties is not None:
        print_result(_judge_properties(task_of(run), run, task.hardware.part, properties, minutes))
        return
    design = DesignUnderProof(run, task.hardware.part)
    with exclusive(run.directory), _progress("claims") as bar:
        line = bar.add_task(f"{task.name} {run.directory.name}")

        def show(certificate: Certificate) -> None:
            done = sum(claim.progress for claim in certificate.claims)
            bar.update(line, completed=round(100 * done), total=100 * len(certificate.claims))

        certificate = prove_subject(design, minutes, show)
    _print_claims(certificate)
    require_no_counterexample(certificate)
    if mutations:
        with _progress("mutants") as bar:
            line = bar.add_task("mutants", total=mutations)
            path = try_mutants(design, mutations, minutes, report=lambda count: bar.update(line, completed=count))
        counts = read_mutations(path)
        _CONSOLE.print(", ".join(f"{counts[fate]} {fate}" for fate in (CAUGHT, EQUIVALENT, UNDECIDED)) + f" ({path})")
    print_result(certificate.path)


def _judge_properties(task: Task, run: Run, part: str, path: Path, minutes: float) -> Path:
    """Print what is proven and what is refuted, and keep it; a refuted property is an answer, not an error."""
    place = run.verified(run.part(part))
    wanted, backend = read_properties(path, task), open_netlist(place)
    design = None if is_stream(place) else DesignUnderProof(run, part)
    verdicts = []
    for item in wanted:
        verdict = judge(item, backend, task, design, 60 * minutes)
        verdicts.append(verdict)
        over = f" over all {verdict.observations:,} observations" if verdict.status == PROVEN else ""
        _CONSOLE.print(escape(f"{verdict.name}: {verdict.status}{over} ({verdict.method})"), soft_wrap=True)
        if verdict.counterexample is not None:
            found = verdict.counterexample
            _CONSOLE.print(escape(f"  at {found['observation']} the action is {found['action']}"), soft_wrap=True)
    result = run.directory / f"properties-{part}.json"
    write_checked(result, {
        "policy": digest(run.policy), "netlist": digest(place / NETLIST), "file": path.name,
        "properties": [asdict(verdict) for verdict in verdicts],
    })
    picture = result.with_suffix(".svg")
    picture.unlink(missing_ok=True)
    if draw_counterexamples(wanted, verdicts, task.converter, picture):
        _CONSOLE.print(escape(f"counterexamples drawn: {picture}"), soft_wrap=True)
    return result


def equality(steps: Steps = 10_000_000, root: Root = RUNS) -> None:
    """Compare every executor of every built policy on millions of observations, visited and random.

    Exits with a status other than 0 on a single mismatch. Stopped, it goes on where it was.
    """
    path = root / RESULT
    designs = find_designs(root)
    with _progress("observations") as bar:
        line = bar.add_task(f"{len(designs)} policies", total=steps)
        result = run_equality(designs, steps, path, lambda count: bar.update(line, completed=count))
    _print_equality(result)
    require_no_mismatch(result, path)
    print_result(path)


def _print_claims(certificate: Certificate) -> None:
    table = Table()
    for label in ("claim", "outputs", "status", "over", "by", "seconds"):
        table.add_column(label, justify="right" if label == "seconds" else "left")
    for claim in certificate.claims:
        item = claim.to_json()
        cells = [item[key] for key in ("claim", "outputs", "status", "over", "method")]
        table.add_row(*cells, f"{claim.seconds:.1f}")
    _CONSOLE.print(table)
    for claim in certificate.claims:
        if claim.status == OPEN:
            _CONSOLE.print(f"not proven: {claim.name}: {claim.reason}", markup=False)


def _print_equality(result: dict[str, Any]) -> None:
    table = Table()
    for label in ("policy", "visited", "random", "mismatches"):
        table.add_column(label, justify="left" if label == "policy" else "right")
    for name, item in result["policies"].items():
        table.add_row(name, f"{item['on_policy']:,}", f"{item['random']:,}", f"{sum(item['mismatches'].values()):,}")
    _CONSOLE.print(table)


def _progress(unit: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.percentage:.0f} % of the " + unit),
        TimeRemainingColumn(elapsed_when_finished=True), console=Console(stderr=True),
    )
