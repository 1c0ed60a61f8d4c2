"""The vendor's tools aren't here. What is tested: our side of the call, with a stand-in on PATH that leaves a
project as the tools leave it, fails, dies or says nothing. Elements, tables and their order are those of real reports:
csynth.xml of Vivado HLS 2019.2.1, Vitis HLS 2023.1 and 2025.1, vivado_synth.rpt of Vivado 2020.1 and 2022.2."""

from __future__ import annotations

import dataclasses
import json
import shutil
import stat
from pathlib import Path

import pytest
from random_policies import random_policy

from hls4rl.errors import ProjectError
from hls4rl.export import export_policy
from hls4rl.hls_projects.hls.convert import write_project
from hls4rl.hls_projects.hls.vitis import REPORT, build_with_vitis, read_report, synthesize, was_tried
from hls4rl.task import Hardware

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

NEWER_CSYNTH = CSYNTH.replace("2023.1", "2025.1").replace(
    "<Interval-min>", "<PipelineInitiationInterval>1</PipelineInitiationInterval>\n<PipelineDepth>5</PipelineDepth>\n"
    "<Interval-min>"
).replace(
    "</PerformanceEstimates>", "<SummaryOfViolations>\n<IssueType>-</IssueType>\n</SummaryOfViolations>\n"
    "</PerformanceEstimates>"
)
OLDER_CSYNTH = CSYNTH.replace("2023.1", "2019.2.1").replace("<FlowTarget>vivado</FlowTarget>\n", "").replace(
    "<Interval-min>", "<DataflowPipelineThroughput>\n<range>\n<min>1</min>\n<max>4</max>\n</range>\n"
    "</DataflowPipelineThroughput>\n<Interval-min>"
)
ULTRASCALE = """1. CLB Logic
1.1 Summary of Registers by Type
2. BLOCKRAM
3. ARITHMETIC
10. Instantiated Netlists
13. SLR CLB Logic and Dedicated Block Utilization

1. CLB Logic
------------
|          Site Type         |  Used  | Fixed | Prohibited | Available | Util% |
| CLB LUTs*                  |   1437 |     0 |          0 |    871680 |  0.16 |
|   LUT as Logic             |   1437 |     0 |          0 |    871680 |  0.16 |
| CLB Registers              |    971 |     0 |          0 |   1743360 |  0.06 |
* Warning! The Final LUT count is typically lower.

1.1 Summary of Registers by Type
| 12     |          Yes |         Set |            - |

2. BLOCKRAM
-----------
| Block RAM Tile    |  2.5 |     0 |          0 |      1344 |  0.19 |
|   RAMB36/FIFO*    |    2 |     0 |          0 |      1344 |  0.15 |
|   RAMB18          |    1 |     0 |          0 |      2688 |  0.04 |
| URAM              |    0 |     0 |          0 |       640 |  0.00 |

3. ARITHMETIC
-------------
| DSPs           |   58 |     0 |          0 |      5952 |  0.97 |
|   DSP48E2 only |   58 |       |            |           |       |

9. Black Boxes
--------------

13. SLR CLB Logic and Dedicated Block Utilization
-------------------------------------------------
| CLB LUTs                   |    0 |    0 |   0.00 |   0.00 |
| Block RAM Tile             |    0 |    0 |   0.00 |   0.00 |
| DSPs                       |    0 |    0 |   0.00 |   0.00 |
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    export_policy(random_policy("cartpole", "fp"), tmp_path)
    write_project(tmp_path / "policy.qonnx.onnx", Hardware(), tmp_path / "project")
    return tmp_path / "project"


def leave_reports(project: Path, dsp: str = "DSP", application: str = "hls.app", csynth: str = CSYNTH) -> None:
    reports = project / "policy_prj" / "solution1" / "syn" / "report"
    reports.mkdir(parents=True)
    (project / "policy_prj" / application).write_text(SOLUTION)
    (reports / "policy_csynth.xml").write_text(csynth.format(dsp=dsp))


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


@pytest.mark.parametrize(
    ("csynth", "dsp", "application"),
    [(NEWER_CSYNTH, "DSP", "hls.app"), (OLDER_CSYNTH, "DSP48E", "vivado_hls.app")],
)
def test_reports_of_other_releases_say_the_same(project: Path, csynth: str, dsp: str, application: str) -> None:
    leave_reports(project)
    usual = read_report(project)
    shutil.rmtree(project / "policy_prj")
    leave_reports(project, dsp, application, csynth)
    assert read_report(project) == usual


def test_counts_after_logic_synthesis_on_ultrascale(project: Path) -> None:
    leave_reports(project)
    (project / "vivado_synth.rpt").write_text(ULTRASCALE)
    # 2.5 tiles are five blocks of 18 Kbit.
    assert read_report(project)["logic_synthesis"] == {"LUT": 1437, "FF": 971, "BRAM_18K": 5, "URAM": 0, "DSP48E": 58}


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ('rdiArgs.sh: line 280:  2555 Killed                  "$RDI_PROG" "$@"\n', "killed, most often"),
        ("INFO: fine\nERROR: [XFORM 203-504] Stop unrolling loop 'Product'\n", "too large to unroll"),
        ("ERROR: [HLS 200-1023] Part 'xc7z020clg400-1' is not installed.\n", "its part is not installed"),
        ("INFO: Got license\nERROR: [Common 17-345] A valid license was not found\n", "no licence for its part"),
        ("INFO: Got license for HLS\nERROR: [HLS 207-3777] use of undeclared identifier\n", "[HLS 207-3777] use of"),
        ("INFO: Got license for HLS\n", "it failed, was killed or lacks part xc7z020clg400-1"),
    ],
)
def test_the_log_says_why_there_is_no_report(project: Path, log: str, cause: str) -> None:
    assert not was_tried(project)
    (project / "build_stdout.log").write_text(log)
    assert was_tried(project)
    with pytest.raises(ProjectError, match=r"^vitis-run left no whole .* \(.*see .*build_stdout.log$") as told:
        read_report(project)
    assert cause in str(told.value)


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
