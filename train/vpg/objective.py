"""One update of vanilla policy gradient (paper eq. 4) on the Brevitas module."""

from __future__ import annotations

from typing import Any

import torch

from hls4rl.contract import FloatArray
from hls4rl.train.methods import Method
from hls4rl.train.network import PolicyNetwork
from hls4rl.train.parameters import Parameters
from hls4rl.train.vpg.distribution import likelihood_and_entropy
from hls4rl.train.vpg.rollout import Trajectory


def update(
    network: PolicyNetwork,
    optimiser: torch.optim.Optimizer,
    method: Method,
    trajectory: Trajectory,
    advantages: FloatArray,
    entropy: float,
) -> None:
    """Descend the cost -mean(log π(a|s)·Â) - ``entropy``·mean(H(π(·|s))) by one step of ``optimiser``."""
    optimiser.zero_grad()
    cost(network, trajectory, advantages, entropy).backward()  # type: ignore[no-untyped-call]
    method.after_backward(gradients_of(network))
    optimiser.step()
    method.after_step(parameters_of(network))


def cost(
    network: PolicyNetwork, trajectory: Trajectory, advantages: FloatArray, entropy: float
) -> torch.Tensor:
    """Paper eq. 4 with an entropy bonus; a scalar."""
    outputs = network(torch.from_numpy(trajectory.observations))
    likelihood, randomness = likelihood_and_entropy(
        network.contract.output, outputs, trajectory.actions, trajectory.deviation
    )
    return -(likelihood * torch.from_numpy(advantages)).mean() - entropy * randomness.mean()


def parameters_of(network: PolicyNetwork) -> Parameters:
    """The module's latent parameters; the arrays share its memory."""
    return Parameters.of(tensor.detach().numpy() for tensor in _tensors(network))


def gradients_of(network: PolicyNetwork) -> Parameters:
    """The gradients after ``backward``; the arrays share the module's memory."""
    gradients = [tensor.grad for tensor in _tensors(network)]
    return Parameters.of(gradient.numpy() for gradient in gradients if gradient is not None)


def quantised(network: PolicyNetwork) -> Parameters:
    """What the forward pass makes of the latent parameters, in real units."""
    with torch.no_grad():
        return Parameters.of(
            _value(array).numpy() for layer in network.layers for array in (layer.quant_weight(), layer.quant_bias())
        )


def _value(tensor: Any) -> torch.Tensor:
    # Brevitas answers with a tensor of its own kind where it quantises.
    value: torch.Tensor = tensor.value if hasattr(tensor, "value") else tensor
    return value


def _tensors(network: PolicyNetwork) -> list[torch.nn.Parameter]:
    return [tensor for layer in network.layers for tensor in (layer.weight, layer.bias)]
