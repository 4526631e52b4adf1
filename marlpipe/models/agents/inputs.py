"""The first layer of every agent network: observation, last action and agent id (PyMARL's input convention)."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from marlpipe.types import EnvSpec


class AgentInput(nn.Module):
    """ReLU(Linear(observation ⊕ onehot(last action) ⊕ onehot(agent id))), without building the one-hots.

    A matrix times a one-hot is a row of the matrix, so last action and id are looked up: the cost per agent does not
    grow with the number of agents. With `shared` False every agent has a matrix of its own.
    """

    starts: Int[Tensor, " N"]  # where each agent's rows begin in the table of what is looked up

    def __init__(
        self, *, spec: EnvSpec, hidden: int, obs_last_action: bool, obs_agent_id: bool, shared: bool = True
    ) -> None:
        super().__init__()
        self.spec, self.obs_last_action, self.obs_agent_id = spec, obs_last_action, obs_agent_id
        width = spec.obs_dim + obs_last_action * spec.n_actions + obs_agent_id * spec.n_agents
        groups = 1 if shared else spec.n_agents
        apart = obs_agent_id or not shared
        starts = apart * (1 + obs_last_action * spec.n_actions) * torch.arange(spec.n_agents)
        self.register_buffer("starts", starts, persistent=False)
        bound = width**-0.5
        self.weight = nn.Parameter(torch.empty(groups, width, hidden).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(groups, hidden).uniform_(-bound, bound))

    def forward(self, obs: Float[Tensor, "V N O"], last_actions: Int[Tensor, "V N"]) -> Float[Tensor, "V N H"]:
        widths = [self.spec.obs_dim, self.obs_last_action * self.spec.n_actions, self.obs_agent_id * self.spec.n_agents]
        of_obs, of_action, of_id = torch.split(self.weight, widths, dim=1)
        table = self.bias.unsqueeze(1)  # what is added to the observation's part: (1 or N, 1 or A+1, H)
        if self.obs_agent_id:
            own_id = of_id.transpose(0, 1) if len(of_id) == 1 else of_id.diagonal().T.unsqueeze(1)
            table = table + own_id
        if self.obs_last_action:
            table = table + nn.functional.pad(of_action, (0, 0, 0, 1))
        rows = last_actions * self.obs_last_action + self.starts
        features = nn.functional.embedding(rows.flatten(), table.flatten(end_dim=1))  # (V·N, H)
        if len(of_obs) == 1:
            return features.addmm_(obs.flatten(end_dim=1), of_obs[0]).relu_().view(*rows.shape, -1)
        of_agents = torch.bmm(obs.transpose(0, 1), of_obs).transpose(0, 1)
        return torch.relu(of_agents + features.view_as(of_agents))
