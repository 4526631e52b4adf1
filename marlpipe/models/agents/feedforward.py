"""The memoryless agent for one-step games: Linear, ReLU, Linear, ReLU, Linear (WQMIX, LOMAQ payoff tests)."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.errors import Width
from marlpipe.models.agents.agent import Agent
from marlpipe.models.agents.inputs import AgentInput
from marlpipe.models.layers import GroupedLinear
from marlpipe.models.utilities import gather_valid, scatter_valid
from marlpipe.types import EnvSpec


class FeedForwardAgent(Agent):
    """Utilities from an agent's present observation alone."""

    def __init__(
        self, *, spec: EnvSpec, hidden: Width, obs_last_action: bool, obs_agent_id: bool, shared: bool
    ) -> None:
        super().__init__()
        self.input = AgentInput(
            spec=spec, hidden=hidden, obs_last_action=obs_last_action, obs_agent_id=obs_agent_id, shared=shared
        )

        def affine(out_features: int) -> nn.Module:
            if shared:
                return nn.Linear(hidden, out_features)
            return GroupedLinear(groups=spec.n_agents, in_features=hidden, out_features=out_features)

        self.hidden, self.reads_history = hidden, obs_last_action
        self.layers = nn.Sequential(affine(hidden), nn.ReLU())
        self.output = affine(spec.n_actions)

    def forward(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T N A"]:
        """Utilities of whole episodes; zero where `filled` is False."""
        rows = self.output(self.layers(self.input(*gather_valid(filled, obs, last_actions))))
        return scatter_valid(rows, filled)

    def with_features(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T N A"], Float[Tensor, "B T N H"]]:
        """Utilities of whole episodes, and the last hidden layer."""
        features: Tensor = self.layers(self.input(*gather_valid(filled, obs, last_actions)))  # (V,N,H)
        return scatter_valid(self.output(features), filled), scatter_valid(features, filled)

    def step(
        self, obs: Float[Tensor, "B N O"], last_actions: Int[Tensor, "B N"], memory: Float[Tensor, "B 0"]
    ) -> tuple[Float[Tensor, "B N A"], Float[Tensor, "B 0"]]:
        """One time step of acting; the memory stays empty."""
        return self.output(self.layers(self.input(obs, last_actions))), memory

    def initial_memory(self, n: int) -> Float[Tensor, "B 0"]:
        return self.input.bias.new_zeros(n, 0)
