"""From a QONNX policy that somebody else exported to placed gates, with the same equality on every backend.

original model → onnx (folded to power-of-two scales) → hls4ml (C-simulation) → <part> → report
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hls4rl.artefact import Artefact, contents, exclusive, write_json
from hls4rl.backend import Answer, Backend
from hls4rl.contract import FixedPoint, IntArray, ResultType
from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.export.imported.original import Original
from hls4rl.export.lowering import lower
from hls4rl.export.model_file import Units, load_model, model_digest, save_model
from hls4rl.export.network_writer import network_model
from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend
from hls4rl.export.qonnx_backend import QonnxBackend
from hls4rl.hls_projects.evaluate import Comparison, require_equal
from hls4rl.hls_projects.flow.core import build_core, expect
from hls4rl.hls_projects.flow.estimate import resolved
from hls4rl.hls_projects.fpga.parts import load_part
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.hls_projects.hls.convert import write_project
from hls4rl.hls_projects.hls.csim import CsimBackend, build_csim
from hls4rl.hls_projects.imported_play import EPISODES, play_compared, require_fit
from hls4rl.hls_projects.simulation.cores import open_netlist, open_rtl
from hls4rl.journal import working
from hls4rl.task import Hardware, Task
from hls4rl.verdict import interval, with_interval

FOLDER = "onnx"
"""Folder below the root where imported models are built, one directory a model."""
RANDOM_OBSERVATIONS = 20_000
VERDICT = "check.json"
"""What the model's own execution said of the folded network; see :class:`hls4rl.export.imported.judge.Verdict`."""


