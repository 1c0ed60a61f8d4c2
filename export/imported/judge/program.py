"""A graph, run on intervals."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hls4rl.export.imported.judge.interval import (
    Array,
    Call,
    Execution,
    Interval,
    UnknownError,
    constant,
    floats,
    fractions,
)
from hls4rl.export.imported.judge.operators import OPERATORS


class Program:
    """A graph that is run on intervals, with its constants computed once, in fractions."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Compute the constants.

        Raises:
            UnknownError: a node that isn't known, or whose result is undefined.
        """
        self._constants = Execution()
        values, self._nodes = self._constants.values, []
        for item in model.graph.initializer:
            values[item.name] = constant(numpy_helper.to_array(item), item.data_type)
        entry = next(item for item in model.graph.input if item.name not in values)
        self._input, self._output = entry.name, model.graph.output[0].name
        self._sizes = [item.dim_value for item in entry.type.tensor_type.shape.dim]
        dynamic = {self._input}
        for node in model.graph.node:
            if node.op_type == "Shape" or dynamic.intersection(node.input):
                self._nodes.append(node)
                dynamic.update(node.output)
            else:
                _step(node, self._constants)
        self._floats = {name: floats(value) for name, value in values.items()}

    def run(self, observations: Array, exact: bool) -> tuple[Interval, Execution]:
        """Run the graph.

        Args:
            observations: float64, shape (rows, features): the real values that the graph is given.
            exact: in fractions (slow); else in float64.

        Returns:
            Bounds of the graph's result, shape (rows, outputs), and the whole execution.

        Raises:
            UnknownError: a node that isn't known, or whose result is undefined.
        """
        run = Execution(dict(self._constants.values if exact else self._floats))
        features = observations.shape[1]
        shape = tuple(1 if len(self._sizes) > 1 and not axis else size for axis, size in enumerate(self._sizes))
        if int(np.prod(shape)) != features or not shape:
            shape = (*(1,) * max(len(shape) - 1, int(not shape)), features)
        given = observations.T.reshape(*shape, len(observations))
        given = fractions(given) if exact else given
        run.values[self._input] = Interval(given, given)
        for node in self._nodes:
            _step(node, run)
        result = run.values.get(self._output)
        if result is None or result.constant:
            raise UnknownError("its output does not depend on its input")
        rows = result.low.shape[-1]
        return Interval(result.low.reshape(-1, rows).T, result.high.reshape(-1, rows).T), run


def _step(node: onnx.NodeProto, run: Execution) -> None:
    how = OPERATORS.get(node.op_type)
    name = node.name or (node.output[0] if node.output else "?")
    if how is None:
        raise UnknownError(f"node '{name}' ({node.op_type}) is not known to the judge")
    values = [run.values[item] if item else None for item in node.input]
    dynamic = [item for item in values if item is not None and not item.constant]
    if dynamic and not dynamic[0].is_exact:  # what Shape gave and what came of it
        values = [None if item is None else floats(item) for item in values]
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    try:
        with np.errstate(all="ignore"):
            result = how(Call(node, values, attributes, not dynamic, run))
    except (ZeroDivisionError, ValueError, TypeError, IndexError, OverflowError, AttributeError) as error:
        raise UnknownError(f"node '{name}' ({node.op_type}): {error}") from error
    if not result.is_exact and not (np.isfinite(result.low).all() and np.isfinite(result.high).all()):
        raise UnknownError(f"node '{name}' ({node.op_type}) leaves the range of float64")
    run.values[node.output[0]] = result


