"""The first layer of every agent network: observation, last action and agent id (PyMARL's input convention)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.types import EnvSpec


class AgentInput(nn.Module):
    """Linear(observation ⊕ onehot(last action) ⊕ onehot(agent id)), without building the one-hots.

    A matrix times a one-hot is a row of the matrix, so last action and id are looked up: the cost per agent does not
    grow with the number of agents. With `shared` False every agent has a matrix of its own.
    """

    def __init__(
        self, *, spec: EnvSpec, hidden: int, obs_last_action: bool, obs_agent_id: bool, shared: bool = True
    ) -> None:
        super().__init__()
        self.spec, self.obs_last_action, self.obs_agent_id = spec, obs_last_action, obs_agent_id
        width = spec.obs_dim + obs_last_action * spec.n_actions + obs_agent_id * spec.n_agents
        groups = 1 if shared else spec.n_agents
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(groups, width, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, hidden).uniform_(-bound, bound))

    def forward(self, obs: Float[Tensor, "V N O"], last_actions: Int[Tensor, "V N"]) -> Float[Tensor, "V N H"]:
        widths = [self.spec.obs_dim, self.obs_last_action * self.spec.n_actions, self.obs_agent_id * self.spec.n_agents]
        of_obs, of_action, of_id = torch.split(self.weight, widths, dim=1)
        offset: Tensor = self.bias  # (1 or N, H)
        if self.obs_agent_id:
            index = torch.arange(self.spec.n_agents, device=obs.device)
            offset = offset + of_id[index % len(of_id), index]
        features: Tensor
        if len(of_obs) == 1:
            features = obs @ of_obs[0] + offset
        else:
            features = torch.baddbmm(offset.unsqueeze(1), obs.transpose(0, 1), of_obs).transpose(0, 1)
        if self.obs_last_action:
            none = of_action.new_zeros(len(of_action), 1, of_action.shape[-1])
            table = torch.cat([of_action, none], dim=1)  # (1 or N, A+1, H)
            agents = torch.arange(self.spec.n_agents, device=obs.device) % len(table)
            rows = agents * table.shape[1] + last_actions
            features = features + nn.functional.embedding(rows, table.flatten(end_dim=1))
        return features
