"""Integer tables in hls4ml: its own look-up activation (UnaryLUT), which no ONNX operator leads to by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper
from qonnx.core.modelwrapper import ModelWrapper

from hls4rl.contract import Table
from hls4rl.network import IntegerNetwork

OPERATOR = "Hls4rlTable"
"""Stands for a table in the graph that hls4ml reads."""


def tables_as_lookups(model: ModelWrapper, network: IntegerNetwork) -> None:
    """Replace each table's (Div, Sub, Cast, Gather, Quant) by one node, which :func:`register` teaches to hls4ml.

    Do it last: shape inference doesn't know the node.
    """
    tables = [layer.activation for layer in network.layers if isinstance(layer.activation, Table)]
    gathers = [node for node in model.graph.node if node.op_type == "Gather"]
    for number, (table, gather) in enumerate(zip(tables, gathers, strict=True)):
        before = []
        node = model.find_producer(gather.input[1])
        while node.op_type != "Quant":
            before.append(node)
            node = model.find_producer(node.input[0])
        after = model.find_consumer(gather.output[0])
        # UnaryLUT takes an integer's bits for its place.
        natural = np.array(table.values, dtype=np.float64) * table.lsb
        values = np.roll(natural, table.input.minimum)
        lookup = helper.make_node(
            OPERATOR, [node.output[0]], list(after.output), name=f"{OPERATOR}_{number}", domain="hls4rl",
            values=values.tolist(), bits=table.output.bits, integer_bits=table.output.integer_bits,
            signed=int(table.output.signed),
        )
        place = list(model.graph.node).index(node) + 1
        for old in (*before, gather, after):
            model.graph.node.remove(old)
        model.graph.node.insert(place, lookup)
    used = {name for node in model.graph.node for name in node.input}
    for constant in [item for item in model.graph.initializer if item.name not in used]:
        model.graph.initializer.remove(constant)  # what nobody uses breaks hls4ml's precision inference


def register() -> None:
    """Teach hls4ml's ONNX reader the node; once for each process."""
    from hls4ml.converters.onnx_to_hls import get_supported_onnx_layers, register_onnx_layer_handler

    if OPERATOR not in get_supported_onnx_layers():
        register_onnx_layer_handler(OPERATOR, _read)


def _read(node: Any, input_names: list[str], input_shapes: Any, graph: Any) -> dict[str, Any]:
    from hls4ml.model.types import FixedPrecisionType

    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return {
        "class_name": "UnaryLUT", "name": node.name, "inputs": input_names, "outputs": list(node.output),
        "activation": "unary_lut", "table_data": np.array(attributes["values"], dtype=np.float64),
        "table_t": FixedPrecisionType(attributes["bits"], attributes["integer_bits"], bool(attributes["signed"])),
    }
