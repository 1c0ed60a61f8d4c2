from __future__ import annotations

from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from random_policies import random_policy

from hls4rl.contract import FixedPoint, Sign
from hls4rl.errors import ProjectError
from hls4rl.export import export_policy, read_network
from hls4rl.export.operators import QONNX_DOMAIN
from hls4rl.export.writer import QONNX_FILE
from hls4rl.network import activate


@pytest.mark.parametrize("method", ["fp", "binaryconnect", "binarynet"])
def test_the_contract_is_read_back(method: str, tmp_path: Path) -> None:
    policy = random_policy("acrobot", method)
    export_policy(policy, tmp_path)
    network = read_network(tmp_path / QONNX_FILE)
    contract = policy.contract
    assert network.input == contract.observation
    assert [layer.activation for layer in network.layers] == [contract.layers[0].activation, None]
    assert network.logit_lsb == contract.logit_lsb
    assert (network.features, network.outputs) == (policy.features, policy.outputs)
    assert np.array_equal(network.layers[0].weight, contract.layers[0].weight.integers(policy.weights[0]))
    assert np.array_equal(network.layers[1].bias, contract.layers[1].bias.integers(policy.biases[1]))


@given(
    st.integers(-(2**40), 2**40), st.integers(-20, 4),
    st.builds(FixedPoint, st.integers(2, 20), st.integers(-8, 12), st.booleans()),
)
def test_activations_floor_and_saturate(total: int, exponent: int, kind: FixedPoint) -> None:
    exact = floor(Fraction(total) * Fraction(2.0**exponent) / Fraction(kind.lsb))
    cut = activate(np.array([total]), 2.0**exponent, kind)
    assert cut.tolist() == [min(max(exact, kind.minimum), kind.maximum)]


class Chain:
    """A hand-made QONNX graph: 2 → 3 → 2 → 2, each node of its own kind."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray[Any, Any]] = {}

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = np.array(value, dtype=np.float32)
        return name

    def quant(
        self, x: str, y: str, scale: float, bits: float, *, signed: int = 1, rounding: str = "ROUND", zero: float = 0.0
    ) -> None:
        inputs = [x, self.constant(scale), self.constant(zero), self.constant(bits)]
        self.add("Quant", inputs, y, domain=QONNX_DOMAIN, signed=signed, narrow=0, rounding_mode=rounding)

    def parameter(self, name: str, value: Any, scale: float) -> str:
        self.quant(self.constant(value), name, scale, 8.0)
        return name

    def add(self, kind: str, inputs: list[str], y: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, [y], name=f"{kind}_{y}", **attributes))

    def save(self, path: Path) -> Path:
        graph = helper.make_graph(
            self.nodes, "chain",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2])],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        onnx.save(helper.make_model(graph), path)
        return path


def chain(
    activation_rounding: str = "FLOOR", scale: float = 0.5, zero: float = 0.0, bits: float = 4.0, after: str = "Relu",
    quantised: bool = True,
) -> Chain:
    graph = Chain()
    graph.quant("x", "xq", 0.25, 4.0)
    w1 = graph.parameter("w1", [[0.5, -0.25], [1.0, 0.75], [-0.5, 0.0]], 0.25)
    graph.add("Gemm", ["xq", w1, graph.parameter("b1", [0.125, -0.5, 0.375], 0.125)], "h1", transB=1)
    graph.add(after, ["h1"], "r1")
    if quantised:
        graph.quant("r1", "a1", scale, bits, rounding=activation_rounding, zero=zero)  # signed, though never below 0
    w2 = graph.parameter("w2", [[0.5, 1.0], [-1.0, 0.25], [0.25, -0.5]], 0.25)
    graph.add("MatMul", ["a1" if quantised else "r1", w2], "m2")
    graph.add("Add", [graph.parameter("b2", [0.25, -0.25], 0.25), "m2"], "h2")
    graph.add("BipolarQuant", ["h2", graph.constant(1.0)], "a2", domain=QONNX_DOMAIN)
    w3 = [graph.constant([[1.0, -2.0], [0.0, 3.0]]), graph.constant([0.5])]
    graph.add("BipolarQuant", w3, "w3", domain=QONNX_DOMAIN)
    graph.add("MatMul", ["a2", "w3"], "y")
    return graph


def test_a_chain_of_every_kind_of_node(tmp_path: Path) -> None:
    network = read_network(chain().save(tmp_path / "chain.onnx"))
    assert network.input == FixedPoint(4, 2)
    assert [layer.activation for layer in network.layers] == [FixedPoint(3, 2, signed=False), Sign(), None]
    assert network.logit_lsb == 0.5
    for first, second in np.ndindex(16, 16):
        x = [Fraction(first - 8, 4), Fraction(second - 8, 4)]
        h1 = [x[0] / 2 - x[1] / 4 + Fraction(1, 8), x[0] + x[1] * 3 / 4 - Fraction(1, 2), -x[0] / 2 + Fraction(3, 8)]
        a1 = [Fraction(min(floor(max(value, Fraction(0)) * 2), 7), 2) for value in h1]
        h2 = [a1[0] / 2 - a1[1] + a1[2] / 4 + Fraction(1, 4), a1[0] + a1[1] / 4 - a1[2] / 2 - Fraction(1, 4)]
        a2 = [1 if value >= 0 else -1 for value in h2]
        expected = [a2[0] + a2[1], -a2[0] + a2[1]]
        assert network.infer(np.array([[first - 8, second - 8]])).tolist() == [expected]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"activation_rounding": "CEIL"}, r"Quant_a1' \(Quant\) rounds by CEIL"),
        ({"scale": 0.3}, r"Quant_a1' \(Quant\) has scale 0.3"),
        ({"zero": 1.0}, r"Quant_a1' \(Quant\) has a zero point"),
        ({"bits": 1.0}, r"Quant_a1' \(Quant\) has 1 bits"),
        ({"bits": 4.5}, r"Quant_a1' \(Quant\) has 4.5 bits"),
        ({"after": "Tanh"}, r"Tanh_r1' \(Tanh\) is not supported"),
        ({"scale": 2.0**60}, r"layer 0 needs integers of more than 62 bits"),
        ({"scale": 2.0**57}, r"layer 1 needs integers of more than 62 bits"),
        ({"quantised": False}, r"Relu_r1' \(Relu\) is not followed by a Quant"),
    ],
)
def test_anything_else_is_refused_by_name(changes: dict[str, Any], named: str, tmp_path: Path) -> None:
    path = chain(**changes).save(tmp_path / "chain.onnx")
    with pytest.raises(ProjectError, match=named) as caught:
        read_network(path)
    assert "\n" not in str(caught.value)


def test_real_valued_weights_are_refused(tmp_path: Path) -> None:
    graph = chain()
    graph.nodes[-1].input[1] = graph.constant([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(ProjectError, match="no quantised constant"):
        read_network(graph.save(tmp_path / "chain.onnx"))


def test_branches_are_refused(tmp_path: Path) -> None:
    graph = chain()
    graph.add("Relu", ["h1"], "loose")
    with pytest.raises(ProjectError, match="'h1' has 2 users"):
        read_network(graph.save(tmp_path / "chain.onnx"))


def test_a_circle_is_refused_at_once(tmp_path: Path) -> None:
    graph = chain()
    relu = next(node for node in graph.nodes if node.op_type == "Relu")
    relu.output[0] = relu.input[0]
    with pytest.raises(ProjectError, match="'h1' leads back to itself"):
        read_network(graph.save(tmp_path / "chain.onnx"))
