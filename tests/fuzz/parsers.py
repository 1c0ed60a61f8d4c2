"""Every parser that we own, on damaged and on hostile input: an answer or a ProjectError in one line, and soon."""

from __future__ import annotations

import contextlib
import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from imported_models import QonnxGraph, keras_model
from random_policies import random_policy

import hls4rl.hls_projects.fpga.parts
from hls4rl.artefact import METADATA, Artefact
from hls4rl.checked import with_checksum
from hls4rl.contract import FixedPoint
from hls4rl.errors import ProjectError
from hls4rl.export.graph import read_network
from hls4rl.export.imported.original import Original
from hls4rl.export.model_file import save_model
from hls4rl.export.network_writer import network_model
from hls4rl.firmware import protocol
from hls4rl.firmware.boards import BOARD_DIRECTORY, load_board
from hls4rl.firmware.link import Expected, Link
from hls4rl.firmware.protocol import ActionFormat
from hls4rl.hls_projects.fpga.parts import PART_DIRECTORY, load_part
from hls4rl.hls_projects.hls.convert import DESCRIPTION, read_description
from hls4rl.hls_projects.hls.vitis import read_report
from hls4rl.hls_projects.rtl.pipelined import INFO, read_info
from hls4rl.hls_projects.simulation.gates import Circuit
from hls4rl.hls_projects.summary import KEYS, load_summary
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.policy import load_policy
from hls4rl.task import TASK_DIRECTORY, load_task

SECONDS = 10
"""Time for one input; more is a hang."""

_WORDS = (
    b"[]", b"{}", b"=", b'"', b"'''", b"null", b"true", b"nan", b"inf", b"-inf", b"1e999", b"0", b"-1", b"9" * 400,
    b"9" * 5000, b"[" * 2000, b"{\"a\":" * 2000, b"\x00", b"\xff\xfe", b"\xf0\x9f\x92\xa9", b"\n", b"[a.b.c]\n", b"..",
    b"/etc/passwd", b"1979-05-27", b"3.5", b"<x>", b"</", b"<!DOCTYPE a [<!ENTITY b \"b\">]>", b"&b;", b"undef",
    b"\x80\x04\x95",
)


def mutants(seeds: list[bytes], rng: np.random.Generator, count: int) -> Iterator[bytes]:
    """Damaged copies of ``seeds``: flipped, cut, doubled, spliced, with hostile words between; at times mere noise."""
    for _ in range(count):
        data = bytearray(seeds[rng.integers(len(seeds))])
        if rng.random() < 0.02:
            data = bytearray(rng.bytes(int(rng.integers(0, 200))))
        for _ in range(int(rng.choice([1, 1, 1, 2, 3, 5]))):
            _damage(data, seeds, rng)
        yield bytes(data)


def _damage(data: bytearray, seeds: list[bytes], rng: np.random.Generator) -> None:
    size = len(data)
    start = int(rng.integers(size + 1))
    end = min(size, start + int(rng.integers(1, 40)))
    kind = int(rng.integers(8))
    if kind == 0 and size:
        data[start % size] ^= 1 << int(rng.integers(8))
    elif kind == 1 and size:
        data[start % size] = int(rng.integers(256))
    elif kind == 2:
        del data[start:end]
    elif kind == 3:
        data[start:start] = data[start:end]
    elif kind == 4:
        del data[start:]
    elif kind == 5:
        other = seeds[rng.integers(len(seeds))]
        at = int(rng.integers(len(other) + 1))
        data[start:end] = other[at:at + 60]
    elif kind == 6:
        data[start:end] = _WORDS[rng.integers(len(_WORDS))]
    else:  # a number becomes another one
        digits = [index for index, byte in enumerate(data[:4000]) if 48 <= byte <= 57]
        if digits:
            at = digits[rng.integers(len(digits))]
            data[at:at + 1] = _WORDS[int(rng.integers(5, 15))]


class Parser:
    """One parser: whole files that it reads, and how it is called on another one."""

    def __init__(
        self, seeds: list[bytes], file: Path, read: Callable[[], object],
        complete: Callable[[bytes], bytes] = lambda data: data,
    ) -> None:
        # ``complete`` makes a file of what was damaged: with a right checksum, damage gets to what lies behind it.
        self.seeds, self.file, self.read, self.complete = seeds, file, read, complete

    def check(self, data: bytes) -> bool:
        """Whether ``data`` was accepted.

        Raises:
            AssertionError: a refusal of more than one line. Whatever else the parser raises goes through.
        """
        self.file.write_bytes(self.complete(data))
        try:
            self.read()
        except ProjectError as error:
            if "\n" in str(error) or len(str(error)) > 2000:
                raise AssertionError(f"a refusal that is no line: {str(error)[:300]}") from error
            return False
        return True


