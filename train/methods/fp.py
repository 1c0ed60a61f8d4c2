"""FP+VPG: vanilla policy gradient in full precision (paper eq. 4)."""

from __future__ import annotations

from hls4rl.contract import Contract
from hls4rl.task import Task
from hls4rl.train.methods.base import Method, fixed_point_contract, real_contract


class FullPrecision(Method):
    """Trains real numbers; the deployed policy is those numbers rounded to ``bits`` bits, with no training after."""

    place, in_paper, label = 0, True, "FP"
    colour, dark_colour, marker = "#1c1c1c", "#e9e9e4", "o"
    settings = ("bits", "activation_bits")
    starts_real = searchable = True

    small_output = True

    def training_contract(self, task: Task) -> Contract:
        """Real numbers."""
        return real_contract(task, self.spec)

    def deployed_contract(self, task: Task) -> Contract:
        """Fixed point."""
        return fixed_point_contract(task, self.spec)


METHOD = FullPrecision
