"""QONNX → hls4ml C++ and RTL → C-simulation → synthesis → reports; one settings file per task."""

from hls_projects.pipeline import Result, find_run, synthesise
from hls_projects.run import Run

__all__ = ["Result", "Run", "find_run", "synthesise"]