def parsers(folder: Path) -> dict[str, Parser]:
    """All parsers, with their files below ``folder``."""
    policy, task, board, part = (folder / name for name in ("p.safetensors", "t.toml", "b.toml", "part.toml"))
    project, rtl = folder / "project", folder / "rtl"
    for place in (project, rtl):
        place.mkdir()
    report = _report_file(project)
    return {
        "task file": Parser(_files(TASK_DIRECTORY), task, lambda: load_task(str(task))),
        "board file": Parser(_files(BOARD_DIRECTORY), board, lambda: load_board(str(board))),
        "part file": Parser(_files(PART_DIRECTORY), part, lambda: _load_part(part)),
        "policy": Parser(_policies(folder), policy, lambda: load_policy(policy)),
        "QONNX graph": Parser(_graphs(folder), folder / "g.onnx", lambda: read_network(folder / "g.onnx")),
        "imported model": Parser(_models(folder), folder / "m.onnx", lambda: Original.load(folder / "m.onnx")),
        "circuit": Parser(_circuits(), folder / "c.json", lambda: _clocked(folder / "c.json"), with_checksum),
        "RTL ports": Parser([json.dumps(_INFO).encode()], rtl / INFO, lambda: read_info(rtl)),
        "hls4ml project": Parser([_DESCRIPTION], project / DESCRIPTION, lambda: read_description(project)),
        "artefact's metadata": Parser(
            [b'{"inputs": {"a": 1}, "versions": {}, "files": {"x": "0"}}'], folder / METADATA,
            lambda: Artefact(folder, {"a": 1}).is_current, with_checksum,
        ),
        "summary": Parser([json.dumps(dict.fromkeys((*KEYS, "skipped"), 1)).encode()], folder / "summary.json",
                          lambda: load_summary(folder / "summary.json")),
        "vendor's report": Parser([_CSYNTH], report, lambda: _vendor_report(project)),
        "link frames": Parser(_frames(), folder / "frames", lambda: _answers((folder / "frames").read_bytes())),
    }


SHARES = {
    "task file": 12, "board file": 10, "part file": 6, "policy": 12, "QONNX graph": 10, "imported model": 6,
    "circuit": 8, "RTL ports": 4, "hls4ml project": 5, "artefact's metadata": 4, "summary": 4, "vendor's report": 4,
    "link frames": 25,
}
"""How many of 110 inputs each parser gets."""


