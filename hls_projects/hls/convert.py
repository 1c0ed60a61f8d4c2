"""QONNX → hls4ml C++ project, with every type set or checked so that no integer is ever rounded twice.

hls4ml 1.3 needs the recipes below to be exact; each says what goes wrong without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml  # type: ignore[import-untyped]
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.gemm_to_matmul import GemmToMatMul
from qonnx.util.cleanup import cleanup_model

from hls4rl.artefact import write_json
from hls4rl.contract import FixedPoint, ResultType, Table, describe, is_power_of_two, read_output
from hls4rl.errors import ProjectError
from hls4rl.export.graph import read_network
from hls4rl.export.model_file import load_model
from hls4rl.export.operators import QONNX_DOMAIN
from hls4rl.hls_projects.hls.tables import OPERATOR, register, tables_as_lookups
from hls4rl.network import IntegerNetwork, Layer
from hls4rl.plain import build, read_json
from hls4rl.task import Hardware

TOP = "policy"
"""Name of the C++ top function."""
DESCRIPTION = "project.json"
LOG = "conversion.log"
_CONFIGURATION = "hls4ml_config.yml"


@dataclass(frozen=True)
class Description:
    """What a written project is, for those who compile or synthesise it."""

    backend: str
    part: str
    features: int
    outputs: int
    observation_lsb: float
    logit_lsb: float
    output: dict[str, Any]
    """How the action is read off the outputs (:func:`hls4rl.contract.read_output`)."""
    weights: tuple[str, ...]
    """Names of the weight files that the C++ reads at its first call."""


@dataclass(frozen=True)
class _Bounds:
    """Smallest type that holds every partial sum of a layer exactly, and the bit that its activation rounds by."""

    integer_bits: int
    fraction_bits: int

    def fit(self, precision: Any) -> bool:
        return bool(
            precision.signed and precision.integer >= self.integer_bits and precision.fractional >= self.fraction_bits
        )


def write_project(qonnx: Path, hardware: Hardware, directory: Path, accelerator: str | None = None) -> None:
    """Write the hls4ml project of a QONNX graph to ``directory``: the same graph gives the same bytes.

    What hls4ml prints goes to ``conversion.log`` there. ``project.json`` describes the project
    (:func:`read_description`).

    Args:
        accelerator: board of hls4ml's VivadoAccelerator backend, for instance ``pynq-z2``: the project then has AXI
            streams, a block design and a driver. None for the core alone, by the backend that ``hardware`` names.

    Raises:
        ProjectError: the graph isn't supported, hls4ml refuses it, or it chose a type that is too narrow.
    """
    network = read_network(qonnx)
    directory = directory.resolve()  # so that it's found again in what hls4ml wrote, and nothing else is
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOG).open("w", encoding="utf-8") as log, _quiet(log):
        import hls4ml

        register()
        backends = {name.lower(): name for name in ("Vitis", "Vivado", "Catapult", "Quartus", "oneAPI", "Libero")}
        backend = "VivadoAccelerator" if accelerator else backends.get(hardware.hls_backend.lower())
        if backend is None:
            raise ProjectError(
                f"unknown hls_backend '{hardware.hls_backend}'; choose one of {', '.join(backends.values())}"
            )
        try:
            model = _convert(
                hls4ml, _rewrite(load_model(qonnx), network), network, hardware, backend, directory, accelerator
            )
            _set_types(model, network)
            model.config.config["OnnxModel"] = qonnx.name  # not the model itself, written out as text
            model.write()
        except ProjectError:
            raise
        except Exception as error:  # hls4ml raises bare Exceptions
            raise ProjectError(
                f"hls4ml cannot convert {qonnx}: {' '.join(str(error).split()) or type(error).__name__}; "
                "try another strategy or hls_backend in the task's [hardware]"
            ) from error
    _make_reproducible(directory, model.config.get_config_value("Stamp"), qonnx)
    weights = tuple(sorted(path.name for path in (directory / "firmware" / "weights").glob("*.txt")))
    write_json(directory / DESCRIPTION, asdict(Description(
        backend=backend, part=hardware.hls_part, features=network.features, outputs=network.outputs,
        observation_lsb=network.input.lsb, logit_lsb=network.logit_lsb,
        output=describe(network.output), weights=weights,
    )))


def read_description(project: Path) -> Description:
    """What :func:`write_project` says of ``project``.

    Raises:
        ProjectError: ``project`` isn't such a directory.
    """
    path = project / DESCRIPTION
    data = read_json(path, f"{project} is no hls4ml project of ours: convert the policy first")
    description: Description = build(Description, data, str(path))
    try:
        read_output(description.output)
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(f"{path}: no description of the actions; convert the policy again") from error
    units = description.observation_lsb, description.logit_lsb
    if min(description.features, description.outputs) < 1 or not all(is_power_of_two(unit) for unit in units):
        raise ProjectError(f"{path}: impossible sizes or units; convert the policy again")
    return description


def _rewrite(proto: Any, network: IntegerNetwork) -> ModelWrapper:
    model = ModelWrapper(proto)
    for node in list(model.graph.node):
        if node.op_type == "BipolarQuant" and model.get_initializer(node.input[0]) is not None:
            _binary_weights_as_integers(model, node)
    # hls4ml refuses Gemm; without the second clean-up, dangling initialisers break its precision inference.
    model = cleanup_model(cleanup_model(model).transform(GemmToMatMul()))
    tables_as_lookups(model, network)
    return model


def _binary_weights_as_integers(model: ModelWrapper, node: Any) -> None:
    """±scale as 2-bit integers: hls4ml 1.3 binarises the weights of a BipolarQuant twice, and all become +1."""
    weights, scale = model.get_initializer(node.input[0]), model.get_initializer(node.input[1])
    model.set_initializer(node.input[0], (np.where(weights >= 0, 1.0, -1.0) * scale).astype(np.float32))
    extra = []
    for name, value in (("zero_point", 0.0), ("bits", 2.0)):
        extra.append(f"{node.name}_{name}")
        model.set_initializer(extra[-1], np.array(value, dtype=np.float32))
    quant = helper.make_node(
        "Quant", [*node.input, *extra], list(node.output), name=f"{node.name}_integers",
        domain=QONNX_DOMAIN, signed=1, narrow=1, rounding_mode="ROUND",
    )
    place = list(model.graph.node).index(node)
    model.graph.node.remove(node)
    model.graph.node.insert(place, quant)


def _convert(
    hls4ml: Any, model: ModelWrapper, network: IntegerNetwork, hardware: Hardware, backend: str, directory: Path,
    accelerator: str | None,
) -> Any:
    # Sums of ±1 (XNOR types) defeat hls4ml's precision inference, which then takes the default.
    bounds = _bounds(network)
    integer_bits = max(1, *(item.integer_bits for item in bounds))
    fraction_bits = max(0, *(item.fraction_bits for item in bounds))
    configuration = hls4ml.utils.config_from_onnx_model(
        model, granularity="name", backend=backend,
        default_precision=f"fixed<{integer_bits + fraction_bits},{integer_bits}>",
        default_reuse_factor=hardware.reuse_factor,
    )
    configuration["Model"]["Strategy"] = hardware.strategy
    if isinstance(hardware.fold, int) and hardware.fold:
        _divide_labour(configuration, model, network, hardware.fold)
    for name, table in zip(
        (node.name for node in model.graph.node if node.op_type == OPERATOR),
        (layer.activation for layer in network.layers if isinstance(layer.activation, Table)), strict=True,
    ):
        configuration["LayerName"][name]["Precision"]["result"] = _fixed(table.output)
    # The default, fixed<16,6>, would round the observations a second time.
    configuration["LayerName"][model.graph.input[0].name]["Precision"]["result"] = (
        _fixed(network.input)
    )
    io_type = "io_stream" if hardware.inputs_per_clock else "io_parallel"
    target: dict[str, str] = {"io_type": io_type, "part": hardware.hls_part}
    if accelerator:
        target = {"io_type": "io_stream", "board": accelerator, "interface": "axi_stream", "driver": "python"}
    return hls4ml.converters.convert_from_onnx_model(
        model, hls_config=configuration, output_dir=str(directory), project_name=TOP, backend=backend,
        clock_period=round(1000 / hardware.clock_mhz, 3), **target,
    )


def _divide_labour(configuration: dict[str, Any], model: ModelWrapper, network: IntegerNetwork, units: int) -> None:
    """Give each layer as many multipliers as the folded core has: a reuse factor of its weights by ``units``."""
    configuration["Model"]["Strategy"] = "Resource"
    names = [node.name for node in model.graph.node if node.op_type == "MatMul"]
    if len(names) != len(network.layers):
        raise ProjectError(f"{len(names)} products for {len(network.layers)} layers; please report this graph")
    for name, layer in zip(names, network.layers, strict=True):
        # hls4ml takes a divisor of the inputs, or a multiple of them that leaves whole outputs: the next one that fits.
        inputs, outputs = layer.weight.shape[1], len(layer.weight)
        groups = next(count for count in range(-(-outputs // units), outputs + 1) if outputs % count == 0)
        configuration["LayerName"][name] |= {"Strategy": "Resource", "ReuseFactor": inputs * groups}


def _fixed(kind: FixedPoint) -> str:
    return f"{'' if kind.signed else 'u'}fixed<{kind.bits},{kind.integer_bits}>"


def _bounds(network: IntegerNetwork) -> list[_Bounds]:
    bounds = []
    inputs: ResultType = network.input
    for layer in network.layers:
        bound = layer.largest_sum(inputs)
        fraction_bits = -round(math.log2(layer.sum_lsb(inputs.lsb)))
        # The sign, then what the largest sum has; a sum that is always 0 needs the sign alone, wherever it stands.
        integer_bits = 1 + (math.floor(math.log2(bound)) + 1 if bound > 0 else -fraction_bits)
        cut = _cut_of(layer)
        if cut is not None and layer.rounding == "ROUND":
            # ap_fixed rounds by the bit of half a step, and aborts if that lies above the sums' type.
            integer_bits = max(integer_bits, round(math.log2(cut.lsb)))
        bounds.append(_Bounds(integer_bits, fraction_bits))
        if layer.activation is not None:
            inputs = layer.activation
    return bounds


def _set_types(model: Any, network: IntegerNetwork) -> None:
    """Widen the types that ap_fixed could not round, and refuse those that don't hold the sums."""
    dense = [layer for layer in model.get_layers() if layer.class_name == "Dense"]
    if len(dense) != len(network.layers):
        raise ProjectError(f"hls4ml made {len(dense)} dense layers of {len(network.layers)}; please report this graph")
    for node, bounds, layer in zip(dense, _bounds(network), network.layers, strict=True):
        for what, precision in (
            ("accumulator", node.get_attr("accum_t").precision), ("result", node.get_output_variable().type.precision),
        ):
            if what == "result" and _is_cut(precision, layer):
                continue
            if layer.rounding == "ROUND":  # hls4ml thinks of the sums alone; more sign bits don't change them
                missing = max(0, bounds.integer_bits - precision.integer)
                precision.integer += missing
                precision.width += missing
            if not bounds.fit(precision):
                raise ProjectError(
                    f"hls4ml chose {precision} for the {what} of '{node.name}', which needs {bounds.integer_bits} "
                    f"integer and {bounds.fraction_bits} fraction bits; please report this graph"
                )


