"""QONNX models as other people export them: with Brevitas' own quantisers, and as QKeras' converter writes them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from hls4rl.export.operators import QONNX_DOMAIN

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from brevitas import quant
    from brevitas.export import export_qonnx
    from brevitas.nn import QuantHardTanh, QuantIdentity, QuantLinear, QuantReLU, QuantTanh


def _linear(inputs: int, outputs: int, **options: Any) -> Any:
    return QuantLinear(inputs, outputs, **{"bias": True, "weight_bit_width": 4, **options})


def _fixed_point() -> Any:
    """Power-of-two scales found from the data, rounding half to even."""
    options = {
        "weight_quant": quant.Int8WeightPerTensorFixedPoint,
        "bias_quant": quant.Int8BiasPerTensorFixedPointInternalScaling,
    }
    signed = {"act_quant": quant.Int8ActPerTensorFixedPoint, "return_quant_tensor": True}
    relu = {"act_quant": quant.Uint8ActPerTensorFixedPoint, "return_quant_tensor": True}
    return torch.nn.Sequential(
        QuantIdentity(bit_width=6, **signed), _linear(4, 8, **options), QuantReLU(bit_width=5, **relu),
        _linear(8, 6, **options), QuantIdentity(bit_width=5, **signed), _linear(6, 3, **options),
    )


def _floating_scales() -> Any:
    """Brevitas' defaults: learned scales that are no powers of two; a bias on the grid of the sums."""
    options = {"bias_quant": quant.Int32Bias, "weight_bit_width": 3}
    return torch.nn.Sequential(
        QuantIdentity(bit_width=4, return_quant_tensor=True), _linear(3, 6, **options),
        QuantReLU(bit_width=3, return_quant_tensor=True), _linear(6, 4, **options),
        QuantReLU(bit_width=3, return_quant_tensor=True), _linear(4, 2, **options),
    )


def _real_bias() -> Any:
    """The same with biases that nobody quantised."""
    return torch.nn.Sequential(
        QuantIdentity(bit_width=4, return_quant_tensor=True), _linear(3, 6, weight_bit_width=3),
        QuantReLU(bit_width=2, return_quant_tensor=True), _linear(6, 3, weight_bit_width=3),
    )


def _per_channel() -> Any:
    """A scale for each output of the hidden layer, and batch normalisation."""
    return torch.nn.Sequential(
        QuantIdentity(bit_width=4, return_quant_tensor=True),
        _linear(3, 5, weight_quant=quant.Int8WeightPerChannelFloat, bias=False), torch.nn.BatchNorm1d(5),
        QuantReLU(bit_width=2, return_quant_tensor=True), _linear(5, 2, bias=False),
    )


def _binary() -> Any:
    """Brevitas' constant binary quantisers, whose scale is 0.1."""
    weight, act = quant.SignedBinaryWeightPerTensorConst, quant.SignedBinaryActPerTensorConst
    return torch.nn.Sequential(
        QuantIdentity(bit_width=5, return_quant_tensor=True), QuantLinear(4, 12, bias=False, weight_quant=weight),
        QuantIdentity(act_quant=act, return_quant_tensor=True), QuantLinear(12, 9, bias=True, weight_quant=weight),
        QuantIdentity(act_quant=act, return_quant_tensor=True), QuantLinear(9, 3, bias=False, weight_quant=weight),
    )


def _tanh() -> Any:
    """tanh in front of a quantiser of few bits, and the hard one."""
    return torch.nn.Sequential(
        QuantIdentity(bit_width=4, return_quant_tensor=True), _linear(3, 4),
        QuantTanh(bit_width=4, return_quant_tensor=True), _linear(4, 4),
        QuantHardTanh(bit_width=4, min_val=-1.0, max_val=1.0, return_quant_tensor=True), _linear(4, 3, bias=False),
        QuantIdentity(bit_width=6),
    )


BREVITAS = {
    "fixed point": _fixed_point, "floating scales": _floating_scales, "real bias": _real_bias,
    "per channel": _per_channel, "binary": _binary, "tanh": _tanh,
}


