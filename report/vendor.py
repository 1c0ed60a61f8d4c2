"""The open flow's figures and the vendor's, side by side, with what each of them means."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.hls_projects.hls.vitis import REPORT, TOOLS, read_report, was_tried
from hls4rl.report.sources import read_artefact
from hls4rl.report.words import FLOWS
from hls4rl.run import Run
from hls4rl.task import Hardware

_OPEN = ("part", "lut", "ff", "dsp", "bram", "fmax_mhz", "cycles", "latency_ns")


def cross_check(run: Run, open_result: Mapping[str, Any] | None, hardware: Hardware) -> dict[str, Any]:
    """``rows``, one for each source of figures, and ``note``: one line that says why the vendor's are missing."""
    rows = []
    if open_result is not None:
        rows.append(_row("open: Yosys, nextpnr", "open", {key: open_result.get(key) for key in _OPEN}))
    if not run.vendor.exists():
        return {"rows": rows, "note": _reason(run.project, hardware)}
    found = read_artefact(run.verified(run.vendor), REPORT)
    vendor = found["vendor"]
    period, cycles = vendor.get("EstimatedClockPeriod"), vendor.get("WorstLatency")
    timing = {
        "part": found["part"], "fmax_mhz": found["fmax_mhz"], "cycles": cycles,
        "latency_ns": round(period * cycles, 2) if period and cycles is not None else None,
    }
    rows.append(_row("vendor: C synthesis", "estimate", {**timing, **_counts(vendor)}))
    if vendor["logic_synthesis"]:
        rows.append(_row("vendor: logic synthesis", "logic", {**timing, **_counts(vendor["logic_synthesis"])}))
    return {"rows": rows, "note": None}


def _counts(report: Mapping[str, Any]) -> dict[str, Any]:
    return {"lut": report.get("LUT"), "ff": report.get("FF"), "dsp": report.get("DSP", report.get("DSP48E")),
            "bram": report.get("BRAM_18K")}


def _row(source: str, meaning: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {"source": source, "meaning": FLOWS[meaning], **{key: values.get(key) for key in _OPEN}}


def _reason(project: Path, hardware: Hardware) -> str:
    if was_tried(project):
        try:
            read_report(project)
        except ProjectError as error:
            return str(error)
        return "the vendor's tool has run, but its figures were not kept; run make synth with TOOL=vitis again"
    tool = TOOLS.get(hardware.hls_backend)
    if tool is None:
        return f"not run: there is no vendor flow for hls_backend {hardware.hls_backend}"
    if shutil.which(tool) is None:
        return f"not run: {tool} is not on PATH here; with AMD's tools, add TOOL=vitis to make synth"
    return "not run: add TOOL=vitis to make synth"
