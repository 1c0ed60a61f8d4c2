"""The files of one built policy, and the executors of it that are held against each other."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hls4rl.artefact import digest, inputs_of
from hls4rl.backend import Backend
from hls4rl.errors import ProjectError
from hls4rl.export.graph import read_network
from hls4rl.hls_projects.fpga.parts import load_part, part_names
from hls4rl.hls_projects.fpga.place import RESULT
from hls4rl.hls_projects.fpga.read_back import bitstream_files
from hls4rl.hls_projects.fpga.synthesis import NETLIST
from hls4rl.hls_projects.hls.csim import LIBRARY
from hls4rl.hls_projects.prove.claims import Side
from hls4rl.hls_projects.rtl.folded import FoldedInfo, is_folded, read_folded_info
from hls4rl.hls_projects.rtl.pipelined import CORE, LOGITS, RtlInfo, read_info
from hls4rl.hls_projects.simulation.pipelined import has_bitstream_model
from hls4rl.hls_projects.simulation.streaming import is_stream
from hls4rl.network import IntegerNetwork
from hls4rl.plain import read_json
from hls4rl.run import Run, is_imported
from hls4rl.task import Task, read_task


def task_of(run: Run) -> Task:
    """The environment and the converter of observations that ``run``'s policy was trained with.

    Raises:
        ProjectError: the policy is not the one that was made.
    """
    made = inputs_of(run.verified(run.policy.parent), "train it again")
    environment, options = made["environment"]
    kept: dict[str, Any] = {"name": run.spec.task, "environment": environment, "environment_options": options}
    kept |= {key: made[key] for key in ("wrappers", "observation", "action") if key in made}
    return read_task(kept, str(run.policy.parent))


@dataclass(frozen=True)
class DesignUnderProof:
    """One run, and the part that it was built for."""

    run: Run
    part: str

    def __post_init__(self) -> None:
        if is_stream(self.built):
            raise ProjectError(
                f"{self.built}: a streaming core, whose answer depends on thousands of clocks; nothing proves it over "
                "all observations here: compare it with `make evaluate BACKEND=rtl` and `BACKEND=netlist`"
            )
        for artefact in (self.run.onnx.parent, self.built):
            self.run.verified(artefact)
        if self.run.project.is_dir():
            self.run.verified(self.run.project)

    @property
    def built(self) -> Path:
        """Where RTL and netlist lie."""
        return self.run.part(self.part)

    @property
    def proof(self) -> Path:
        """Where certificates go."""
        return self.run.directory / f"proof-{self.part}"

    @cached_property
    def network(self) -> IntegerNetwork:
        """The policy in integers, read from its QONNX graph."""
        return read_network(self.run.qonnx)

    @cached_property
    def task(self) -> Task:
        """The environment and the converter of observations that the policy was trained with."""
        return task_of(self.run)

    @cached_property
    def info(self) -> RtlInfo | FoldedInfo:
        """The cores' ports."""
        return read_folded_info(self.built) if is_folded(self.built) else read_info(self.built)

    @property
    def recipe(self) -> str:
        """By which the netlist was synthesised."""
        return str(read_json(self.built / RESULT, "build it again with `make synth`").get("recipe"))

    @property
    def models(self) -> str:
        """Yosys' models of the part's cells; empty where there are none."""
        return load_part(self.part).tools.models

    @cached_property
    def reference(self) -> Side:
        """The integer network."""
        return self._side("reference", "integer network, read from QONNX, on NumPy's 64-bit integers", self.run.qonnx)

    @cached_property
    def netlist(self) -> Side:
        """The deployed core, as placed."""
        what = f"the deployed core after synthesis for {self.part}: the cells that are placed"
        return self._side("netlist", what, self.built / NETLIST)

    @cached_property
    def bitstream(self) -> Side | None:
        """The deployed core as its bitstream makes it of the chip; None where that is not read back."""
        if not has_bitstream_model(self.built):
            return None
        what = f"what the bitstream for {self.part} makes of the chip: read back from it, pin by pin"
        return self._side("bitstream", what, *bitstream_files(self.built, load_part(self.part)))

    @cached_property
    def rtl(self) -> Side:
        """The deployed core, as written."""
        return self._side("rtl", "the deployed core's Verilog", *self._verilog(CORE))

    @cached_property
    def rtl_logits(self) -> Side:
        """The core that shows its logits."""
        return self._side("rtl-logits", "the Verilog of the core that shows its logits", *self._verilog(LOGITS))

    def software(self) -> Iterator[tuple[Side, str, Callable[[], Backend]]]:
        """Of each executor in software that was built: what it is, its tool, and how to open it."""
        run = self.run
        library, weights = run.project / LIBRARY, sorted((run.project / "firmware" / "weights").glob("*.txt"))
        if library.is_file():
            side = self._side("csim", "hls4ml's C++ on ap_fixed, compiled", library, *weights)
            yield side, f"hls4ml {_version('hls4ml')}, g++", self._csim
        if run.policy.is_file():
            side = self._side("torch", "the Brevitas module in float64: what was trained", run.policy)
            yield side, f"torch {_version('torch')}, brevitas {_version('brevitas')}", self._torch
        if run.onnx.is_file():
            side = self._side("onnxruntime", "the policy in plain ONNX operators", run.onnx)
            yield side, f"onnxruntime {_version('onnxruntime')}", self._onnxruntime
        side = self._side("qonnx", "the QONNX graph on ONNX's reference evaluator, with qonnx's quantisers", run.qonnx)
        yield side, f"onnx {_version('onnx')}, qonnx {_version('qonnx')}", self._qonnx

    def _verilog(self, module: str) -> list[Path]:
        """A module's source, and what its memories hold."""
        return [self.built / f"{module}.v", *sorted(self.built.glob("*.hex"))]

    def _side(self, name: str, what: str, *files: Path) -> Side:
        return Side(name, what, {str(path.relative_to(self.run.directory)): digest(path) for path in files})

    def _csim(self) -> Backend:
        from hls4rl.hls_projects.hls.csim import CsimBackend

        return CsimBackend(self.run.project)

    def _torch(self) -> Backend:
        from hls4rl.train.network import TorchBackend

        return TorchBackend(self.run.load_policy())

    def _onnxruntime(self) -> Backend:
        from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend

        return OnnxRuntimeBackend(self.run.onnx)

    def _qonnx(self) -> Backend:
        from hls4rl.export.qonnx_backend import QonnxBackend

        return QonnxBackend(self.run.qonnx)


def find_designs(root: Path) -> list[DesignUnderProof]:
    """All built policies in ``<root>/<task>/<run>/<part>/``, in the order of their paths; no streaming cores.

    Raises:
        ProjectError: a policy is missing or damaged.
    """
    found = []
    for part in part_names():
        for path in sorted(root.glob(f"*/*/{part}/{NETLIST}")):
            run = path.parents[1]
            if not is_imported(run) and not is_stream(run / part):
                found.append(DesignUnderProof(Run.at(run), part))
    return sorted(found, key=lambda design: (str(design.run.directory), design.part))


def _version(package: str) -> str:
    return importlib.metadata.version(package)
