"""A model as somebody else exported it, run as it is: the reference that its folded network is held against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from hls4rl.backend import Answer
from hls4rl.contract import FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.check import MismatchError
from hls4rl.export.exact import ExactNetwork
from hls4rl.export.folding import Folded, fold
from hls4rl.export.foreign import read_foreign
from hls4rl.export.model_file import load_model
from hls4rl.export.operators import OPERATORS, QONNX_DOMAIN, fold_constants


@dataclass(frozen=True, eq=False)
class Original:
    """A foreign model: its file, its exact meaning, and what folding left of it."""

    path: Path
    exact: ExactNetwork
    folded: Folded

    @classmethod
    def load(cls, path: Path) -> Original:
        """Read and fold ``path``.

        Raises:
            ProjectError: something in it is not supported; the message names the node and what to do.
        """
        exact = read_foreign(path)
        try:
            return cls(path, exact, fold(exact, path.name))
        except (OverflowError, ValueError) as error:
            raise ProjectError(f"{path.name}: its scales or biases are out of any range that hardware has") from error

    def executor(self) -> OriginalBackend:
        """The QONNX executor on the unchanged model."""
        return OriginalBackend(self)

    def reference(self, observations: IntArray) -> tuple[Answer, int]:
        """What the model means for ``observations``, and on how many of them the executor's rounding differs from it.

        The executor (float64) decides. Where the folded network disagrees, exact fractions say who is right, and they
        must also show a tie: with scales that are no powers of two floating point rounds, and a tie falls either way.

        Raises:
            MismatchError: the folded network is wrong about an observation.
        """
        answer, expected = self.executor().infer(observations), self.folded.network.infer(observations)
        differs = answer.actions != np.argmax(expected, axis=1)
        if answer.logits is not None:
            differs = differs | (answer.logits != expected).any(axis=1)
        for row in np.flatnonzero(differs):
            if not self._is_exact(observations[row], expected[row]):
                raise MismatchError(
                    f"{self.path.name}: the folded network differs from the model on observation "
                    f"{observations[row].tolist()}; this is a bug in hls4rl: please report it with the model"
                )
        return Answer.of_logits(expected), int(np.count_nonzero(differs))

    def _is_exact(self, observation: IntArray, logits: IntArray) -> bool:
        if not self.exact.has_tie(observation.tolist()):
            return False
        true = self.exact.logits(observation.tolist())
        if self.folded.logits_exact:
            return true == [self.folded.logit_value * int(value) for value in logits]
        return true.index(max(true)) == int(np.argmax(logits))


class BatchNormalization(OpRun):  # type: ignore[misc]
    """Inference only: ONNX's own evaluator mixes the batch's mean and variance into the running ones."""

    op_domain = ""

    def _run(
        self, x: FloatArray, scale: FloatArray, bias: FloatArray, mean: FloatArray, variance: FloatArray,
        epsilon: float | None = None, momentum: float | None = None, training_mode: int | None = None,
        spatial: int | None = None,
    ) -> tuple[FloatArray]:
        return ((x - mean) / np.sqrt(variance + (1e-5 if epsilon is None else epsilon)) * scale + bias,)


class OriginalBackend:
    """ONNX's reference evaluator with QONNX's quantisers, in float64, on the model as it was given."""

    name = "original"

    def __init__(self, original: Original) -> None:
        model = load_model(original.path)
        for node in model.graph.node:
            if node.op_type in ("Quant", "BipolarQuant", "IntQuant"):
                node.domain = QONNX_DOMAIN  # older exporters have names of their own for it
                node.op_type = node.op_type.replace("IntQuant", "Quant")
        if all(item.domain != QONNX_DOMAIN for item in model.opset_import):
            model.opset_import.append(onnx.helper.make_opsetid(QONNX_DOMAIN, 1))
        try:
            self._evaluator = ReferenceEvaluator(fold_constants(model), new_ops=[*OPERATORS, BatchNormalization])
        except Exception as error:  # the evaluator's errors share no base class
            raise _refused(original.path, error) from error
        self._path = original.path
        self._input = model.graph.input[0].name
        self._folded = original.folded
        self._scale = float(original.exact.input.scale)

    def infer(self, observations: IntArray) -> Answer:
        """See :class:`hls4rl.backend.Backend`; integer logits where the model has a common unit for them."""
        try:
            (logits,) = self._evaluator.run(None, {self._input: observations * self._scale})
        except Exception as error:
            raise _refused(self._path, error) from error
        if logits.shape != (len(observations), self._folded.network.outputs):
            raise ProjectError(f"{self._path.name}: gives results of shape {logits.shape[1:]}; export plain logits")
        if not self._folded.logits_exact:
            return Answer(np.argmax(logits, axis=1).astype(np.int64), None)
        return Answer.of_logits(np.rint(logits / float(self._folded.logit_value)).astype(np.int64))


def _refused(path: Path, error: Exception) -> ProjectError:
    return ProjectError(f"{path.name}: ONNX's evaluator cannot run it ({' '.join(str(error).split())[:160]})")
