"""A model as somebody else exported it, with the integers that were made of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from hls4rl.contract import FixedPoint, FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.export.imported.exact import ExactNetwork
from hls4rl.export.imported.folding import Folded, fold
from hls4rl.export.imported.judge.court import Verdict, judge
from hls4rl.export.imported.reader import read_imported


@dataclass(frozen=True, eq=False)
class Original:
    """An imported model: its file, its exact meaning, and what folding left of it."""

    path: Path
    exact: ExactNetwork
    folded: Folded

    @classmethod
    def load(cls, path: Path, input_type: FixedPoint | None = None, continuous: bool = False) -> Original:
        """Read and fold ``path``.

        Args:
            input_type: of the observation, for models that don't quantise it themselves.
            continuous: the outputs are the dimensions of an action, and not logits.

        Raises:
            ProjectError: something in it is not supported; the message names the node and what to do.
        """
        exact = read_imported(path, input_type)
        try:
            return cls(path, exact, fold(exact, path.name, continuous))
        except (OverflowError, ValueError) as error:
            raise ProjectError(f"{path.name}: its scales or biases are out of any range that hardware has") from error

    @property
    def input(self) -> FixedPoint:
        """Type of the core's observations, in units of the host's conversion."""
        return self.exact.input.type

    @property
    def features(self) -> int:
        """Number of observed features."""
        return self.exact.input.features

    def host(self, observations: FloatArray) -> IntArray:
        """What the host makes of real observations: divided by the scale, rounded half to even, cut to the type.

        Args:
            observations: float64 or float32, shape (rows, features).

        Returns:
            int64, the same shape.
        """
        steps = np.rint(np.asarray(observations, dtype=np.float64) / float(self.exact.input.scale))
        return np.clip(steps, self.input.minimum, self.input.maximum).astype(np.int64)

    def reals(self, observations: IntArray) -> FloatArray:
        """The real observations that integers stand for; float64, the same shape."""
        return np.asarray(observations, dtype=np.float64) * float(self.exact.input.scale)

    def given(self, observations: FloatArray) -> FloatArray:
        """What the model is executed on for real ``observations``: what the host has rounded, if the user says so."""
        return self.reals(self.host(observations)) if self.exact.input.declared else observations

    def infer(self, observations: IntArray) -> IntArray:
        """Integer logits of integer observations, by the folded network."""
        return self.folded.network.infer(observations)

    @property
    def continuous(self) -> bool:
        """Whether the outputs are the dimensions of an action, and not logits."""
        return bool(self.folded.values)

    def outputs(self, results: IntArray) -> FloatArray:
        """The model's own real outputs, float64, for integer ``results`` of a continuous policy: the host's task.

        Each is ``value * integer + base``; both shapes are (rows, outputs).
        """
        values = np.array([[float(value), float(base)] for value, base in self.folded.values])
        real: FloatArray = results * values[:, 0] + values[:, 1]
        return real

    def value(self) -> list[tuple[Fraction, Fraction]] | None:
        """Of each output: what one unit is worth, and a result of 0; None if only the actions are the model's."""
        if self.folded.values:
            return list(self.folded.values)
        one = (self.folded.logit_value, self.folded.logit_base)
        return [one] * self.folded.network.outputs if self.folded.logits_exact else None

    def judged(self, rows: int = 20_000, seed: int = 0) -> Verdict:
        """Hold the integers against the file, executed as it stands; see :func:`hls4rl.export.imported.judge.judge`."""
        return judge(self.path, self, rows, seed)
