"""QONNX → hls4ml C++ and RTL → C-simulation → synthesis → reports; one settings file per task."""

from hls4rl.hls_projects.pipeline import Result, find_run, synthesise
from hls4rl.run import Run

__all__ = ["Result", "Run", "find_run", "synthesise"]
