"""PAC's predictor of counterfactual actions: what makes messages tell something (Zhou et al. 2022, §4)."""

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.agents.inputs import AgentInput
from marlpipe.types import EnvSpec


def cross_entropy(logits: Float[Tensor, "V N A"], labels: Int[Tensor, "V N"]) -> Float[Tensor, " V"]:
    """−Σ_i log softmax(logits_i)[label_i]."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view_as(labels).sum(1)


class ActionPredictor(nn.Module):
    """Logits of an agent's label from what it sees and hears: Linear, ReLU, Linear, ReLU, Linear, shared by all agents.

    spec: its `obs_dim` counts the messages heard. width_per_agent: hidden units, times the number of agents. The other
    arguments are those of `AgentInput`.
    """

    def __init__(self, *, spec: EnvSpec, width_per_agent: int, obs_last_action: bool, obs_agent_id: bool) -> None:
        super().__init__()
        width = width_per_agent * spec.n_agents
        self.input = AgentInput(spec=spec, hidden=width, obs_last_action=obs_last_action, obs_agent_id=obs_agent_id)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, spec.n_actions))

    def forward(self, heard: Float[Tensor, "V N O"], last_actions: Int[Tensor, "V N"]) -> Float[Tensor, "V N A"]:
        logits: Tensor = self.layers(self.input(heard, last_actions))
        return logits
