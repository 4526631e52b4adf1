"""The recurrent agent of all value methods: Linear, ReLU, GRU, Linear (PyMARL; LOMAQ Table 1)."""

from collections.abc import Callable

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.errors import Width
from marlpipe.models.agents.agent import Agent
from marlpipe.models.agents.gru import IndependentGRU, Recurrence, SharedGRU
from marlpipe.models.agents.inputs import AgentInput
from marlpipe.models.layers import GroupedLinear
from marlpipe.models.utilities import StepIndex, scatter_valid
from marlpipe.types import EnvSpec


class RecurrentAgent(Agent):
    """Utilities from an agent's own history, which the GRU summarises from the first time step of the episode on.

    gru: the class of the recurrent layer that shared agents have in common, torch.nn.GRU or one with its interface.
    """

    def __init__(
        self,
        *,
        spec: EnvSpec,
        hidden: Width,
        obs_last_action: bool,
        obs_agent_id: bool,
        shared: bool,
        gru: Callable[[int, int], nn.GRU],
    ) -> None:
        super().__init__()
        self.n_agents, self.hidden = spec.n_agents, hidden
        self.input = AgentInput(
            spec=spec, hidden=hidden, obs_last_action=obs_last_action, obs_agent_id=obs_agent_id, shared=shared
        )
        self.cell: Recurrence
        self.output: nn.Module
        if shared:
            self.cell = SharedGRU(gru=gru, hidden=hidden)
            self.output = nn.Linear(hidden, spec.n_actions)
        else:
            self.cell = IndependentGRU(n_agents=spec.n_agents, hidden=hidden)
            self.output = GroupedLinear(groups=spec.n_agents, in_features=hidden, out_features=spec.n_actions)

    def forward(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T N A"]:
        """Utilities of whole episodes; zero where `filled` is False, where nothing is computed."""
        memory, index = self.unroll(obs, last_actions, filled)
        return scatter_valid(self.output(memory), filled, index)

    def with_features(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T N A"], Float[Tensor, "B T N H"]]:
        """Utilities of whole episodes, and the memory after each time step."""
        memory, index = self.unroll(obs, last_actions, filled)
        return scatter_valid(self.output(memory), filled, index), scatter_valid(memory, filled, index)

    def unroll(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "V N H"], StepIndex]:
        """The memory after each time step that exists, and the index of those steps.

        With the longest episodes first, those still running at a time step are the first rows of the previous one.
        """
        order = filled.sum(1).argsort(descending=True, stable=True)
        step, rank = filled[order].T.nonzero(as_tuple=True)
        episode = order[rank]
        features = self.input(obs[episode, step], last_actions[episode, step])  # (V,N,H)
        return self.cell.unroll(features, filled.sum(0).tolist()), (episode, step)

    def step(
        self, obs: Float[Tensor, "B N O"], last_actions: Int[Tensor, "B N"], memory: Float[Tensor, "B N H"]
    ) -> tuple[Float[Tensor, "B N A"], Float[Tensor, "B N H"]]:
        """One time step of acting: utilities, and the memory to hand to the next time step."""
        memory = self.cell(self.input(obs, last_actions), memory)
        return self.output(memory), memory

    def initial_memory(self, n: int) -> Float[Tensor, "B N H"]:
        return self.input.bias.new_zeros(n, self.n_agents, self.hidden)