def _cut_of(layer: Layer) -> FixedPoint | None:
    """What the layer's sums are cut to by rounding, first of all."""
    kind = layer.activation.input if isinstance(layer.activation, Table) else layer.activation
    return kind if isinstance(kind, FixedPoint) else None


def _is_cut(precision: Any, layer: Layer) -> bool:
    """Whether hls4ml cuts the layer's sums to its activation at once, which is as exact: a Quant without a Relu."""
    kind = _cut_of(layer)
    rounding = {"FLOOR": "TRN", "ROUND": "RND_CONV"}[layer.rounding]
    return kind is not None and (
        (precision.width, precision.integer, precision.signed) == (kind.bits, kind.integer_bits, kind.signed)
        and (precision.rounding_mode.name, precision.saturation_mode.name) == (rounding, "SAT")
    )


def _make_reproducible(directory: Path, stamp: str, qonnx: Path) -> None:
    """Replace hls4ml's random stamp by one of the graph, and drop the output path."""
    fixed = hashlib.sha256(qonnx.read_bytes()).hexdigest()[:8]
    path = directory / _CONFIGURATION
    if path.is_file():
        configuration = yaml.safe_load(path.read_text(encoding="utf-8"))
        configuration |= {"OutputDir": ".", "Stamp": fixed}
        path.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    for path in directory.rglob("*"):
        if path.suffix in (".sh", ".tcl", ".cpp", ".log", ".txt") and path.is_file():
            text = path.read_text(encoding="utf-8")
            changed = text.replace(stamp, fixed).replace(str(directory), ".")
            if changed != text:
                path.write_text(changed, encoding="utf-8")


@contextlib.contextmanager
def _quiet(log: Any) -> Any:
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
