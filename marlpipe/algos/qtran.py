"""QTRAN-base: the joint value of the taken actions bounds the sum of utilities from below (Son et al. 2019, §4.1).

    e(u) = min(0, F(u) − Q_jt(s, h, u) + V(s))

Q_jt reads the agents' features of their histories, and trains those too.
"""

from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.algos.parts import Parts, Returns
from marlpipe.algos.qtran_loss import MakesJoint, SideConstrained, Steps
from marlpipe.algos.qtran_networks import JointValue, StateValue
from marlpipe.errors import Factor
from marlpipe.models.utilities import apply_valid, taken_utilities
from marlpipe.types import EpisodeBatch, Makes


def shortfall(
    factored: Float[Tensor, "*batch 1"], joint: Float[Tensor, "*batch 1"], state_value: Float[Tensor, "*batch 1"]
) -> Float[Tensor, "*batch 1"]:
    """min(0, F(u) − Q_jt(s, u) + V(s)): zero where the factored value is high enough."""
    return (factored - joint + state_value).clamp(max=0)


class QTRAN(SideConstrained):
    """One estimate of Q_jt per step; K = 1."""

    def __init__(
        self,
        parts: Parts,
        *,
        returns: Returns,
        joint: MakesJoint[JointValue],
        state_value: Makes[StateValue],
        opt_factor: Factor,
        nopt_factor: Factor,
    ) -> None:
        super().__init__(parts, returns=returns, opt_factor=opt_factor, nopt_factor=nopt_factor)
        self.joint = joint(spec=parts.spec, features=self.agent.hidden)
        self.state_value = state_value(spec=parts.spec)
        self.target_agent, self.target_joint = self.target_of(self.agent), self.target_of(self.joint)

    def joint_values(
        self, features: Float[Tensor, "B T N H"], actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]
    ) -> Float[Tensor, "B T 1"]:
        """Q_jt(s, h, u)."""
        value: Tensor = self.joint(features, actions, state)
        return value

    def next_values(self, batch: EpisodeBatch, greedy: Int[Tensor, "B T1 N"]) -> Float[Tensor, "B T1 1"]:
        """Q_jt′(s, h′, ū), of the target agents' histories."""
        _, features = self.target_agent.with_features(batch.obs, batch.last_actions, batch.filled)
        return apply_valid(self.target_joint, batch.filled, features, greedy, batch.state)

    def of_taken(self, steps: Steps) -> tuple[Float[Tensor, "V 1 1"], Float[Tensor, "V 1 1"]]:
        """Q_jt(s, h, u), and e(u)."""
        joint = self.joint_values(steps.features, steps.actions, steps.state)
        factored = self.mixer(taken_utilities(steps.utilities, steps.actions), steps.state)
        return joint, shortfall(factored, joint.detach(), self.state_value(steps.state))
