"""QTRAN-alt: for each agent some action meets the bound, whatever the others have taken (Son et al. 2019, §4.2).

    e_i(u) = min_{u_i} [ F(u_i, u_{−i}) − Q_jt(s, i, u_{−i})_{u_i} + V(s) ]     over the actions available to agent i

Q_jt has a head per agent with the values of all its actions. All errors are means over the agents.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.algos.parts import Parts, Returns
from marlpipe.algos.qtran_loss import MakesJoint, SideConstrained, Steps
from marlpipe.algos.qtran_networks import CounterfactualValue, StateValue
from marlpipe.errors import Factor
from marlpipe.models.utilities import apply_valid, taken_utilities
from marlpipe.types import EpisodeBatch, Makes


def one_changed(utilities: Float[Tensor, "B T N A"], actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T N A N"]:
    """[…, i, a, :]: the utilities of the taken actions, but for agent i that of its action a."""
    own = torch.eye(utilities.shape[-2], dtype=torch.bool, device=utilities.device).unsqueeze(1)  # (N,1,N)
    taken = taken_utilities(utilities, actions)
    return torch.where(own, utilities.unsqueeze(-1), taken[..., None, None, :])


def least(gaps: Float[Tensor, "*batch N A"], avail_actions: Bool[Tensor, "*batch N A"]) -> Float[Tensor, "*batch N"]:
    """The minimum over available actions, of which there must be one."""
    return gaps.masked_fill(~avail_actions, torch.inf).min(-1).values


class QTRANAlt(SideConstrained):
    """An estimate of Q_jt per agent and step; K = N."""

    def __init__(
        self,
        parts: Parts,
        *,
        returns: Returns,
        joint: MakesJoint[CounterfactualValue],
        state_value: Makes[StateValue],
        opt_factor: Factor,
        nopt_factor: Factor,
    ) -> None:
        super().__init__(parts, returns=returns, opt_factor=opt_factor, nopt_factor=nopt_factor)
        self.joint = joint(spec=parts.spec, features=self.agent.hidden)
        self.state_value = state_value(spec=parts.spec)
        self.target_joint = self.target_of(self.joint)

    def joint_values(
        self, features: Float[Tensor, "B T N H"], actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]
    ) -> Float[Tensor, "B T N"]:
        """Q_jt(s, i, u_{−i}) of u_i, for each agent i."""
        del features
        value: Tensor = self.joint(actions, state)
        return value

    def next_values(self, batch: EpisodeBatch, greedy: Int[Tensor, "B T1 N"]) -> Float[Tensor, "B T1 N"]:
        """Q_jt′(s, i, ū_{−i}) of ū_i."""
        return apply_valid(self.target_joint, batch.filled, greedy, batch.state)

    def of_taken(self, steps: Steps) -> tuple[Float[Tensor, "V 1 N"], Float[Tensor, "V 1 N"]]:
        """Q_jt(s, i, u_{−i}) of u_i, and e_i(u)."""
        joint = self.joint.alternatives(steps.actions, steps.state)  # (V,1,N,A)
        gaps = self.factored_alternatives(steps) - joint.detach() + self.state_value(steps.state).unsqueeze(-1)
        return taken_utilities(joint, steps.actions), least(gaps, steps.avail_actions)

    def factored_alternatives(self, steps: Steps) -> Float[Tensor, "V 1 N A"]:
        """F(u_i, u_{−i}) for each agent i and each of its actions."""
        alternatives = one_changed(steps.utilities, steps.actions).flatten(1, 3)  # (V, N·A, N)
        state = steps.state.expand(-1, alternatives.shape[1], -1)
        values: Tensor = self.mixer(alternatives, state)
        return values.view_as(steps.utilities)
