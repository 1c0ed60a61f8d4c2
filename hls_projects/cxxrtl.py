"""Clock-by-clock simulation of a whole top level: Yosys' CXXRTL, compiled to a shared library for ctypes.

For designs that talk to the outside (a link, pins), whose test bench is a loop in C++. A policy core alone is
simulated faster, and without a compiler, by :mod:`hls_projects.gates`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from hls_projects.yosys import SHARE, run_yosys
from train.errors import ProjectError

_HEADERS = SHARE / "include" / "backends" / "cxxrtl" / "runtime"


def build_model(preparation: Sequence[str], top: str, entry: str, directory: Path) -> Path:
    """Compile a design for simulation; the library is ``<directory>/<top>.so``.

    Args:
        preparation: Yosys commands that read the design (:func:`hls_projects.yosys.verilog_commands` …).
        top: name of the top module; its C++ type is ``p_<top>``, each ``_`` in a name doubled.
        entry: C++ that begins with ``#include "model.cc"`` and exports C functions.
        directory: where the C++, the log and the library go; made if missing.

    Raises:
        ProjectError: there is no g++.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise ProjectError("g++ is not on the PATH; install it (Debian, Ubuntu: apt install g++) and run again")
    directory.mkdir(parents=True, exist_ok=True)
    commands = [*preparation, f"hierarchy -top {top}", "proc", "flatten", "opt_clean", "write_cxxrtl -g0 model.cc"]
    run_yosys(commands, directory, directory / f"{top}.log")
    (directory / "entry.cc").write_text(entry, encoding="utf-8")
    library = directory / f"{top}.so"
    done = subprocess.run(
        [compiler, "-std=c++17", "-O1", "-shared", "-fPIC", f"-I{_HEADERS}", "entry.cc", "-o", library.name],
        cwd=directory, capture_output=True, text=True, check=False,
    )
    for name in ("model.cc", "entry.cc"):
        (directory / name).unlink()
    if done.returncode:
        raise RuntimeError(f"g++ failed on the simulation model of {top}: {done.stderr.strip()[-2000:]}")
    return library
