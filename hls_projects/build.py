"""From the environment to reports: what a policy is built into, artefact by artefact, each made once.

policy → onnx → hls4ml (C-simulation) → <part> (RTL, netlist, bitstream) → report
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from hls4rl.artefact import METADATA, Artefact, contents, digest, exclusive, write_json
from hls4rl.checked import write_checked
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.cost import cost
from hls4rl.hls_projects.evaluate import default_episodes, evaluate, require_equal
from hls4rl.hls_projects.executors import EXECUTORS, backends_of
from hls4rl.hls_projects.summary import load_summary, returns_verdict, summarise
from hls4rl.journal import note, working
from hls4rl.plain import read_json
from hls4rl.policy import PolicySpec
from hls4rl.run import RUNS, Run, root_word
from hls4rl.task import Hardware, Task
from hls4rl.train import train_seed, train_seeds
from hls4rl.train.progress import TrainingProgress
from hls4rl.verdict import Verdict

TOOLS = ("open", "vitis")
"""``open``: Yosys and nextpnr, which come with the project; ``vitis``: AMD's tools, where they are installed."""


MAXIMUM_PIPELINE_WEIGHTS = 50_000
"""Of the first layer, as logic; alkaid and Yosys would take hours for more."""

_HLS_SETTINGS = (
    "strategy", "reuse_factor", "clock_mhz", "hls_backend", "hls_part", "inputs_per_clock", "fold", "latency_us",
)
_PLACE_SETTINGS = ("part", "clock_mhz", "place_seeds", "stages", "inputs_per_clock", "fold", "latency_us")
_LATER = ("stages", "inputs_per_clock", "fold", "latency_us", "build_minutes")
"""Settings that came after the first builds."""
_DEFAULTS = Hardware()


