"""What every executor of a policy answers, whether Python, C++, RTL, netlist or a board over a wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hls4rl.contract import ONE_CHOICE, IntArray, Output


@dataclass(frozen=True, eq=False)
class Answer:
    """What a backend says of a batch of observations."""

    actions: IntArray
    """Shape (batch, action dimensions): of each group of logits the index of the largest, ties to the lowest, or of
    each dimension of a continuous action its integer. A Discrete action has one dimension."""
    logits: IntArray | None
    """The network's outputs, shape (batch, outputs), in units of ``Contract.logit_lsb``; None where only the action
    leaves the chip."""

    @classmethod
    def of_logits(cls, logits: IntArray, output: Output = ONE_CHOICE) -> Answer:
        """The answer of a backend that computes the network's outputs and leaves the decision to Python."""
        return cls(actions=output.decide(logits), logits=logits)


class Backend(Protocol):
    """An executor of one policy. The Gym loop does not know which one it drives."""

    name: str

    def infer(self, observations: IntArray) -> Answer:
        """Answer integer ``observations``: int64, shape (batch, features), in units of the input type."""
        ...
