"""Where a run's files lie: ``<root>/<task>/<method>-h<hidden>-s<seed>/``, one directory a stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hls4rl.policy import PolicySpec

RUNS = Path("runs")
"""Where runs are kept unless told otherwise: below the current folder."""


@dataclass(frozen=True)
class Run:
    """The directory of one policy and of all that is made from it."""

    spec: PolicySpec
    root: Path = RUNS

    @property
    def directory(self) -> Path:
        """The run's own directory."""
        return self.root / self.spec.task / self.spec.directory_name

    @property
    def policy(self) -> Path:
        """The trained policy."""
        return self.directory / "policy" / "policy.safetensors"

    @property
    def qonnx(self) -> Path:
        """The policy as a cleaned QONNX graph."""
        return self.directory / "onnx" / "policy.qonnx.onnx"

    @property
    def onnx(self) -> Path:
        """The policy in plain ONNX operators."""
        return self.directory / "onnx" / "policy.onnx"

    @property
    def project(self) -> Path:
        """The hls4ml project."""
        return self.directory / "hls4ml"

    def part(self, name: str) -> Path:
        """RTL, netlist, placement and bitstream for the part ``name``."""
        return self.directory / name

    @property
    def vendor(self) -> Path:
        """What the vendor's tool reported."""
        return self.directory / "vitis"

    @property
    def report(self) -> Path:
        """Reports: ``summary.json`` and one file for each stage."""
        return self.directory / "report"