@dataclass(frozen=True)
class Build:
    """What to make of one policy that is trained already."""

    task: Task
    run: Run
    tool: str
    episodes: int
    minimum_steps: int
    selection: dict[str, Any] | None
    console: Console

    def artefacts(self) -> Iterator[tuple[str, Artefact, Callable[[Path], None]]]:
        """Name, artefact and maker of each after training, in order; each one's inputs need the former made."""
        run, hardware = self.run, _hardware(self.task)
        policy = {"policy": digest(run.policy)}
        yield "export to QONNX and ONNX", Artefact(run.onnx.parent, policy), self._export
        graph = policy | {"qonnx": digest(run.qonnx)}
        hls = graph | {key: hardware[key] for key in _HLS_SETTINGS if key in hardware}
        yield "hls4ml project and C-simulation", Artefact(run.project, hls), self._convert
        if self.tool == "open":
            built = run.part(hardware["part"])
            placed = graph | {key: hardware[key] for key in _PLACE_SETTINGS if key in hardware}
            yield "RTL, synthesis, place and route", Artefact(built, placed), self._place
        else:
            built = run.vendor
            yield "Vitis HLS", Artefact(built, hls), self._run_vendor
        verified = policy | {
            "hardware": hardware, "tool": self.tool, "episodes": self.episodes, "minimum_steps": self.minimum_steps,
            "selection": self.selection, "solved_from": self.task.solved,
            "built": {place.name: contents(place) for place in (run.onnx.parent, run.project, built)},
        }
        yield "every backend in the Gym loop", Artefact(run.report, verified), self._report

    def _export(self, directory: Path) -> None:
        from hls4rl.export import export_policy

        export_policy(self.run.load_policy(), directory)

    def _convert(self, directory: Path) -> None:
        from hls4rl.export.graph import read_network
        from hls4rl.hls_projects.flow.estimate import resolved
        from hls4rl.hls_projects.hls.convert import write_project
        from hls4rl.hls_projects.hls.csim import build_csim

        write_project(self.run.qonnx, resolved(read_network(self.run.qonnx), _with_latency(self.task)), directory)
        build_csim(directory)

    def announce(self) -> None:
        """Say what the core will come to before it is built.

        Raises:
            ProjectError: it is expected to take longer than ``hardware.build_minutes``.
        """
        from hls4rl.export.graph import read_network
        from hls4rl.hls_projects.flow.core import expect

        expected = expect(read_network(self.run.qonnx), _with_latency(self.task))
        if expected is not None:
            self.console.print(f"  expected: {expected}", highlight=False)

    def _place(self, directory: Path) -> None:
        from hls4rl.export.graph import read_network
        from hls4rl.hls_projects.flow.core import build_core
        from hls4rl.hls_projects.fpga.steps import FOLDER

        def tell(text: str) -> None:
            note(self.run.directory, text)
            self.console.print(f"    {escape(text)}", highlight=False)

        network, kept = read_network(self.run.qonnx), self.run.directory / FOLDER
        build_core(network, _with_latency(self.task), directory, kept, tell)

    def _run_vendor(self, directory: Path) -> None:
        from hls4rl.hls_projects.hls.vitis import build_with_vitis

        build_with_vitis(self.run.project, directory)

    def _report(self, directory: Path) -> None:
        from hls4rl.export.graph import read_network
        from hls4rl.hls_projects.fpga.place import RESULT
        from hls4rl.hls_projects.hls.vitis import REPORT

        run, part = self.run, self.task.hardware.part
        names = tuple(name for name in backends_of(run, part) if self.tool == "open" or not EXECUTORS[name].gates)
        comparisons = evaluate(self.task, self.run, part, names, self.episodes, self.minimum_steps)
        require_equal(comparisons)
        network = read_network(self.run.qonnx)
        expense = cost(network, self.run.spec)
        built, result = (self.run.part(part), RESULT) if self.tool == "open" else (self.run.vendor, REPORT)
        hardware = json.loads((built / result).read_text(encoding="utf-8"))
        if bitstream := hardware.get("bitstream"):
            hardware["bitstream"] = str(built / bitstream)
        reports = {
            "verification": [item.to_json() for item in comparisons],
            "op_and_param_counts": expense.to_json(),
            "ooc_synth_and_timing": hardware,
        }
        reports["summary"] = summarise(self.run, self.tool, comparisons, expense, hardware, self.selection)
        training = read_json(self.run.policy.with_name("training.json"), "train again: run `make synth`")
        trained = Verdict.of(training | {"solved_from": self.task.solved})
        reports["summary"] |= returns_verdict(reports["summary"], trained)
        if "source" in training:
            reports["summary"]["source"] = training["source"]
        for name, content in reports.items():
            write_json(directory / f"{name}.json", content)


@dataclass(frozen=True)
class Result:
    """What a build ends in."""

    summary: dict[str, Any]
    path: Path
    """``report/summary.json`` of the run."""


def synthesise(
    task: Task,
    spec: PolicySpec,
    *,
    choose_seed: bool = False,
    root: Path = RUNS,
    tool: str = "open",
    episodes: int | None = None,
    minimum_steps: int = 0,
    console: Console | None = None,
) -> Result:
    """Everything from the environment to the reports; what is there already isn't made again.

    Args:
        choose_seed: train the task's number of seeds and build the best by validation, instead of ``spec.seed``.
        root: where the runs are kept.
        tool: one of :data:`TOOLS`.
        episodes, minimum_steps: see :func:`hls4rl.hls_projects.evaluate.evaluate`; None: the task's usual number.
        console: where progress is shown; None for nowhere.

    Raises:
        ProjectError: a tool failed or an executor differs; the artefacts before it are kept.
    """
    if tool not in TOOLS:
        raise ProjectError(f"unknown tool '{tool}'; choose one of {', '.join(TOOLS)}")
    console = console or Console(quiet=True)
    _check_width(task, spec)
    if tool == "open":
        _check_programs(task)
    run, selection = _train(task, spec, choose_seed, root, console)
    build = Build(task, run, tool, episodes or default_episodes(task), minimum_steps, selection, console)
    with exclusive(run.directory):
        for name, artefact, maker in build.artefacts():
            if maker == build._place and not artefact.is_current:
                build.announce()
            _make(name, artefact, maker, console)
        path = run.report / "summary.json"
        summary = load_summary(path)
        write_checked(
            run.directory / METADATA, {"spec": spec.to_json(), "task": asdict(task.resolved), "summary": summary}
        )
    return Result(summary, path)


