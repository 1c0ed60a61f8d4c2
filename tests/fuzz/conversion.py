"""Properties of the conversion: whatever the network, every flow from its QONNX graph gives the same integers."""

from __future__ import annotations

import ctypes
import json
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from fuzz.bundle import compile_bundle
from fuzz.networks import imported_graphs, integer_networks, observations
from hypothesis import strategies as st
from imported_models import QonnxGraph

from hls4rl.contract import FixedPoint, IntArray, MultiplyShift, Sign, Table, Values
from hls4rl.errors import ProjectError
from hls4rl.export.graph import read_network
from hls4rl.export.imported.original import Original
from hls4rl.export.lowering import lower
from hls4rl.export.model_file import Units, save_model
from hls4rl.export.network_writer import network_model
from hls4rl.export.onnxruntime_backend import OnnxRuntimeBackend
from hls4rl.export.qonnx_backend import QonnxBackend
from hls4rl.hls_projects.hls.convert import write_project
from hls4rl.hls_projects.rtl.pipelined import _Core, _cores, write_rtl
from hls4rl.hls_projects.simulation.pipelined import RtlBackend, build_rtl_model
from hls4rl.network import IntegerNetwork
from hls4rl.task import Hardware


def files_keep_the_integers(network: IntegerNetwork) -> None:
    """Written as QONNX and as plain ONNX, read back and run: the integers of fractions done by hand."""
    rows = observations(network)
    expected = network.infer(rows)
    for row in (*range(3), -1):
        assert _by_fractions(network, rows[row]) == expected[row].tolist()
    with tempfile.TemporaryDirectory() as folder:
        qonnx, plain = _written(network, Path(folder))
        again = read_network(qonnx)
        assert np.array_equal(again.infer(rows) * Fraction(again.logit_lsb), expected * Fraction(network.logit_lsb))
        assert again.output == network.output
        for answer in (QonnxBackend(qonnx).infer(rows), OnnxRuntimeBackend(plain).infer(rows)):
            assert np.array_equal(answer.logits, expected)
            assert np.array_equal(answer.actions, network.output.decide(expected))


def rtl_keeps_the_integers(network: IntegerNetwork) -> None:
    """Both cores' traces, which the Verilog is written from, in alkaid's exact interpreter."""
    rows = observations(network)
    expected = network.infer(rows)
    core, check, widths = _cores(network, 1)
    actions = network.output.decide(expected)
    assert np.array_equal(_actions(network, _interpreted(core, rows)), actions)
    results = _interpreted(check, rows)
    assert np.array_equal(_actions(network, results[:, :len(widths)]), actions)
    assert np.array_equal(results[:, len(widths):], expected)


def verilog_keeps_the_integers(network: IntegerNetwork) -> None:
    """The Verilog of both cores, elaborated by Yosys and simulated gate by gate, clock by clock."""
    rows = observations(network)
    expected = network.infer(rows)
    with tempfile.TemporaryDirectory() as folder:
        write_rtl(network, Path(folder), 1 + network.features % 4)
        build_rtl_model(Path(folder))
        answer = RtlBackend(Path(folder)).infer(rows)
    assert np.array_equal(answer.logits, expected)
    assert np.array_equal(answer.actions, network.output.decide(expected))


def csim_keeps_the_integers(networks: Sequence[IntegerNetwork]) -> None:
    """hls4ml's C++ of several networks, compiled at once."""
    with tempfile.TemporaryDirectory() as folder:
        projects = []
        for index, network in enumerate(networks):
            place = Path(folder) / f"p{index}"
            place.mkdir()
            write_project(_written(network, place)[0], Hardware(), place / "project")
            projects.append(place / "project")
        for network, infer in zip(networks, compile_bundle(projects), strict=True):
            rows = observations(network)
            assert np.array_equal(_called(infer, rows, network.outputs), network.infer(rows))


