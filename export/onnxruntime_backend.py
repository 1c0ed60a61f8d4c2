"""Answers from the plain ONNX graph in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from hls4rl.backend import Answer
from hls4rl.contract import IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.model_file import load_model, units


class OnnxRuntimeBackend:
    """ONNX Runtime on one CPU thread, in float64."""

    name = "onnxruntime"

    def __init__(self, path: Path) -> None:
        model = load_model(path)
        self._units = units(model, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # small nets: threads cost more than they give
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors share no base class of its own
            raise ProjectError(f"{path}: ONNX Runtime refuses it: {' '.join(str(error).split())}") from error
        self._input = self._session.get_inputs()[0].name

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`."""
        (logits,) = self._session.run(None, {self._input: observations * self._units.observation_lsb})
        outputs = np.rint(logits / self._units.logit_lsb).astype(np.int64)
        return Answer.of_logits(outputs, self._units.output)