def brevitas_model(name: str, path: Path, seed: int = 0, dynamo: bool = False, opset: int = 13) -> Path:
    """Export one of :data:`BREVITAS`, untrained but calibrated on random observations."""
    torch.manual_seed(seed)
    network = BREVITAS[name]()
    features = next(layer for layer in network if isinstance(layer, QuantLinear)).in_features
    network.train()
    for _ in range(3):
        network(torch.randn(64, features))
    network.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export_qonnx(network, args=torch.randn(1, features), export_path=str(path), dynamo=dynamo, opset_version=opset)
    return path


class QonnxGraph:
    """A chain written node by node, as converters from Keras write it: MatMul, Add, Quant on every parameter."""

    def __init__(self, features: int) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray[Any, Any]] = {}
        self._tensor, self._features, self._width = "obs", features, features

    def node(self, kind: str, *constants: Any, **attributes: Any) -> QonnxGraph:
        """Add a node behind the last one; ``constants`` are its further inputs."""
        names = [item if isinstance(item, str) else self.constant(item) for item in constants]
        domain = attributes.pop("domain", QONNX_DOMAIN if kind in ("Quant", "BipolarQuant") else "")
        output = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(
            kind, [self._tensor, *names], [output], name=f"{kind}_{len(self._nodes)}", domain=domain, **attributes
        ))
        self._tensor = output
        return self

    def quant(
        self, scale: Any, bits: float, signed: int = 1, narrow: int = 0, rounding: str = "ROUND", zero: float = 0.0
    ) -> QonnxGraph:
        """Quantise the last tensor."""
        return self.node("Quant", scale, zero, bits, signed=signed, narrow=narrow, rounding_mode=rounding)

    def dense(
        self, weight: Any, weight_scale: Any, bits: float, bias: Any = None, bias_scale: Any = None
    ) -> QonnxGraph:
        """MatMul with quantised weights of shape (inputs, outputs), then Add of a quantised or a real bias."""
        self.node("MatMul", self._parameter(weight, weight_scale, bits))
        self._width = np.array(weight).shape[1]
        if bias is not None:
            self.node("Add", self._parameter(bias, bias_scale, 16.0) if bias_scale else bias)
        return self

    @property
    def tensor(self) -> str:
        """Name of the last tensor."""
        return self._tensor

    def constant(self, value: Any) -> str:
        """Name of a float constant."""
        return self.integer(value, np.float32)

    def integer(self, value: Any, kind: Any) -> str:
        """Name of a constant of another type."""
        name = f"c{len(self._constants)}"
        self._constants[name] = np.array(value, dtype=kind)
        return name

    def beside(self, kind: str, *inputs: str) -> str:
        """A node on constants alone; the name of what it gives."""
        output = f"t{len(self._nodes)}_beside"
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=f"{kind}_{output}"))
        return output

    def save(self, path: Path) -> Path:
        graph = helper.make_graph(
            self._nodes, "keras",
            [helper.make_tensor_value_info("obs", TensorProto.FLOAT, [1, self._features])],
            [helper.make_tensor_value_info(self._tensor, TensorProto.FLOAT, [1, self._width])],
            [numpy_helper.from_array(value, name) for name, value in self._constants.items()],
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX_DOMAIN, 1)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
        return path

    def _parameter(self, value: Any, scale: Any, bits: float) -> str:
        output = f"t{len(self._nodes)}_parameter"
        inputs = [self.constant(item) for item in (value, scale, 0.0, bits)]
        self._nodes.append(helper.make_node(
            "Quant", inputs, [output], name=f"Quant_{output}", domain=QONNX_DOMAIN,
            signed=1, narrow=0, rounding_mode="ROUND",
        ))
        return output


def keras_model(path: Path, seed: int = 0) -> Path:
    """QKeras' usual network: quantized_bits on the input, quantized_relu twice over, power-of-two scales."""
    rng = np.random.default_rng(seed)
    graph = QonnxGraph(4).quant(2.0**-3, 6.0)
    graph.dense(rng.normal(size=(4, 8)), 2.0**-3, 5.0, rng.normal(size=8), 2.0**-4)
    graph.quant(2.0**-4, 8.0).node("Relu").quant(2.0**-2, 5.0, signed=0)  # the converter's redundant first quantiser
    graph.dense(rng.normal(size=(8, 5)), 2.0**-2, 4.0, rng.normal(size=5), 2.0**-4)
    graph.node("Relu").quant(2.0**-2, 4.0, signed=0)
    return graph.dense(rng.normal(size=(5, 3)), 2.0**-2, 4.0, rng.normal(size=3), 2.0**-3).save(path)
