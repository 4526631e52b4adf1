"""QTRAN's networks of the whole team: Q_jt in its two forms, and V (Son et al. 2019, §4; sizes of PyMARL's code)."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.errors import Layers, Width
from marlpipe.models.layers import perceptron
from marlpipe.models.utilities import taken_utilities
from marlpipe.types import EnvSpec


class JointValue(nn.Module):
    """Q_jt(s, h, u) = MLP(Σ_i φ(h_i ⊕ onehot(u_i)) ⊕ s) with φ: Linear, ReLU, Linear, shared by the agents.

    features: the width of h_i, an agent's summary of its history. hidden, layers: the MLP's units and hidden layers.
    """

    def __init__(self, *, spec: EnvSpec, features: int, hidden: Width, layers: Layers) -> None:
        super().__init__()
        width = features + spec.n_actions
        self.n_actions = spec.n_actions
        self.encoder = perceptron(width, width, width)
        self.mlp = perceptron(width + spec.state_dim, *[hidden] * layers, 1)

    def forward(
        self, features: Float[Tensor, "B T N H"], actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]
    ) -> Float[Tensor, "B T 1"]:
        taken = F.one_hot(actions, self.n_actions).to(features)
        team = self.encoder(torch.cat([features, taken], dim=-1)).sum(-2)
        value: Tensor = self.mlp(torch.cat([team, state], dim=-1))
        return value


class CounterfactualValue(nn.Module):
    """Q_jt(s, i, u_{−i}) ∈ ℝᴬ: for each agent i the values of all its actions, given what the others take.

    MLP(s ⊕ onehots of u with that of i at zero ⊕ onehot(i)); as in `AgentInput`, one-hots are looked up.
    features: agents' summaries are not read. hidden, layers: units and hidden layers.
    """

    def __init__(self, *, spec: EnvSpec, features: int, hidden: Width, layers: Layers) -> None:
        super().__init__()
        del features
        self.n_actions = spec.n_actions
        self.widths = [spec.state_dim, spec.n_agents * spec.n_actions, spec.n_agents]
        self.input = nn.Linear(sum(self.widths), hidden)
        self.rest = nn.Sequential(nn.ReLU(), perceptron(*[hidden] * layers, spec.n_actions))

    def alternatives(self, actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T N A"]:
        """Q_jt(s, i, u_{−i})."""
        of_state, of_actions, of_agents = torch.split(self.input.weight.T, self.widths)
        first_row = torch.arange(0, len(of_actions), self.n_actions, device=actions.device)
        of_taken = F.embedding(first_row + actions, of_actions)  # (B,T,N,hidden)
        of_others = of_taken.sum(-2, keepdim=True) - of_taken
        of_team = state @ of_state + self.input.bias
        values: Tensor = self.rest(of_team.unsqueeze(-2) + of_others + of_agents)
        return values

    def forward(self, actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T N"]:
        """Q_jt(s, i, u_{−i}) of u_i: each agent's head, at its own action."""
        return taken_utilities(self.alternatives(actions, state), actions)


class StateValue(nn.Module):
    """V(s): the part of the joint value that utilities of partial observations cannot represent."""

    def __init__(self, *, spec: EnvSpec, hidden: Width, layers: Layers) -> None:
        super().__init__()
        self.mlp = perceptron(spec.state_dim, *[hidden] * layers, 1)

    def forward(self, state: Float[Tensor, "B T S"]) -> Float[Tensor, "B T 1"]:
        value: Tensor = self.mlp(state)
        return value
