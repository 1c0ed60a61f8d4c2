"""A policy in real numbers, whole: normaliser, layers, squash and bounds, as the library that trained it has it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from hls4rl.actions import BoxActions, MultiDiscreteActions
from hls4rl.contract import Argmax, FloatArray, IntArray
from hls4rl.errors import ProjectError
from hls4rl.task import Task
from hls4rl.train.pretrained.functions import FUNCTIONS

LOGITS, CLIP, TANH = "logits", "clip", "tanh"
"""What the outputs are: logits or Q values; actions in the environment's units, cut to its bounds; or tanh of them
is the place between the bounds."""
LARGEST_LAYER = 4096


@dataclass(frozen=True, eq=False)
class Normaliser:
    """What comes before the network: ``(observation - mean) / deviation``, cut to ± ``limit``."""

    mean: FloatArray
    """Shape (features,)."""
    deviation: FloatArray
    """Shape (features,); positive."""
    limit: float = np.inf

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.deviation.shape:
            raise ValueError("a mean and a deviation for each feature")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all() and (self.deviation > 0).all()):
            raise ValueError("means are finite, and deviations positive")
        if not self.limit > 0:
            raise ValueError("the limit is positive")

    def __call__(self, observations: FloatArray) -> FloatArray:
        """Normalised ``observations``; same shape, float64."""
        return np.clip((observations - self.mean) / self.deviation, -self.limit, self.limit)


@dataclass(frozen=True, eq=False)
class FloatPolicy:
    """A fully connected policy as it was trained."""

    source: str
    """What it is, for people: library, algorithm and class."""
    weights: tuple[FloatArray, ...]
    """Of each layer, shape (outputs, inputs)."""
    biases: tuple[FloatArray, ...]
    """Of each layer, shape (outputs,)."""
    activations: tuple[str, ...]
    """Of each layer, names in :data:`FUNCTIONS`; the last one's is ``identity`` unless something is cut before a
    squash."""
    output: str
    """:data:`LOGITS`, :data:`CLIP` or :data:`TANH`."""
    normaliser: Normaliser | None = None
    mean_limit: float = np.inf
    """Where a squashed mean is cut first (SAC with gSDE: ± 2)."""
    bounds: tuple[FloatArray, FloatArray] | None = None
    """Low and high of the action space that it was trained on, where its file says so."""
    notes: tuple[str, ...] = field(default=())
    """What a user should know."""

    def __post_init__(self) -> None:
        shapes = [weight.shape for weight in self.weights]
        if not shapes or any(len(shape) != 2 or min(shape) < 1 for shape in shapes):
            raise ValueError("at least one layer, each with a matrix")
        if any(before[0] != after[1] for before, after in itertools.pairwise(shapes)):
            raise ValueError("each layer takes what the one before it gives")
        if len(self.activations) != len(shapes) or [len(bias) for bias in self.biases] != [item[0] for item in shapes]:
            raise ValueError("a bias and an activation for each layer")
        if max(max(shape) for shape in shapes) > LARGEST_LAYER * 16:
            raise ValueError("layers of ordinary size")
        if not all(np.isfinite(array).all() for array in (*self.weights, *self.biases)):
            raise ValueError("finite weights")

    @property
    def features(self) -> int:
        """Inputs of the first layer."""
        return int(self.weights[0].shape[1])

    @property
    def outputs(self) -> int:
        """Outputs of the last layer."""
        return int(self.weights[-1].shape[0])

    @property
    def hidden(self) -> tuple[int, ...]:
        """Units of each hidden layer."""
        return tuple(len(bias) for bias in self.biases[:-1])

    @property
    def shape(self) -> str:
        """For people, as ``tanh 64-64`` or ``linear 11→3``."""
        if not self.hidden:
            return f"linear {self.features}→{self.outputs}"
        return f"{self.activations[0]} {'-'.join(str(width) for width in self.hidden)}"

    def raw(self, observations: FloatArray) -> FloatArray:
        """The last layer's outputs, shape (rows, outputs), of ``observations``, shape (rows, features).

        The network is computed in float32, as the libraries do; the normaliser in float64.
        """
        values = np.asarray(observations, dtype=np.float64)
        if self.normaliser is not None:
            values = self.normaliser(values)
        values = values.astype(np.float32)
        for weight, bias, name in zip(self.weights, self.biases, self.activations, strict=True):
            sums = values @ weight.T.astype(np.float32) + bias.astype(np.float32)
            values = np.asarray(FUNCTIONS[name](sums), dtype=np.float32)
        return np.clip(values.astype(np.float64), -self.mean_limit, self.mean_limit)


@dataclass(frozen=True, eq=False)
class Fitted:
    """A float policy in the environment that it plays: its outputs are those that the environment asks for."""

    task: Task
    policy: FloatPolicy

    @classmethod
    def of(cls, task: Task, policy: FloatPolicy, where: str) -> Fitted:
        """``policy`` for ``task``, the logits of choices that there are not left out.

        Raises:
            ProjectError: it has another number of features or actions, or was trained on other bounds.
        """
        features, actions = task.features, task.actions
        if policy.features != features:
            raise ProjectError(
                f"{where}: takes {policy.features} features, and ENV={task.file or task.name} ({task.environment}) "
                f"has {features}; name the environment that it was trained on, with its wrappers in a task file"
            )
        if policy.normaliser is not None and len(policy.normaliser.mean) != features:
            raise ProjectError(
                f"{where}: the normaliser has {len(policy.normaliser.mean)} features, the policy {features}; give the "
                "one that was saved with it"
            )
        if actions.is_continuous != (policy.output != LOGITS):
            raise ProjectError(
                f"{where}: its outputs are {'logits' if policy.output == LOGITS else 'continuous actions'}, and "
                f"{task.environment} takes {'continuous' if actions.is_continuous else 'discrete'} actions; name the "
                "environment that it was trained on"
            )
        policy = _without_single_choices(actions, policy)
        if policy.outputs != actions.outputs:
            raise ProjectError(
                f"{where}: has {policy.outputs} outputs, and {task.environment} needs {actions.outputs}; name the "
                "environment that it was trained on"
            )
        if isinstance(actions, BoxActions) and policy.bounds is not None:
            ours = (actions.low.reshape(-1), actions.high.reshape(-1))
            for name, theirs, own in zip(("low", "high"), policy.bounds, ours, strict=True):
                if theirs.shape != own.shape or not np.allclose(theirs, own, rtol=1e-4, atol=1e-6):
                    raise ProjectError(
                        f"{where}: was trained on actions whose {name} ends are {theirs.tolist()}, and "
                        f"{task.environment} has {own.tolist()}; set the wrappers that it was trained with"
                    )
        return cls(task, policy)

    def decide(self, observations: FloatArray) -> FloatArray | IntArray:
        """The greedy action of each of ``observations``, shape (rows, features).

        Returns:
            Shape (rows, action dimensions): int64 numbers of the choices, or float64 places between the bounds of a
            Box, -1 … 1.
        """
        return self.decided(self.policy.raw(observations))

    def decided(self, raw: FloatArray) -> FloatArray | IntArray:
        """The same of the network's outputs, shape (rows, outputs)."""
        actions = self.task.actions
        if isinstance(actions.output, Argmax):
            return actions.output.decide(raw)
        assert isinstance(actions, BoxActions)
        if self.policy.output == TANH:
            return np.tanh(raw)
        low, high = actions.low.reshape(-1), actions.high.reshape(-1)
        return (np.clip(raw, low, high) - (low + high) / 2) / ((high - low) / 2)

    def taken(self, decision: FloatArray | IntArray) -> object:
        """What ``env.step`` takes, of one row of :meth:`decide`'s."""
        actions = self.task.actions
        if isinstance(actions, BoxActions):
            return actions.real(np.asarray(decision, dtype=np.float64))
        return actions.decode(np.asarray(decision, dtype=np.int64))


def _without_single_choices(actions: object, policy: FloatPolicy) -> FloatPolicy:
    """Libraries have a logit even for a dimension with one choice, which ours leave out."""
    if not isinstance(actions, MultiDiscreteActions) or policy.outputs != int(actions.choices.sum()):
        return policy
    choices = actions.choices.reshape(-1)
    kept = np.repeat(choices > 1, choices)
    return replace(
        policy, weights=(*policy.weights[:-1], policy.weights[-1][kept]),
        biases=(*policy.biases[:-1], policy.biases[-1][kept]),
    )
