"""QONNX → hls4ml C++ and RTL → C-simulation → synthesis → reports; one settings file per task."""

from hls4rl.hls_projects.build import Result, find_run, synthesise

__all__ = ["Result", "find_run", "synthesise"]