def imported_models_keep_their_integers(graph: QonnxGraph) -> None:
    """Anybody's model is folded without changing a result, or refused in one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = graph.save(Path(folder) / "model.onnx")
        try:
            original = Original.load(path)
        except ProjectError as error:
            if "\n" in str(error):
                raise AssertionError("a refusal of more than one line") from error
            return
        original.judged(48)
        files_keep_the_integers(original.folded.network)


Property = tuple[Callable[..., None], st.SearchStrategy[object], int]
PROPERTIES: dict[str, Property] = {
    "QONNX, ONNX Runtime and fractions": (files_keep_the_integers, integer_networks(), 3000),
    "RTL traces": (rtl_keeps_the_integers, integer_networks(12), 3000),
    "Verilog gates": (verilog_keeps_the_integers, integer_networks(6), 60),
    "hls4ml C simulation": (csim_keeps_the_integers, st.lists(integer_networks(10), min_size=10, max_size=10), 50),
    "imported models": (imported_models_keep_their_integers, imported_graphs(), 3000),
}
"""Property, strategy, and cases of a nightly run (for the C simulation: lists of 10 networks)."""


def _written(network: IntegerNetwork, folder: Path) -> tuple[Path, Path]:
    model = network_model(network)
    properties = Units(network.input.lsb, network.logit_lsb, network.output).properties
    save_model(model, folder / "network.qonnx.onnx", properties)
    save_model(lower(model), folder / "network.onnx", properties)
    return folder / "network.qonnx.onnx", folder / "network.onnx"


def _interpreted(core: _Core, rows: IntArray) -> IntArray:
    outputs = core._outputs
    result = np.zeros((len(rows), len(outputs)), dtype=np.int64)
    traced = [index for index, value in enumerate(outputs) if not isinstance(value, int)]
    for index, value in enumerate(outputs):
        if isinstance(value, int):
            result[:, index] = value
    if traced:
        inputs = np.concatenate([rows, np.ones((len(rows), 1), dtype=np.int64)], axis=1)
        result[:, traced] = core._comb.predict(inputs.astype(np.float64))
    return result


def _actions(network: IntegerNetwork, results: IntArray) -> IntArray:
    """The action's integers of what a core gives: the bits of each choice, or the integers themselves."""
    if isinstance(network.output, Values):
        return results
    ends = np.cumsum([kind.bits for kind in network.action_types])
    return np.stack([bits @ (1 << np.arange(bits.shape[1])) for bits in np.split(results, ends[:-1], axis=1)], axis=1)


def _called(infer: Callable[..., None], rows: IntArray, actions: int) -> IntArray:
    logits = np.empty((len(rows), actions), dtype=np.int64)
    rows = np.ascontiguousarray(rows)
    infer(ctypes.c_void_p(rows.ctypes.data), ctypes.c_void_p(logits.ctypes.data), ctypes.c_int64(len(rows)))
    return logits


def _by_fractions(network: IntegerNetwork, row: IntArray) -> list[int]:
    """The network's definition in fractions: no integer tricks shared with the code under test."""
    values = [Fraction(int(item)) * Fraction(network.input.lsb) for item in row]
    lsb = network.input.lsb
    for layer in network.layers:
        unit, lsb = Fraction(layer.sum_lsb(lsb)), layer.result_lsb(lsb)
        sums = [
            sum((int(w) * Fraction(layer.weight_lsb) * x for w, x in zip(weights, values, strict=True)), Fraction(0))
            + int(bias) * Fraction(layer.bias_lsb)
            for weights, bias in zip(layer.weight, layer.bias, strict=True)
        ]
        kind = layer.activation
        if isinstance(kind, Sign):
            values = [Fraction(1 if item >= 0 else -1) for item in sums]
        elif isinstance(kind, FixedPoint | Table):
            cut = kind.input if isinstance(kind, Table) else kind
            steps = [item / Fraction(cut.lsb) for item in sums]
            whole = [round(item) if layer.rounding == "ROUND" else item.__floor__() for item in steps]
            whole = [min(max(item, cut.minimum), cut.maximum) for item in whole]
            if isinstance(kind, Table):
                whole = [kind.values[item - cut.minimum] for item in whole]
            values = [item * Fraction(kind.lsb) for item in whole]
        elif isinstance(kind, MultiplyShift):
            scaled = [
                ((item / unit * factor + more) / 2**kind.shift).__floor__()
                for item, factor, more in zip(sums, kind.multiplier, kind.addend, strict=True)
            ]
            values = [min(max(item, kind.low), kind.high) * Fraction(kind.lsb) for item in scaled]
        else:
            values = sums
    logits = [item / Fraction(network.logit_lsb) for item in values]
    assert all(item.denominator == 1 for item in logits), json.dumps([str(item) for item in logits])
    return [int(item) for item in logits]
