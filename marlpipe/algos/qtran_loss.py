"""The loss of both forms of QTRAN: an unrestricted Q_jt, and side constraints that make its maximiser decentralised.

    L = mean (Q_jt(s, u) − y)² + λ_opt mean (F(ū) − Q_jt(s, ū) + V(s))² + λ_nopt mean e(u)²,   ū greedy by the utilities

F is the mixed value of utilities, their sum in the paper, and Q_jt a constant in the side constraints, whose second
error e the two forms define differently (Son et al. 2019, eqs. 4 and 7).
"""

from abc import abstractmethod
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import gradient_norm
from marlpipe.algos.parts import Accepts, Parts, Returns
from marlpipe.algos.qtran_networks import StateValue
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.errors import Factor
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.utilities import apply_valid, gather_valid, greedy_actions, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, JointValueView, Metrics

Joint_co = TypeVar("Joint_co", covariant=True)


@runtime_checkable
class MakesJoint(Protocol[Joint_co]):
    """Makes Q_jt, for agents with features of this width."""

    def __call__(self, *, spec: EnvSpec, features: int) -> Joint_co: ...


class Steps(NamedTuple):
    """The V time steps to learn from, each an episode of one step. `utilities` and `features` carry gradients.

    targets: y for each of the K estimates of Q_jt.
    """

    utilities: Float[Tensor, "V 1 N A"]
    features: Float[Tensor, "V 1 N H"]
    state: Float[Tensor, "V 1 S"]
    avail_actions: Bool[Tensor, "V 1 N A"]
    greedy: Int[Tensor, "V 1 N"]
    actions: Int[Tensor, "V 1 N"]
    targets: Float[Tensor, "V 1 K"]


class SideConstrained(OneLoss):
    """Agents, mixer, Q_jt and V, and their loss.

    state_value: the network V. opt_factor, nopt_factor: λ_opt and λ_nopt. A form adds V, its Q_jt and the targets.
    """

    accepts = Accepts(blocks="one", mixer="group", weights="uniform")
    mixer: Mixer
    state_value: StateValue

    def __init__(self, parts: Parts, *, returns: Returns, opt_factor: Factor, nopt_factor: Factor) -> None:
        super().__init__(parts)
        self.agent = parts.agent(spec=parts.spec)
        self.mixer = parts.mixer(spec=parts.spec, partition=parts.partition, monotonicity=parts.monotonicity)
        self.returns, self.opt_factor, self.nopt_factor = returns, opt_factor, nopt_factor

    @abstractmethod
    def joint_values(
        self, features: Float[Tensor, "B T N H"], actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]
    ) -> Float[Tensor, "B T K"]:
        """Q_jt of joint actions, estimated K times."""

    @abstractmethod
    def next_values(self, batch: EpisodeBatch, greedy: Int[Tensor, "B T1 N"]) -> Float[Tensor, "B T1 K"]:
        """Q_jt of the greedy joint actions by the target networks; zero at time steps that do not exist."""

    @abstractmethod
    def of_taken(self, steps: Steps) -> tuple[Float[Tensor, "V 1 K"], Float[Tensor, "V 1 K"]]:
        """Q_jt of the taken actions, and the error e of the side constraint for joint actions that are not greedy."""

    def loss(
        self, batch: EpisodeBatch, block_rewards: BlockRewards, generator: torch.Generator
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        steps = self.predict(batch, block_rewards)
        joint, nopt_error = self.of_taken(steps)
        td_error = joint - steps.targets
        td_loss = td_error.square().mean()
        opt_loss = self.opt_factor * self.optimal_error(steps).square().mean()
        nopt_loss = self.nopt_factor * nopt_error.square().mean()
        utilities = taken_utilities(steps.utilities, steps.actions)
        values = self.mixer(utilities, steps.state)
        everywhere = torch.ones_like(values[..., 0], dtype=torch.bool)
        total, penalty = self.monotonicity.penalised(
            td_loss + opt_loss + nopt_loss,
            *(values, utilities, everywhere, lambda given: self.mixer(given, steps.state), generator),
        )
        metrics = {
            "td_loss": td_loss,
            "opt_loss": opt_loss,
            "nopt_loss": nopt_loss,
            "penalty": penalty,
            "q_tot": joint.mean(),
            "target": steps.targets.mean(),
            "td_error_abs": td_error.abs().mean(),
        }
        return total, {name: value.detach() for name, value in metrics.items()}

    def predict(self, batch: EpisodeBatch, block_rewards: BlockRewards) -> Steps:
        """The masked time steps, with the utilities at them and targets by the target networks."""
        utilities, features = self.agent.with_features(batch.obs, batch.last_actions, batch.filled)
        with torch.no_grad():
            greedy = greedy_actions(utilities, batch.avail_actions)
            next_values = self.next_values(batch, greedy)
            rewards = block_rewards.rewards.expand_as(next_values[:, 1:])
            targets = self.returns(rewards, next_values, batch.terminated, batch.valid)
        observed = (field[:, :-1] for field in (utilities, features, batch.state, batch.avail_actions, greedy))
        rows = gather_valid(block_rewards.learn_mask, *observed, batch.actions, targets)
        return Steps(*(field.unsqueeze(1) for field in rows))

    def optimal_error(self, steps: Steps) -> Float[Tensor, "V 1 K"]:
        """F(ū) − Q_jt(s, ū) + V(s): zero where the greedy joint action's value is the mixed one, up to V."""
        with torch.no_grad():
            joint = self.joint_values(steps.features, steps.greedy, steps.state)
        factored: Tensor = self.mixer(taken_utilities(steps.utilities, steps.greedy), steps.state)
        error: Tensor = factored - joint + self.state_value(steps.state)
        return error

    @torch.no_grad()
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_jt of any joint actions, the mean of its estimates, and the slopes of F."""
        steps = self.predict(batch, self.reward(batch))
        utilities, features = (
            field[:, :-1] for field in self.agent.with_features(batch.obs, batch.last_actions, batch.filled)
        )
        state = batch.state[:, :-1]

        @torch.no_grad()
        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            return apply_valid(self.joint_values, batch.valid, features, actions, state).mean(-1)

        return JointValueView(
            utilities=utilities,
            joint_value=joint_value,
            slopes=lambda: self.mixer.slopes(taken_utilities(utilities, batch.actions), state),
            reads=self.mixer.reads,
            block_gradients=lambda: self.utility_gradient_norm(steps),
        )

    @torch.enable_grad()
    def utility_gradient_norm(self, steps: Steps) -> Float[Tensor, " 1"]:
        """Of the squared errors of the side constraints: all that utilities learn from."""
        leaf = steps.utilities.detach().requires_grad_()
        apart = steps._replace(utilities=leaf)
        _, nopt_error = self.of_taken(apart)
        errors = self.opt_factor * self.optimal_error(apart).square() + self.nopt_factor * nopt_error.square()
        return gradient_norm(errors.mean(-1), leaf)
