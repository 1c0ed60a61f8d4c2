"""Cost per action of a trained policy, without exporting it first."""

from __future__ import annotations

from hls4rl.hls_projects.cost import Cost, cost
from hls4rl.policy import Policy


def cost_of(policy: Policy) -> Cost:
    """Operations, bits and energy per action of ``policy``."""
    return cost(policy.network, policy.spec)
