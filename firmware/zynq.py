"""Zynq boards: hls4ml's VivadoAccelerator project (AXI streams, block design, PYNQ driver), C-simulated and compared.

The bitstream is made where Vivado HLS and Vivado are installed; elsewhere the project is whole up to that point.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from hls4rl.artefact import write_json
from hls4rl.backend import Backend
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import check_observations
from hls4rl.export.graph import read_network
from hls4rl.hls_projects.hls.convert import read_description, write_project
from hls4rl.hls_projects.hls.vitis import build
from hls4rl.processes import run
from hls4rl.task import Hardware

ZYNQ_BOARDS = ("pynq-z2", "zcu102")
"""Boards that hls4ml 1.3 has a block design for, with AXI streams."""

REPORT = "zynq.json"
_DRIVER = Path(__file__).resolve().parent / "driver" / "zynq_policy.py"
_TOOL = "vivado_hls"
_OBSERVATIONS = 2000
_SIMULATION = """
import sys
import hls4ml
import numpy
model = hls4ml.converters.link_existing_project(sys.argv[1])
model.config.config["OutputDir"] = sys.argv[1]
model.compile()
numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[2])))
"""


def write_zynq(qonnx: Path, hardware: Hardware, board: str, reference: Backend, directory: Path) -> dict[str, Any]:
    """Write, C-simulate and, where the vendor's tools are installed, build the project of a QONNX graph.

    Args:
        board: one of :data:`ZYNQ_BOARDS`.
        reference: the same policy in software; the C simulation's logits must equal its own.

    Returns:
        What ``zynq.json`` in ``directory`` holds: board, observations (compared), mismatches (0), built, skipped.

    Raises:
        ProjectError: hls4ml refuses the graph, or the C simulation differs.
    """
    write_project(qonnx, hardware, directory, accelerator=board)
    shutil.copyfile(_DRIVER, directory / _DRIVER.name)
    network = read_network(qonnx)
    observations = check_observations(network.input, network.features)[:_OBSERVATIONS]
    logits = _integers(_simulated(_values(observations, directory), directory), directory)
    expected = reference.infer(observations).logits
    mismatches = int((logits != expected).any(axis=1).sum())
    if mismatches:
        raise ProjectError(
            f"{directory}: the C simulation differs from the software policy on {mismatches} of {len(observations)} "
            "observations; please report this graph"
        )
    built = shutil.which(_TOOL) is not None
    if built and build(directory, csim=False, synth=True, export=True, bitfile=True):
        raise ProjectError(f"{_TOOL} failed on {directory}; see vivado_hls.log there")
    result = {
        "board": board, "observations": len(observations), "mismatches": mismatches, "built": built,
        "skipped": None if built else f"{_TOOL} is not on PATH; where it is, run it on build_prj.tcl, then vivado on "
                                      "design.tcl",
    }
    write_json(directory / REPORT, result)
    return result


def _simulated(values: np.ndarray[Any, Any], project: Path) -> np.ndarray[Any, Any]:
    """hls4ml's own C simulation: it compiles the project, in a process of its own, and answers with real logits."""
    with tempfile.TemporaryDirectory(prefix="hls4rl-zynq-") as folder:
        given, answered = Path(folder) / "given.npy", Path(folder) / "answered.npy"
        np.save(given, values)
        done = run([sys.executable, "-c", _SIMULATION, project.resolve(), given, answered], project)
        if done.returncode:
            raise ProjectError(f"the C simulation of {project} failed: {done.stderr.strip()[-300:]}")
        found: np.ndarray[Any, Any] = np.load(answered)
    return found


def _values(observations: IntArray, project: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (observations * read_description(project).observation_lsb).astype(np.float32)


def _integers(logits: Any, project: Path) -> IntArray:
    return np.rint(np.asarray(logits, dtype=np.float64) / read_description(project).logit_lsb).astype(np.int64)
