"""PAC's critic agents: utilities from an agent's observation and the messages of the others, in training only."""

import math
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.errors import Factor, Width
from marlpipe.models.agents.agent import Agent
from marlpipe.models.agents.inputs import AgentInput
from marlpipe.models.layers import perceptron
from marlpipe.models.utilities import gather_valid, scatter_valid
from marlpipe.types import EnvSpec, EpisodeBatch, Makes, Metrics


class MessageEncoder(nn.Module):
    """μ of all messages that an agent sends: Linear, ReLU, Linear, ReLU, Linear, shared by all agents.

    size: K, numbers per message. The other arguments are those of `AgentInput`.
    """

    def __init__(self, *, spec: EnvSpec, size: int, hidden: Width, obs_last_action: bool, obs_agent_id: bool) -> None:
        super().__init__()
        self.input = AgentInput(spec=spec, hidden=hidden, obs_last_action=obs_last_action, obs_agent_id=obs_agent_id)
        self.layers = perceptron(hidden, hidden, size * spec.n_agents)

    def forward(self, obs: Float[Tensor, "V N O"], last_actions: Int[Tensor, "V N"]) -> Float[Tensor, "V N M"]:
        means: Tensor = self.layers(self.input(obs, last_actions))
        return means


def delivered(messages: Float[Tensor, "*batch N M"]) -> Float[Tensor, "*batch N M"]:
    """The messages that each agent receives, by sender, from those that each agent sends, by receiver (M = N·K)."""
    n_agents = messages.shape[-2]
    addressed = torch.unflatten(messages, -1, (n_agents, -1))  # sender, receiver, K
    return addressed.transpose(-3, -2).flatten(-2)


def standard_normal(like: Float[Tensor, "*batch N M"], generator: torch.Generator) -> Float[Tensor, "*batch N M"]:
    """Independent draws from N(0, 1) of that shape."""
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def kl_to_standard_normal(means: Float[Tensor, "*batch N M"]) -> Float[Tensor, "*batch"]:
    """KL( N(μ, 1) ‖ N(0, 1) ) = μ²/2, summed over the numbers of all messages."""
    return means.square().sum((-2, -1)) / 2


def standard_normal_cost(messages: Float[Tensor, "*batch N M"]) -> Float[Tensor, "*batch"]:
    """−log N(m; 0, 1) = (m² + log 2π)/2, summed over the numbers of all messages."""
    return (messages.square() + math.log(2 * math.pi)).sum((-2, -1)) / 2


class ActionPredictor(nn.Module):
    """Logits of an agent's label from observation and messages: Linear, ReLU, Linear, ReLU, Linear, shared by all.

    spec: its `obs_dim` counts the messages received. width_per_agent: hidden units, times the number of agents. The
    other arguments are those of `AgentInput`.
    """

    def __init__(self, *, spec: EnvSpec, width_per_agent: Width, obs_last_action: bool, obs_agent_id: bool) -> None:
        super().__init__()
        width = width_per_agent * spec.n_agents
        self.input = AgentInput(spec=spec, hidden=width, obs_last_action=obs_last_action, obs_agent_id=obs_agent_id)
        self.layers = perceptron(width, width, spec.n_actions)

    def forward(self, heard: Float[Tensor, "V N O"], last_actions: Int[Tensor, "V N"]) -> Float[Tensor, "V N A"]:
        logits: Tensor = self.layers(self.input(heard, last_actions))
        return logits


def cross_entropy(logits: Float[Tensor, "V N A"], labels: Int[Tensor, "V N"]) -> Float[Tensor, " V"]:
    """−Σ_i log softmax(logits_i)[label_i]."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels).sum(1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Assisted:
    """Utilities of all actions, and the messages behind them. heard: observations ⊕ the messages received."""

    utilities: Float[Tensor, "B T N A"]
    means: Float[Tensor, "B T N M"]
    messages: Float[Tensor, "B T N M"]
    heard: Float[Tensor, "B T N L"]


@runtime_checkable
class MakesEncoder(Protocol):
    """Makes the message encoder."""

    def __call__(self, *, spec: EnvSpec, size: int) -> MessageEncoder: ...


class AssistedCritic(nn.Module):
    """Agents that read each other's messages, and the predictor that reads the same.

    message_size: K, numbers per message. loss_factor: k of the communication loss.
    compactness_factor: β. message_entropy_factor: β′.
    """

    def __init__(
        self,
        *,
        spec: EnvSpec,
        agent: Makes[Agent],
        message_size: Width,
        encoder: MakesEncoder,
        predictor: Makes[ActionPredictor],
        loss_factor: Factor,
        compactness_factor: Factor,
        message_entropy_factor: Factor,
    ) -> None:
        super().__init__()
        hearing = replace(spec, obs_dim=spec.obs_dim + message_size * spec.n_agents)
        self.agent = agent(spec=hearing)
        self.encoder = encoder(spec=spec, size=message_size)
        self.predictor = predictor(spec=hearing)
        self.loss_factor = loss_factor
        self.compactness_factor, self.message_entropy_factor = compactness_factor, message_entropy_factor

    def forward(self, batch: EpisodeBatch, generator: torch.Generator | None) -> Assisted:
        """Utilities at all time steps that exist. Messages are m ~ N(μ, 1), or their means μ without a generator."""
        inputs = gather_valid(batch.filled, batch.obs, batch.last_actions)
        means = scatter_valid(self.encoder(*inputs), batch.filled)
        messages = means if generator is None else means + standard_normal(means, generator)
        heard = torch.cat([batch.obs, delivered(messages)], dim=-1)
        utilities = self.agent(heard, batch.last_actions, batch.filled)
        return Assisted(utilities=utilities, means=means, messages=messages, heard=heard)

    def communication_loss(
        self,
        assisted: Assisted,
        batch: EpisodeBatch,
        labels: Int[Tensor, "V N"],
        mask: Bool[Tensor, "B T"],
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """k · mean[ CE(predictor, label) + β KL(N(μ, 1) ‖ N(0, 1)) − β′ log N(m; 0, 1) ], and metrics without gradient.

        A mean over the V masked time steps of sums over agents and the numbers of their messages.
        """
        logits = self.predictor(assisted.heard[:, :-1][mask], batch.last_actions[:, :-1][mask])
        prediction_loss = cross_entropy(logits, labels).mean()
        compactness = kl_to_standard_normal(assisted.means[:, :-1][mask]).mean()
        entropy_cost = standard_normal_cost(assisted.messages[:, :-1][mask]).mean()
        costs = self.compactness_factor * compactness + self.message_entropy_factor * entropy_cost
        loss = self.loss_factor * (prediction_loss + costs)
        return loss, {
            "communication_loss": loss.detach(),
            "prediction_loss": prediction_loss.detach(),
            "prediction_accuracy": (logits.argmax(-1) == labels).to(logits).mean(),
            "message_kl": compactness.detach(),
            "message_entropy_cost": entropy_cost.detach(),
        }
