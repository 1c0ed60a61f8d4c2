"""Cost per action of a trained policy, without exporting it first."""

from __future__ import annotations

from hls4rl.network import IntegerNetwork, Layer

from hls4rl.contract import Binary, FixedPoint
from hls4rl.hls_projects.cost import Cost, cost
from hls4rl.policy import Policy


def cost_of(policy: Policy) -> Cost:
    """Operations, bits and energy per action of ``policy``."""
    contract = policy.contract
    first, second = contract.hidden_weight, contract.output_weight
    assert isinstance(first, Binary | FixedPoint)
    assert isinstance(second, Binary | FixedPoint)
    assert contract.hidden_bias is not None
    assert contract.output_bias is not None
    hidden = Layer(
        first.integers(policy.hidden_weight), first.lsb,
        contract.hidden_bias.integers(policy.hidden_bias), contract.hidden_bias.lsb, contract.activation,
    )
    output = Layer(
        second.integers(policy.output_weight), second.lsb,
        contract.output_bias.integers(policy.output_bias), contract.output_bias.lsb, None,
    )
    return cost(IntegerNetwork(contract.observation, (hidden, output)), policy.spec)
