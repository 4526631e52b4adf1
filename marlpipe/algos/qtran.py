"""QTRAN-base: the joint value of the taken actions bounds the sum of utilities from below (Son et al. 2019, §4.1).

    e(u) = min(0, F(u) − Q_jt(s, h, u) + V(s))

Q_jt reads what the agents make of their histories, and trains that too.
"""

from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.algos.qtran_loss import SideConstrained, Steps
from marlpipe.algos.qtran_networks import JointValue
from marlpipe.models.agents.agent import Agent
from marlpipe.models.utilities import gather_valid, scatter_valid, taken_utilities
from marlpipe.types import EpisodeBatch


def shortfall(
    factored: Float[Tensor, "*batch 1"], joint: Float[Tensor, "*batch 1"], state_value: Float[Tensor, "*batch 1"]
) -> Float[Tensor, "*batch 1"]:
    """min(0, F(u) − Q_jt(s, u) + V(s)): nothing where the factored value is high enough."""
    return (factored - joint + state_value).clamp(max=0)


class QTRAN(SideConstrained):
    """One estimate of Q_jt per step; K = 1."""

    in_targets = ("agent", "joint")
    joint: JointValue
    target_agent: Agent
    target_joint: JointValue

    def joint_values(
        self, features: Float[Tensor, "B T N H"], actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]
    ) -> Float[Tensor, "B T 1"]:
        """Q_jt(s, h, u)."""
        value: Tensor = self.joint(features, actions, state)
        return value

    def next_values(self, batch: EpisodeBatch, greedy: Int[Tensor, "B T1 N"]) -> Float[Tensor, "B T1 1"]:
        """Q_jt′(s, h′, ū), of the target agents' histories."""
        _, features = self.target_agent.with_features(batch.obs, batch.last_actions, batch.filled)
        return scatter_valid(
            self.target_joint(*gather_valid(batch.filled, features, greedy, batch.state)), batch.filled
        )

    def of_taken(self, steps: Steps) -> tuple[Float[Tensor, "V 1 1"], Float[Tensor, "V 1 1"]]:
        """Q_jt(s, h, u), and e(u)."""
        joint = self.joint_values(steps.features, steps.actions, steps.state)
        factored = self.mixer(taken_utilities(steps.utilities, steps.actions), steps.state)
        return joint, shortfall(factored, joint.detach(), self.state_value(steps.state))
