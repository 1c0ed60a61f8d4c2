"""What every executor of a policy answers, whether Python, C++, RTL, netlist or a board over a wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hls4rl.contract import IntArray


@dataclass(frozen=True, eq=False)
class Answer:
    """What a backend says of a batch of observations."""

    actions: IntArray
    """Shape (batch,): argmax of the logits, ties to the lowest index."""
    logits: IntArray | None
    """Shape (batch, actions), in units of ``Contract.logit_lsb``; None where only the action leaves the chip."""

    @classmethod
    def of_logits(cls, logits: IntArray) -> Answer:
        """The answer of a backend that computes logits and leaves the argmax to Python."""
        return cls(actions=np.argmax(logits, axis=1).astype(np.int64), logits=logits)


class Backend(Protocol):
    """An executor of one policy. The Gym loop does not know which one it drives."""

    name: str

    def infer(self, observations: IntArray) -> Answer:
        """Answer integer ``observations``: int64, shape (batch, features), in units of the input type."""
        ...
