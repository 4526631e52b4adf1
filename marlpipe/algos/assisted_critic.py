"""PAC's critic agents: utilities from what an agent sees and what the others tell it, in training only."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.agents.agent import Agent
from marlpipe.algos.messages import MessageEncoder, delivered, kl_to_standard_normal, standard_normal_cost
from marlpipe.algos.predictor import ActionPredictor, cross_entropy
from marlpipe.types import EnvSpec, EpisodeBatch, Metrics


@dataclass(frozen=True, kw_only=True, eq=False)
class Assisted:
    """Utilities of all actions, and the messages behind them. `heard`: observations ⊕ the messages received."""

    utilities: Float[Tensor, "B T N A"]
    means: Float[Tensor, "B T N M"]
    messages: Float[Tensor, "B T N M"]
    heard: Float[Tensor, "B T N L"]


class AssistedCritic(nn.Module):
    """Agents that hear each other, and the predictor that hears what they hear.

    message_size: K, the numbers that one agent tells another. loss_factor: k of the communication loss.
    compactness_factor: β. message_entropy_factor: β′.
    """

    def __init__(
        self,
        *,
        spec: EnvSpec,
        agent: Callable[..., Agent],
        message_size: int,
        encoder: Callable[..., MessageEncoder],
        predictor: Callable[..., ActionPredictor],
        loss_factor: float,
        compactness_factor: float,
        message_entropy_factor: float,
    ) -> None:
        super().__init__()
        hearing = replace(spec, obs_dim=spec.obs_dim + message_size * spec.n_agents)
        self.agent = agent(spec=hearing)
        self.encoder = encoder(spec=spec, size=message_size)
        self.predictor = predictor(spec=hearing)
        self.loss_factor = loss_factor
        self.compactness_factor, self.message_entropy_factor = compactness_factor, message_entropy_factor

    def forward(self, batch: EpisodeBatch, *, sampled: bool) -> Assisted:
        """Utilities at all moments that exist. Messages are m ~ N(μ, 1), or their means μ if not `sampled`."""
        rows = self.encoder(batch.obs[batch.filled], batch.last_actions[batch.filled])
        means = rows.new_zeros(*batch.filled.shape, *rows.shape[1:]).index_put((batch.filled,), rows)
        messages = means + torch.randn_like(means) if sampled else means
        heard = torch.cat([batch.obs, delivered(messages)], dim=-1)
        utilities = self.agent(heard, batch.last_actions, batch.filled)
        return Assisted(utilities=utilities, means=means, messages=messages, heard=heard)

    def communication_loss(
        self,
        assisted: Assisted,
        batch: EpisodeBatch,
        labels: Int[Tensor, "V N"],
        trusted: Bool[Tensor, "B T"],
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """k · mean[ CE(predictor, label) + β KL(N(μ, 1) ‖ N(0, 1)) − β′ log N(m; 0, 1) ], and metrics without gradient.

        A mean over the V trusted steps of sums over agents and the numbers of their messages.
        """
        logits = self.predictor(assisted.heard[:, :-1][trusted], batch.last_actions[:, :-1][trusted])
        prediction_loss = cross_entropy(logits, labels).mean()
        compactness = kl_to_standard_normal(assisted.means[:, :-1][trusted]).mean()
        entropy_cost = standard_normal_cost(assisted.messages[:, :-1][trusted]).mean()
        costs = self.compactness_factor * compactness + self.message_entropy_factor * entropy_cost
        loss = self.loss_factor * (prediction_loss + costs)
        return loss, {
            "communication_loss": loss.detach(),
            "prediction_loss": prediction_loss.detach(),
            "prediction_accuracy": (logits.argmax(-1) == labels).to(logits).mean(),
            "message_kl": compactness.detach(),
            "message_entropy_cost": entropy_cost.detach(),
        }
