"""What PAC's agents tell each other in training: Gaussian messages with means of their own (Zhou et al. 2022, §4)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.agents.inputs import AgentInput
from marlpipe.types import EnvSpec


def delivered(messages: Float[Tensor, "*batch N M"]) -> Float[Tensor, "*batch N M"]:
    """What each agent receives, sender by sender, of what each agent sends, receiver by receiver (M = N·K)."""
    n_agents = messages.shape[-2]
    addressed = torch.unflatten(messages, -1, (n_agents, -1))  # sender, receiver, K
    return addressed.transpose(-3, -2).flatten(-2)


def kl_to_standard_normal(means: Float[Tensor, "*batch N M"]) -> Float[Tensor, "*batch"]:
    """KL( N(μ, 1) ‖ N(0, 1) ) = μ²/2, summed over the numbers of all messages."""
    return means.square().sum((-2, -1)) / 2


def standard_normal_cost(messages: Float[Tensor, "*batch N M"]) -> Float[Tensor, "*batch"]:
    """−log N(m; 0, 1) = (m² + log 2π)/2, summed over the numbers of all messages."""
    return (messages.square() + math.log(2 * math.pi)).sum((-2, -1)) / 2


class MessageEncoder(nn.Module):
    """μ of all that an agent sends: Linear, ReLU, Linear, ReLU, Linear, shared by all agents.

    size: K, numbers per message. The other arguments are those of `AgentInput`.
    """

    def __init__(self, *, spec: EnvSpec, size: int, hidden: int, obs_last_action: bool, obs_agent_id: bool) -> None:
        super().__init__()
        self.input = AgentInput(spec=spec, hidden=hidden, obs_last_action=obs_last_action, obs_agent_id=obs_agent_id)
        self.layers = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, size * spec.n_agents))

    def forward(self, obs: Float[Tensor, "V N O"], last_actions: Int[Tensor, "V N"]) -> Float[Tensor, "V N M"]:
        means: Tensor = self.layers(self.input(obs, last_actions))
        return means
