"""Synthesis by the vendor's own tool, where it is installed: hls4ml's build and its report parser."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from hls4rl.artefact import write_json
from hls4rl.errors import ProjectError
from hls4rl.hls_projects.hls.convert import Description, read_description
from hls4rl.processes import run

TOOLS = {"Vitis": "vitis-run", "Vivado": "vivado_hls"}
"""The vendor's program for each of hls4ml's backends that has one."""
_LOGS = {"Vitis": ("build_stderr.log", "build_stdout.log", "vitis_hls.log"), "Vivado": ("vivado_hls.log",)}
_CAUSES = (  # what the tools write, and what it means to whoever reads it
    (r'Killed +"\$RDI_PROG"|^Killed|std::bad_alloc|out of memory',
     "it was killed, most often for want of memory: give it more, or a larger hardware.reuse_factor"),
    (r"XFORM 203-504|Stop unrolling loop",
     "the network is too large to unroll: set hardware.strategy to Resource and a larger hardware.reuse_factor"),
    (r"HLS 200-1023|Part '[^']*' is not installed",
     "its part is not installed: add the part's device files, or set hardware.hls_part to one that is"),
    (r"Common 17-345|^ERROR:.*[Ll]icen[cs]e", "no licence for its part: set hardware.hls_part to a free one"),
)

_BUILDER = """
import json, sys
import hls4ml
model = hls4ml.converters.link_existing_project(sys.argv[1])
model.config.config["OutputDir"] = sys.argv[1]
model.build(**json.loads(sys.argv[2]))
"""

REPORT = "ooc_synth_and_timing.json"


def build_with_vitis(project: Path, directory: Path) -> None:
    """Run the vendor's HLS and logic synthesis on ``project`` and write :data:`REPORT` to ``directory``.

    The report has part, lut, ff, dsp, bram (18-Kbit blocks), fmax_mhz, cycles (latency), interval (cycles
    between inferences), and under ``vendor`` all that :func:`read_report` says. Counts are those after logic
    synthesis where there are any.

    Raises:
        ProjectError: as :func:`synthesize`.
    """
    report = synthesize(project, logic_synthesis=True)
    counts = {**report, **{key: value for key, value in (report["logic_synthesis"] or {}).items() if value is not None}}
    period = report.get("EstimatedClockPeriod")
    write_json(directory / REPORT, {
        "part": read_description(project).part,
        "lut": counts.get("LUT"), "ff": counts.get("FF"), "dsp": counts.get("DSP48E", counts.get("DSP")),
        "bram": counts.get("BRAM_18K"), "fmax_mhz": round(1000 / period, 2) if period else None,
        "cycles": report.get("WorstLatency"), "interval": report.get("IntervalMax"), "vendor": report,
    })


def synthesize(project: Path, logic_synthesis: bool = False) -> dict[str, Any]:
    """Run the vendor's HLS on ``project`` in place and read its report; takes minutes.

    Args:
        project: directory written by :func:`hls4rl.hls_projects.hls.convert.write_project`.
        logic_synthesis: whether to run the vendor's logic synthesis too, whose counts are nearer the truth.

    Returns:
        See :func:`read_report`.

    Raises:
        ProjectError: the tool is missing, failed, was killed or left no report; the message names its log.
    """
    description = read_description(project)
    tool = _tool(description)
    if shutil.which(tool) is None:
        raise ProjectError(
            f"{tool} is not on PATH; source the vendor's settings64.sh, or leave TOOL=vitis away for the open flow"
        )
    # hls4ml's own default runs a C simulation on empty test data first; ours has been compared already.
    options: dict[str, Any] = {"csim": False, "synth": True, "vsynth": logic_synthesis, "reset": True}
    if description.backend == "Vitis":
        options["log_to_stdout"] = False
    if build(project, **options):  # hls4ml raises bare Exceptions, and its parser stumbles where a report is missing
        raise ProjectError(_failure(project, description, tool))
    return read_report(project)


def build(project: Path, **options: Any) -> int:
    """The status of hls4ml's ``build`` of ``project``, in a process whose end is the end of the vendor's tools."""
    return run([sys.executable, "-c", _BUILDER, str(project.resolve()), json.dumps(options)], project).returncode


def read_report(project: Path) -> dict[str, Any]:
    """The vendor tool's report as numbers, under its own names.

    Returns:
        TargetClockPeriod and EstimatedClockPeriod (ns); BestLatency, WorstLatency, IntervalMin, IntervalMax
        (cycles); LUT, FF, DSP, BRAM_18K, URAM, and Available… of each. ``logic_synthesis`` has the counts
        after logic synthesis, or None where it wasn't run. A value that the tool leaves open ("undef") is None.
        BRAM_18K counts blocks of 18 Kbit in both.

    Raises:
        ProjectError: there is no whole report; the message names the tool's log.
    """
    import hls4ml

    description = read_description(project)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = hls4ml.report.parse_vivado_report(str(project.resolve())) or {}
    except (OSError, IndexError, KeyError, AttributeError, TypeError, ValueError, ElementTree.ParseError) as error:
        raise ProjectError(_failure(project, description, _tool(description))) from error
    if "CSynthesisReport" not in found:
        raise ProjectError(_failure(project, description, _tool(description)))
    after = found.get("VivadoSynthReport")
    return {
        **_numbers(found["CSynthesisReport"]),
        "logic_synthesis": _after_logic_synthesis(after) if after else None,
    }


def was_tried(project: Path) -> bool:
    """Whether the vendor's tool was ever started on ``project``: it leaves a log at least."""
    return any((project / name).exists() for names in _LOGS.values() for name in names)


def _after_logic_synthesis(values: dict[str, str]) -> dict[str, int | float | None]:
    # The utilisation report counts tiles of two 18-Kbit blocks, which hls4ml passes on under the blocks' name.
    numbers = _numbers(values)
    tiles = numbers.get("BRAM_18K")
    return numbers if tiles is None else {**numbers, "BRAM_18K": round(2 * tiles)}


def _tool(description: Description) -> str:
    if description.backend not in TOOLS:
        raise ProjectError(
            f"no vendor flow for hls_backend '{description.backend}'; choose one of {', '.join(TOOLS)}"
        )
    return TOOLS[description.backend]


def _failure(project: Path, description: Description, tool: str) -> str:
    # A build that is killed (often for memory) leaves no report and hls4ml only prints "report not found".
    logs = [project / name for name in _LOGS[description.backend] if (project / name).is_file()]
    full = [path for path in logs if path.stat().st_size]
    where = f"see {(full or logs)[0]}" if logs else f"it left no log in {project}"
    return f"{tool} left no whole synthesis report ({_cause(full, description.part)}); {where}"


def _cause(logs: list[Path], part: str) -> str:
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in logs)
    for sign, cause in _CAUSES:
        if re.search(sign, text, re.MULTILINE):
            return cause
    error = re.search(r"^ERROR: *(.+)$", text, re.MULTILINE)
    return error[1].strip() if error else f"it failed, was killed or lacks part {part}"


def _numbers(values: dict[str, str]) -> dict[str, int | float | None]:
    return {name: _number(text) for name, text in values.items()}


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        with contextlib.suppress(ValueError, TypeError):  # an element without text is None
            return kind(text)
    return None
