"""An agent whose outputs stay within bounds, as the logits of PAC's policies do."""

from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.errors import UserError
from marlpipe.models.agents.agent import Agent


class ClampedAgent(Agent):
    """Another agent's utilities, clamped to [lowest, highest]. Utilities beyond a bound tie, and get no gradient."""

    def __init__(self, agent: Agent, *, lowest: float, highest: float) -> None:
        super().__init__()
        if not lowest <= 0 <= highest or lowest == highest:
            raise UserError(
                f"logits cannot be clamped to [{lowest}, {highest}].\n"
                "  valid: lowest at most 0, highest at least 0, one of them not 0\n"
                "  next: set them, as in loss.actor.lowest=-5.0 loss.actor.highest=2.0"
            )
        self.agent, self.lowest, self.highest = agent, lowest, highest
        self.hidden, self.reads_history = agent.hidden, agent.reads_history

    def forward(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> Float[Tensor, "B T N A"]:
        """Utilities of whole episodes; zero where `filled` is False."""
        return self.with_features(obs, last_actions, filled)[0]

    def with_features(
        self, obs: Float[Tensor, "B T N O"], last_actions: Int[Tensor, "B T N"], filled: Bool[Tensor, "B T"]
    ) -> tuple[Float[Tensor, "B T N A"], Float[Tensor, "B T N H"]]:
        """Utilities of whole episodes, and the last layer's inputs."""
        utilities, features = self.agent.with_features(obs, last_actions, filled)
        return utilities.clamp(self.lowest, self.highest), features

    def step(
        self, obs: Float[Tensor, "B N O"], last_actions: Int[Tensor, "B N"], memory: Float[Tensor, "B *memory_shape"]
    ) -> tuple[Float[Tensor, "B N A"], Float[Tensor, "B *memory_shape"]]:
        """One time step of acting: utilities, and the memory to hand to the next time step."""
        utilities, memory = self.agent.step(obs, last_actions, memory)
        return utilities.clamp(self.lowest, self.highest), memory

    def initial_memory(self, n: int) -> Float[Tensor, "B *memory_shape"]:
        return self.agent.initial_memory(n)
