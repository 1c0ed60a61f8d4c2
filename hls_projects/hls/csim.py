"""C simulation: the hls4ml project's own C++, compiled with g++ and called once a batch."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray, read_output
from hls4rl.errors import ProjectError, ToolError
from hls4rl.hls_projects.hls.convert import DESCRIPTION, TOP, Description, read_description
from hls4rl.library import load_library, record_library
from hls4rl.processes import run

ENTRY = Path(__file__).with_name("csim_entry.cpp")
LIBRARY = Path("csim") / f"{TOP}.so"
"""Where the compiled library lies in a project."""
VOLATILE = "void clearUnusedBits(void) volatile"
"""In the headers of ``ap_fixed``: makes each number go through memory at each step, which takes 3/4 of the time."""
_FLAGS = (
    "-std=c++11", "-O3", "-fPIC", "-shared", "-w",
    # As the pragmas ask of hardware: loops of up to 200 rounds unrolled, every call inlined. Vectors only lose by it.
    "-finline-limit=10000", "--param=max-completely-peeled-insns=1000", "--param=max-completely-peel-times=200",
    "-fno-tree-vectorize",
    "-fvisibility=hidden", "-fno-gnu-unique",  # several policies in one process keep their own weights
)


def build_csim(project: Path) -> Path:
    """Compile the C++ of ``project`` (written by :func:`hls4rl.hls_projects.hls.convert.write_project`).

    Returns:
        The library's path inside the project, which may be moved as a whole.

    Raises:
        ProjectError: no g++, no such project, a backend with another C++ dialect, or g++ failed.
    """
    description = read_description(project)
    if description.backend not in ("Vitis", "Vivado"):
        raise ProjectError(
            f"C simulation knows the C++ of Vitis and Vivado, not of {description.backend}; set another hls_backend"
        )
    compiler = shutil.which("g++")
    if compiler is None:
        raise ProjectError("g++ is not on PATH; install it (Debian, Ubuntu: apt install g++)")
    library = project / LIBRARY
    library.parent.mkdir(exist_ok=True)
    partial = library.with_name(f".{library.name}.{os.getpid()}")
    command = [compiler, *_FLAGS, *_definitions(description), "-Ifirmware"]
    try:
        with _quick_types(project) as types:
            # Its random name must not get into the library, which would then differ from run to run.
            command += [f"-I{types}", f"-ffile-prefix-map={types}=ap_types", str(ENTRY)]
            command += ["-o", str(partial.relative_to(project))]
            done = run(command, project)
        if done.returncode != 0:
            raise ToolError(f"g++ failed on the C++ project (status {done.returncode})", done.stdout + done.stderr)
        partial.replace(library)
        record_library(library, _sources(project))
    finally:
        partial.unlink(missing_ok=True)
    return library


class CsimBackend:
    """The compiled C++ of one hls4ml project, in this process."""

    name = "csim"

    def __init__(self, project: Path) -> None:
        description = read_description(project)
        weights = (project / "firmware" / "weights").resolve()
        for name in description.weights:
            # The C++ ends the whole process if one is missing.
            if not (weights / name).is_file():
                raise ProjectError(f"{weights / name} is missing; convert the policy again")
        self._shape = (description.features, description.outputs)
        self._output = read_output(description.output)
        self._weights = str(weights).encode()
        self._infer = load_library(project / LIBRARY, f"delete {project} and build it again").hls4rl_infer
        self._infer.restype = None
        self._infer.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64]

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        features, outputs = self._shape
        inputs = np.ascontiguousarray(observations, dtype=np.int64)
        if inputs.ndim != 2 or inputs.shape[1] != features:
            raise ValueError(f"observations of shape {inputs.shape}; expected (batch, {features})")
        logits = np.empty((len(inputs), outputs), dtype=np.int64)
        self._infer(self._weights, inputs.ctypes.data, logits.ctypes.data, len(inputs))
        return Answer.of_logits(logits, self._output)


@contextlib.contextmanager
def _quick_types(project: Path) -> Iterator[Path]:
    """A copy of the project's ``ap_fixed`` headers without :data:`VOLATILE`, which stands for nothing in software."""
    with tempfile.TemporaryDirectory(prefix="hls4rl-") as scratch:
        types = Path(scratch) / "ap_types"
        shutil.copytree(project / "firmware" / "ap_types", types)
        header = types / "etc" / "ap_private.h"
        text = header.read_text(encoding="utf-8")
        header.write_text(text.replace(VOLATILE, VOLATILE.removesuffix(" volatile")), encoding="utf-8")
        yield types


def _definitions(description: Description) -> list[str]:
    return [
        f'-DCORE_FILE="{TOP}.cpp"',
        f"-DTOP_FUNCTION={TOP}",
        f"-DFEATURES={description.features}",
        f"-DOUTPUTS={description.outputs}",
        f"-DLOGIT_EXPONENT={round(math.log2(description.logit_lsb))}",
    ]


def _sources(project: Path) -> list[Path]:
    """All that the library was compiled from, but for the entry, and what it reads when it runs."""
    return [path for path in (project / "firmware").rglob("*") if path.is_file()] + [project / DESCRIPTION]
