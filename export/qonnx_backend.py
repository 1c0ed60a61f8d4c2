"""Answers from the QONNX graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.export.model_file import load_model, units
from hls4rl.export.operators import evaluator, fold_constants


class QonnxBackend:
    """The QONNX graph in float64: ONNX's reference evaluator with QONNX's quantisers (``hls4rl.export.operators``)."""

    name = "qonnx"

    def __init__(self, path: Path) -> None:
        model = load_model(path)
        self._units = units(model, path)
        self._evaluator = evaluator(fold_constants(model))
        self._input = model.graph.input[0].name

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        (logits,) = self._evaluator.run(None, {self._input: observations * self._units.observation_lsb})
        outputs = np.rint(logits / self._units.logit_lsb).astype(np.int64)
        return Answer.of_logits(outputs, self._units.output)