@dataclass(frozen=True)
class ImportedBuild:
    """The build of one imported model for one part."""

    model: Path
    hardware: Hardware
    root: Path
    input_type: FixedPoint | None = None
    """Of the observation, for models that don't quantise it themselves."""
    task: Task | None = None
    """The environment that it acts in; None: random observations have to do."""
    episodes: int = EPISODES
    """That each backend drives there."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the model and its weights."""
        return model_digest(self.model)

    @cached_property
    def original(self) -> Original:
        """The model, read and folded."""
        return Original.load(self.model, self.input_type, self._continuous)

    @property
    def _continuous(self) -> bool:
        return self.task is not None and self.task.actions.is_continuous

    @property
    def directory(self) -> Path:
        """``<root>/onnx/<name>-<first digits of the file's hash>/``."""
        stem = re.sub(r"[^A-Za-z0-9]+", "-", self.model.stem).strip("-")[:40] or "model"
        kind = "" if self.input_type is None else f"-{'s' if self.input_type.signed else 'u'}{self.input_type.bits}"
        where = "" if self.task is None else f"-{self.task.name}"
        return self.root / FOLDER / f"{stem}{kind}{where}-{self.digest[:8]}"

    def artefacts(self) -> Iterator[tuple[str, Artefact, Callable[[Path], None]]]:
        """Name, artefact and maker of each, in order; each one's inputs need the former made."""
        settings = asdict(self.hardware)
        model = {"model": self.digest, "input": None if self.input_type is None else asdict(self.input_type),
                 **({"continuous": True} if self._continuous else {})}
        names = "strategy", "reuse_factor", "clock_mhz", "hls_backend", "hls_part", "fold", "latency_us"
        onnx, hls, part = (self.directory / name for name in ("onnx", "hls4ml", self.hardware.part))
        yield "folding to integers, checked against the model's own execution", Artefact(onnx, model), self._fold
        graph = model | {"onnx": contents(onnx)}
        written = graph | {key: settings[key] for key in names}
        yield "hls4ml project and C-simulation", Artefact(hls, written), self._convert
        settings_of_gates = "part", "clock_mhz", "place_seeds", "stages", "fold", "latency_us"
        placed = graph | {key: settings[key] for key in settings_of_gates}
        yield "RTL, synthesis, place and route", Artefact(part, placed), self._place
        checked = {"hardware": settings, "random": RANDOM_OBSERVATIONS, "built": [contents(hls), contents(part)]}
        where = "" if self.task is None else f", and in {self.episodes} episodes of {self.task.environment}"
        if self.task is not None:
            checked |= {"environment": [self.task.environment, self.task.environment_options, list(self.task.wrappers)],
                        "episodes": self.episodes}
        yield f"every backend on random and corner observations{where}", Artefact(
            self.directory / "report", graph | checked
        ), self._report

    def observations(self) -> IntArray:
        """Corners, and random observations over the whole input type; int64, shape (rows, features)."""
        network = self.original.folded.network
        rng, kind = np.random.default_rng(0), network.input
        size = self._rows, network.features
        random = rng.integers(kind.minimum, kind.maximum, size=size, endpoint=True, dtype=np.int64)
        return np.concatenate([check_observations(kind, network.features), random])

    @property
    def _rows(self) -> int:
        return max(16, min(RANDOM_OBSERVATIONS, (1 << 22) // self.original.features))

    def _fold(self, directory: Path) -> None:
        network = self.original.folded.network
        model = network_model(network)
        units = Units(network.input.lsb, network.logit_lsb, network.output)
        properties = {"source_sha256": self.digest, **units.properties}
        save_model(model, directory / "policy.qonnx.onnx", properties)
        save_model(lower(model), directory / "policy.onnx", properties)
        (directory / "original.onnx").write_bytes(load_model(self.model).SerializeToString(deterministic=True))
        write_json(directory / "folding.json", self._folding())
        write_json(directory / VERDICT, asdict(self.original.judged(self._rows)))

    def _convert(self, directory: Path) -> None:
        hardware = resolved(self.original.folded.network, self.hardware)
        write_project(self.directory / "onnx" / "policy.qonnx.onnx", hardware, directory)
        build_csim(directory)

    def _place(self, directory: Path) -> None:
        build_core(self.original.folded.network, self.hardware, directory)

    def _report(self, directory: Path) -> None:
        observations = self.observations()
        output = self.original.folded.network.output
        expected = Answer.of_logits(self.original.infer(observations), output)
        verdict = json.loads((self.directory / "onnx" / VERDICT).read_text(encoding="utf-8"))
        comparisons, played = [], []
        for backend in self._backends():
            comparison = Comparison(backend.name)
            comparison.add(backend.infer(observations), expected)
            comparisons.append(comparison)
            if self.task is not None:
                played.append(play_compared(self.original, self.task, backend, self.episodes))
        require_equal([*comparisons, *played])
        built = self.directory / self.hardware.part
        placed = json.loads((built / RESULT).read_text(encoding="utf-8"))
        if placed["bitstream"]:
            placed["bitstream"] = str(built / placed["bitstream"])
        keys = ("part", "lut", "ff", "dsp", "bram", "fmax_mhz", "cycles", "latency_ns", "bitstream")
        write_json(directory / "summary.json", {
            "model": self.model.name,
            **self._folding(),
            **{key: placed.get(key) for key in keys},
            "observations": len(observations),
            "mismatches": sum(item.mismatches for item in (*comparisons, *played)),
            **self._played(played),
            "model_check": verdict,
            "backends": [
                {key: getattr(item, key) for key in ("backend", "steps", "mismatches", "logits_compared")}
                for item in comparisons
            ],
            "implementation": placed,
        })

    def _backends(self) -> list[Backend]:
        place = self.directory
        backends: list[Backend] = [
            QonnxBackend(place / "onnx" / "policy.qonnx.onnx"), OnnxRuntimeBackend(place / "onnx" / "policy.onnx"),
            CsimBackend(place / "hls4ml"), open_rtl(place / self.hardware.part),
        ]
        if load_part(self.hardware.part).tools.models:
            backends.append(open_netlist(place / self.hardware.part))
        return backends

    def _played(self, comparisons: list[Comparison]) -> dict[str, Any]:
        if self.task is None:
            return {}
        returns = comparisons[0].returns
        return {
            "environment": self.task.environment, "episodes": self.episodes,
            "steps_compared": sum(item.steps for item in comparisons),
            "greedy_return": comparisons[0].mean_return, "greedy_interval": interval(np.array(returns)),
            "returns": returns,
        }

    def _folding(self) -> dict[str, Any]:
        folded, network = self.original.folded, self.original.folded.network
        return {
            "input": asdict(network.input),
            "observation_scale": float(self.original.exact.input.scale),
            "layers": [
                {"inputs": layer.weight.shape[1], "outputs": len(layer.weight), "activation": _named(layer.activation)}
                for layer in network.layers
            ],
            "folded_by": list(folded.ways),
            "logit_value": float(folded.logit_value),
            "logits_exact": folded.logits_exact,
        }


def build_imported(
    model: Path, hardware: Hardware, root: Path, console: Console | None = None, input_type: FixedPoint | None = None,
    task: Task | None = None, episodes: int | None = None,
) -> Path:
    """Everything from an imported QONNX model to the report; what is there already isn't made again.

    Args:
        input_type: of the observation, for models that don't quantise it themselves.
        task: the environment that it acts in: each backend drives ``episodes`` of it, :data:`EPISODES` by default.

    Returns:
        Path of ``report/summary.json``.

    Raises:
        ProjectError: the model has something that cannot be folded exactly (the message names the node and what to
            do), or a tool failed.
    """
    console = console or Console(quiet=True)
    if not model.is_file():
        raise ProjectError(f"{model}: no such file; give a QONNX model with ONNX=path/to/model.onnx")
    build = ImportedBuild(model, hardware, root, input_type, task, episodes or EPISODES)
    folding = build.original.folded  # what cannot be folded is told before anything is written
    if task is not None:
        require_fit(build.original, task, str(model))
    ways = ", ".join(folding.ways) or "nothing"
    console.print(f"{escape(model.name)}: activations folded by {ways}", highlight=False)
    with exclusive(build.directory):
        for name, artefact, maker in build.artefacts():
            if artefact.is_current:
                console.print(f"  [dim]{name}: already done[/dim]")
                continue
            if maker == build._place and (expected := expect(folding.network, hardware)) is not None:
                console.print(f"  expected: {expected}", highlight=False)
            with working(console, name, build.directory), artefact.build() as directory:
                maker(directory)
    return build.directory / "report" / "summary.json"


def print_imported(path: Path, console: Console) -> None:
    """Print the table of ``summary.json``."""
    summary = json.loads(path.read_text(encoding="utf-8"))
    table = Table(title=f"{summary['model']} on {summary['part']}", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for item in summary["backends"]:
        compared = "logits and actions" if item["logits_compared"] else "actions"
        table.add_row(f"{item['backend']}: mismatches in {item['steps']:,}", f"{item['mismatches']} ({compared})")
    if "environment" in summary:
        shown = with_interval(summary["greedy_return"], summary["greedy_interval"])
        table.add_row(f"{summary['environment']}: greedy return in {summary['episodes']} episodes", shown)
        table.add_row("steps of all backends compared there", f"{summary['steps_compared']:,}")
    for key in ("lut", "ff", "dsp", "bram", "fmax_mhz", "cycles", "latency_ns"):
        table.add_row(key, "–" if summary[key] is None else f"{summary[key]:,}")
    if cap := summary["implementation"].get("fmax_capped_by"):
        table.add_row("fmax_mhz is capped by", cap)
    verdict = summary["model_check"]
    count = verdict["integer_observations"] + verdict["real_observations"]
    table.add_row(f"the model itself, executed on {count:,} observations: wrong", "0")
    table.add_row("decided by exact arithmetic, where float64 rounded otherwise", f"{verdict['rounded']:,}")
    table.add_row("decided by neither, on a boundary", f"{verdict['undecided']:,}")
    table.add_row("host divides an observation by", f"{summary['observation_scale']:.9g}")
    console.print(table)


def _named(kind: ResultType | None) -> dict[str, Any] | None:
    return None if kind is None else {"type": type(kind).__name__, **asdict(kind)}
