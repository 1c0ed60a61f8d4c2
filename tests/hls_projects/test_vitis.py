"""The vendor's tools aren't here. What is tested: our side of the call, with a stand-in on PATH that leaves a
project as Vitis HLS 2023.1 leaves it (elements and order as in its real csynth.xml), fails, dies or says nothing."""

from __future__ import annotations

import dataclasses
import json
import stat
from pathlib import Path

import pytest
from random_policies import random_policy

from export import export_policy
from hls_projects.convert import write_project
from hls_projects.vitis import REPORT, build_with_vitis, read_report, synthesize
from train.errors import ProjectError
from train.task import Hardware

CSYNTH = """<profile>
<ReportVersion>
<Version>2023.1</Version>
</ReportVersion>
<UserAssignments>
<unit>ns</unit>
<ProductFamily>zynq</ProductFamily>
<Part>xc7z020-clg400-1</Part>
<TopModelName>policy</TopModelName>
<TargetClockPeriod>20.00</TargetClockPeriod>
<ClockUncertainty>5.40</ClockUncertainty>
<FlowTarget>vivado</FlowTarget>
</UserAssignments>
<PerformanceEstimates>
<PipelineType>yes</PipelineType>
<SummaryOfTimingAnalysis>
<unit>ns</unit>
<EstimatedClockPeriod>12.500</EstimatedClockPeriod>
</SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<unit>clock cycles</unit>
<Best-caseLatency>3</Best-caseLatency>
<Average-caseLatency>3</Average-caseLatency>
<Worst-caseLatency>4</Worst-caseLatency>
<Interval-min>1</Interval-min>
<Interval-max>undef</Interval-max>
</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources>
<BRAM_18K>0</BRAM_18K>
<{dsp}>7</{dsp}>
<FF>210</FF>
<LUT>1834</LUT>
<URAM>0</URAM>
</Resources>
<AvailableResources>
<BRAM_18K>280</BRAM_18K>
<{dsp}>220</{dsp}>
<FF>106400</FF>
<LUT>53200</LUT>
<URAM>0</URAM>
</AvailableResources>
</AreaEstimates>
</profile>
"""
SOLUTION = """<project xmlns="com.autoesl.autopilot.project" top="policy">
<solutions><solution name="solution1"/></solutions>
</project>
"""
UTILISATION = """1. Slice Logic
| Slice LUTs*             |  905 |     0 |          0 |     53200 |  1.70 |
| Slice Registers         |  120 |     0 |          0 |    106400 |  0.11 |
2. Memory
| Block RAM Tile |    0 |     0 |          0 |       140 |  0.00 |
3. DSP
| DSPs      |    5 |     0 |          0 |       220 |  2.27 |
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    export_policy(random_policy("cartpole", "fp"), tmp_path)
    write_project(tmp_path / "policy.qonnx.onnx", Hardware(), tmp_path / "project")
    return tmp_path / "project"


def leave_reports(project: Path, dsp: str = "DSP", application: str = "hls.app") -> None:
    reports = project / "policy_prj" / "solution1" / "syn" / "report"
    reports.mkdir(parents=True)
    (project / "policy_prj" / application).write_text(SOLUTION)
    (reports / "policy_csynth.xml").write_text(CSYNTH.format(dsp=dsp))


def stand_in(directory: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir(exist_ok=True)
    tool = directory / name
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_the_report_becomes_numbers(project: Path) -> None:
    leave_reports(project)
    report = read_report(project)
    assert report == {
        "TargetClockPeriod": 20.0, "EstimatedClockPeriod": 12.5, "BestLatency": 3, "WorstLatency": 4,
        "IntervalMin": 1, "IntervalMax": None,
        "BRAM_18K": 0, "DSP": 7, "FF": 210, "LUT": 1834, "URAM": 0,
        "AvailableBRAM_18K": 280, "AvailableDSP": 220, "AvailableFF": 106400, "AvailableLUT": 53200, "AvailableURAM": 0,
        "logic_synthesis": None,
    }


def test_vivado_names_its_multipliers_otherwise(project: Path) -> None:
    leave_reports(project, dsp="DSP48E", application="vivado_hls.app")
    assert read_report(project)["DSP"] == 7


def test_the_whole_call(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    template = tmp_path / "template"
    template.mkdir()
    leave_reports(template)
    (template / "vivado_synth.rpt").write_text(UTILISATION)
    stand_in(tmp_path / "bin", "vitis-run", f'echo "$@"; cp -r {template}/. .', monkeypatch)
    capfd.readouterr()
    build_with_vitis(project, tmp_path)
    assert capfd.readouterr().out == ""
    report = json.loads((tmp_path / REPORT).read_text())
    assert report.pop("vendor")["logic_synthesis"] == {"LUT": 905, "FF": 120, "BRAM_18K": 0, "DSP48E": 5}
    assert report == {
        "part": Hardware().hls_part, "lut": 905, "ff": 120, "dsp": 5, "bram": 0, "fmax_mhz": 80.0, "cycles": 4,
        "interval": None,
    }
    assert (project / "build_stdout.log").read_text() == "--tcl build_prj.tcl --mode hls\n"
    options = (project / "build_opt.tcl").read_text().split()
    assert options[options.index("csim") + 1] == "0"
    assert options[options.index("vsynth") + 1] == "1"


@pytest.mark.parametrize(
    ("script", "log"),
    [
        ("echo 'no licence' >&2; exit 1", "build_stderr.log"),
        ("echo working; kill -9 $$", "build_stderr.log"),  # the shell says there that it was killed
        ("echo done", "build_stdout.log"),
        ("mkdir policy_prj; echo half", "build_stdout.log"),
    ],
)
def test_a_tool_that_fails_is_told_with_its_log(
    script: str, log: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "bin", "vitis-run", script, monkeypatch)
    with pytest.raises(ProjectError, match=rf"^vitis-run left no whole synthesis report .*see .*{log}$") as caught:
        synthesize(project)
    assert "\n" not in str(caught.value)


def test_an_absent_tool_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ProjectError, match=r"vitis-run is not on PATH; source the vendor's settings64.sh"):
        synthesize(project)


def test_only_the_vendors_backends_have_a_flow(tmp_path: Path) -> None:
    export_policy(random_policy("cartpole", "fp"), tmp_path)
    hardware = dataclasses.replace(Hardware(), hls_backend="Quartus")
    write_project(tmp_path / "policy.qonnx.onnx", hardware, tmp_path / "project")
    with pytest.raises(ProjectError, match="no vendor flow for hls_backend 'Quartus'"):
        synthesize(tmp_path / "project")