def fuzz_parser(name: str, folder: Path, count: int, start: int = 0) -> dict[str, int]:
    """Feed ``count`` mutants to the parser ``name``; returns how many it read and how many it refused.

    Raises:
        AssertionError: it raised something else, or hung; the input lies in ``folder`` as ``crash-<name>``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    accepted = 0
    with tempfile.TemporaryDirectory(dir=folder, prefix="work-") as work:
        parser = parsers(Path(work))[name]
        for data in parser.seeds:
            assert parser.check(data), f"{name} refuses a good file"
        for data in mutants(parser.seeds, np.random.default_rng([start, len(name)]), count):
            try:
                with _limited():
                    accepted += parser.check(data)
            except BaseException as error:
                crash = folder / f"crash-{name.replace(' ', '-')}"
                crash.write_bytes(data)
                raise AssertionError(f"{name}: {type(error).__name__}: {str(error)[:300]}; input: {crash}") from error
    return {"read": accepted, "refused": count - accepted}


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def hang(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


_INFO = {
    "features": 2, "observation_bits": 3, "outputs": 2, "action_widths": [1], "action_signed": False, "cycles": 2,
}
_DESCRIPTION = json.dumps({
    "backend": "Vitis", "part": "xc7z020", "features": 4, "outputs": 2,
    "output": {"type": "Argmax", "groups": []}, "observation_lsb": 0.25, "logit_lsb": 0.5,
    "weights": ["w2.txt", "b2.txt"],
}).encode()
_CSYNTH = b"""<profile><UserAssignments><TargetClockPeriod>20.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>12.5</EstimatedClockPeriod></SummaryOfTimingAnalysis>
<SummaryOfOverallLatency><Best-caseLatency>3</Best-caseLatency><Average-caseLatency>3</Average-caseLatency>
<Worst-caseLatency>4</Worst-caseLatency><Interval-min>1</Interval-min><Interval-max>undef</Interval-max>
</SummaryOfOverallLatency></PerformanceEstimates><AreaEstimates><Resources><BRAM_18K>0</BRAM_18K><DSP>7</DSP><FF>210</FF>
<LUT>1834</LUT><URAM>0</URAM></Resources><AvailableResources><BRAM_18K>280</BRAM_18K><DSP>220</DSP><FF>106400</FF>
<LUT>53200</LUT><URAM>0</URAM></AvailableResources></AreaEstimates></profile>
"""


def _files(directory: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(directory.glob("*.toml"))]


def _load_part(path: Path) -> object:
    before = hls4rl.hls_projects.fpga.parts.PART_DIRECTORY
    hls4rl.hls_projects.fpga.parts.PART_DIRECTORY = path.parent
    try:
        return load_part(path.stem)
    finally:
        hls4rl.hls_projects.fpga.parts.PART_DIRECTORY = before


def _policies(folder: Path) -> list[bytes]:
    seeds = []
    for name in ("fp", "binarynet"):
        random_policy("cartpole", name, hidden=3).save(folder / "seed.safetensors")
        seeds.append((folder / "seed.safetensors").read_bytes())
    return seeds


def _graphs(folder: Path) -> list[bytes]:
    weight, bias = np.array([[1, -2], [3, 4]]), np.array([1, -1])
    first = Layer(weight, 0.5, bias, 0.25, FixedPoint(4, 4, signed=False), "ROUND")
    network = IntegerNetwork(FixedPoint(4, 3), (first, Layer(weight, 1.0, bias, 1.0, None)))
    save_model(network_model(network), folder / "seed.onnx", {})
    return [(folder / "seed.onnx").read_bytes()]


def _models(folder: Path) -> list[bytes]:
    paths = [keras_model(folder / "keras.onnx")]
    small = QonnxGraph(2).quant(0.3, 3.0).dense([[1, -1], [2, 0]], 1.0, 3.0, [0.3, 0.1]).node("Tanh").quant(0.5, 3.0)
    paths.append(small.dense([[1, -1], [2, 0]], 1.0, 3.0).save(folder / "small.onnx"))
    # Without names and values that no reader looks at, damage hits what matters.
    assert all(onnx.load(path).graph.node for path in paths)
    return [path.read_bytes() for path in paths]


def _circuits() -> list[bytes]:
    gates = [[2, 4, 2, 3, 0], [1, 5, 4, 0, 0], [6, 6, 4, 5, 2]]
    ports = {"in_valid": [2], "observation": [3], "action": [6], "out_valid": [7], "clk": [8]}
    return [json.dumps({"nets": 9, "gates": gates, "flip_flops": [[7, 2]], "ports": ports, "sources": {}}).encode()]


def _clocked(path: Path) -> object:
    circuit = Circuit.load(path)
    inputs = {
        name: np.ones((2, len(circuit.ports[name])), dtype=np.uint64) for name in ("in_valid",) if name in circuit.ports
    }
    outputs = [name for name in ("action", "out_valid") if name in circuit.ports]
    return circuit.run(inputs, outputs, 2) if inputs and outputs else None


def _report_file(project: Path) -> Path:
    (project / DESCRIPTION).write_bytes(_DESCRIPTION)
    (project / "project.tcl").write_text(
        'variable project_name\nset project_name "policy"\nvariable backend\nset backend "vitis"\n', encoding="utf-8"
    )
    report = project / "policy_prj" / "solution1" / "syn" / "report" / "policy_csynth.xml"
    report.parent.mkdir(parents=True)
    (project / "policy_prj" / "hls.app").write_text(
        '<project xmlns="com.autoesl.autopilot.project" top="policy">\n'
        '<solutions><solution name="solution1"/></solutions>\n</project>\n', encoding="utf-8",
    )
    return report


def _vendor_report(project: Path) -> object:
    (project / DESCRIPTION).write_bytes(_DESCRIPTION)
    return read_report(project)


def _frames() -> list[bytes]:
    action = protocol.seal(b"\x82\x01\x00\x01")
    identity = protocol.seal(b"\x81\x02\x00" + protocol._IDENTITY_BODY.pack(1, 4, 3, 1, 77, 2, 2, 5, 0, 0))
    return [action, identity, action + identity + action, identity * 5]


class _Wire:
    """A serial port that says what it's given, and then nothing."""

    timeout = 0.0

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def in_waiting(self) -> int:
        return len(self._data)

    def read(self, count: int) -> bytes:
        part, self._data = self._data[:count], self._data[count:]
        return part


def _answers(data: bytes) -> object:
    link: Any = Link("none", 115200, Expected(4, 3, ActionFormat((1,), choices=(2,)), 77))
    link._serial = _Wire(data)
    actions = np.full((4, 1), -1, dtype=np.int64)
    link._patience.renew()
    flight = {1: 0, 2: 1}
    while link._serial.in_waiting:
        link._receive(flight, actions)
    for frame in link._frames(data):
        link._good_answer(frame)
    assert set(np.unique(actions)) <= {-1, 0, 1}
    return actions