def build_core(task: Task, run: Run, console: Console | None = None) -> None:
    """Make all of ``run`` up to the core for the task's part, where it isn't there; its report stays as it is.

    Raises:
        ProjectError: a tool failed or an executor differs; the artefacts before it are kept.
    """
    console = console or Console(quiet=True)
    build = Build(task, run, "open", default_episodes(task), 0, None, console)
    run.load_policy()
    with exclusive(run.directory):
        for name, artefact, maker in build.artefacts():
            if artefact.directory != run.report:
                _make(name, artefact, maker, console)


def find_run(task: Task, spec: PolicySpec, choose_seed: bool, root: Path = RUNS) -> Run:
    """The run that :func:`synthesise` made for the same arguments.

    Raises:
        ProjectError: it isn't there.
    """
    seeds = range(task.training.seeds) if choose_seed else (spec.seed,)
    runs = [Run(replace(spec, seed=seed), root) for seed in seeds]
    built = [run for run in runs if run.policy.exists()]
    if not built:
        raise ProjectError(
            f"no policy in {runs[0].directory}; run `make synth{root_word(root)}` for this ENV, METHOD, HIDDEN and SEED"
        )
    complete = [run for run in built if (run.report / "summary.json").exists()]
    return (complete or built)[0]


def _check_width(task: Task, spec: PolicySpec) -> None:
    """Tell before training that an environment does not fit, or is too wide to come at once."""
    features, outputs = task.spaces
    units = next(iter(spec.hidden), outputs)
    if features * units > MAXIMUM_PIPELINE_WEIGHTS and not (task.hardware.inputs_per_clock or task.hardware.fold):
        raise ProjectError(
            f"task '{task.name}': {features} features by {units} units are too many weights for a core that "
            "takes all features at once; set hardware.inputs_per_clock, for instance to 4"
        )


def _check_programs(task: Task) -> None:
    """Tell before training that a program of the part is missing."""
    from hls4rl.hls_projects.fpga.nextpnr import check_programs
    from hls4rl.hls_projects.fpga.parts import load_part

    check_programs(load_part(task.hardware.part).tools)


def _with_latency(task: Task) -> Hardware:
    """The hardware settings; where units are to be chosen, with a latency of 1/20 of the environment's step."""
    hardware = task.hardware
    if hardware.fold != "auto" or hardware.latency_us is not None:
        return hardware
    environment = task.make()
    per_second = float(environment.metadata.get("render_fps") or 50)
    environment.close()
    return replace(hardware, latency_us=1e6 / per_second / 20)


def _hardware(task: Task) -> dict[str, Any]:
    # A setting that came later is left out at its default, so that what was built before stays current.
    settings, defaults = asdict(task.hardware), asdict(_DEFAULTS)
    return {key: value for key, value in settings.items() if key not in _LATER or value != defaults[key]}


def _train(
    task: Task, spec: PolicySpec, choose_seed: bool, root: Path, console: Console
) -> tuple[Run, dict[str, Any] | None]:
    with TrainingProgress(f"{task.name} {spec.method}-h{spec.shape}", console.quiet) as progress:
        if not choose_seed:
            train_seed(task, spec, root, lambda standing: progress(spec.seed, standing))
            return Run(spec, root), None
        chosen = train_seeds(task, spec, root, progress)
    returns = {str(seed): result["validation_return"] for seed, result in chosen.results.items()}
    return Run(chosen.chosen, root), {"seed": chosen.chosen.seed, "validation_returns": returns}


def _make(name: str, artefact: Artefact, maker: Callable[[Path], None], console: Console) -> None:
    if artefact.is_current:
        console.print(f"  [dim]{name}: already done[/dim]")
        return
    with working(console, name, artefact.directory.parent), artefact.build() as directory:
        maker(directory)
