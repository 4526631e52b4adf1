"""What both forms of QTRAN share: an unrestricted Q_jt, and side constraints that make its maximiser decentralised.

    L = mean (Q_jt(s, u) − y)² + λ_opt mean (F(ū) − Q_jt(s, ū) + V(s))² + λ_nopt mean e(u)²,   ū greedy by the utilities

F is the mixed value of utilities, their sum in the paper, and Q_jt a constant in the side constraints, whose second
error e the two forms define differently (Son et al. 2019, eqs. 4 and 7).
"""

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from marlpipe.algos.algorithm import OneLoss
from marlpipe.algos.blocks import check_one_block
from marlpipe.algos.projections.context import Projection
from marlpipe.algos.projections.weighted import check_unweighted
from marlpipe.algos.qtran_networks import StateValue
from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import gather_valid, greedy_actions, scatter_valid, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics


class Steps(NamedTuple):
    """The V steps to learn from, each an episode of one moment. `utilities` and `features` carry gradients.

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

    joint, state_value: the networks Q_jt and V. opt_factor, nopt_factor: λ_opt and λ_nopt.
    in_targets: which networks the targets are made of.
    """

    in_targets: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        agent: Callable[..., Agent],
        mixer: Callable[..., Mixer],
        monotonicity: Monotonicity,
        projection: Projection,
        reward: Reward,
        returns: Callable[..., Tensor],
        joint: Callable[..., nn.Module],
        state_value: Callable[..., StateValue],
        opt_factor: float,
        nopt_factor: float,
    ) -> None:
        super().__init__()
        check_one_block(partition, "QTRAN")
        check_unweighted(projection, "QTRAN")
        self.agent = agent(spec=spec)
        self.mixer = mixer(spec=spec, partition=partition, monotonicity=monotonicity)
        self.joint = joint(spec=spec, features=self.agent.hidden)
        self.state_value = state_value(spec=spec)
        for name in self.in_targets:
            self.add_module(f"target_{name}", copy.deepcopy(getattr(self, name)).requires_grad_(False))
        self.monotonicity, self.reward, self.returns = monotonicity, reward, returns
        self.opt_factor, self.nopt_factor = opt_factor, nopt_factor

    @abstractmethod
    def joint_values(
        self, features: Float[Tensor, "B T N H"], actions: Int[Tensor, "B T N"], state: Float[Tensor, "B T S"]
    ) -> Float[Tensor, "B T K"]:
        """Q_jt of joint actions, estimated K times."""

    @abstractmethod
    def next_values(self, batch: EpisodeBatch, greedy: Int[Tensor, "B T1 N"]) -> Float[Tensor, "B T1 K"]:
        """Q_jt of the greedy joint actions by the target networks; zero at moments that do not exist."""

    @abstractmethod
    def of_taken(self, steps: Steps) -> tuple[Float[Tensor, "V 1 K"], Float[Tensor, "V 1 K"]]:
        """Q_jt of the taken actions, and the error e of the side constraint for joint actions that are not greedy."""

    def loss(self, batch: EpisodeBatch, paid: BlockRewards) -> tuple[Float[Tensor, ""], Metrics]:
        """The loss of one batch of episodes, and metrics without gradient."""
        steps = self.steps(batch, paid)
        joint, nopt_error = self.of_taken(steps)
        td_error = joint - steps.targets
        td_loss = td_error.square().mean()
        opt_loss = self.opt_factor * self.optimal_error(steps).square().mean()
        nopt_loss = self.nopt_factor * nopt_error.square().mean()
        penalty = self.penalty(steps)
        total = self.monotonicity.penalty.loss_share * (td_loss + opt_loss + nopt_loss) + penalty
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

    def steps(self, batch: EpisodeBatch, paid: BlockRewards) -> Steps:
        """The steps whose rewards are trusted, with targets made of the target networks."""
        utilities, features = self.agent.with_features(batch.obs, batch.last_actions, batch.filled)
        with torch.no_grad():
            greedy = greedy_actions(utilities, batch.avail_actions)
            next_values = self.next_values(batch, greedy)
            rewards = paid.rewards.expand_as(next_values[:, 1:])
            targets = self.returns(rewards, next_values, batch.terminated, batch.valid)
        moments = (utilities, features, batch.state, batch.avail_actions, greedy)
        return Steps(*gather_valid(paid.trusted, *(field[:, :-1] for field in moments), batch.actions, targets))

    def optimal_error(self, steps: Steps) -> Float[Tensor, "V 1 K"]:
        """F(ū) − Q_jt(s, ū) + V(s): zero where the greedy joint action's value is the mixed one, up to V."""
        with torch.no_grad():
            joint = self.joint_values(steps.features, steps.greedy, steps.state)
        factored: Tensor = self.mixer(taken_utilities(steps.utilities, steps.greedy), steps.state)
        error: Tensor = factored - joint + self.state_value(steps.state)
        return error

    def penalty(self, steps: Steps) -> Float[Tensor, ""]:
        """What the monotonicity method adds."""
        utilities = taken_utilities(steps.utilities, steps.actions)
        values = self.mixer(utilities, steps.state)
        everywhere = torch.ones_like(values[..., 0], dtype=torch.bool)
        return self.monotonicity.penalty(values, utilities, everywhere, lambda u: self.mixer(u, steps.state))

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_jt of any joint actions, the mean of its estimates, and the slopes of F."""
        paid = self.reward(batch)
        utilities, features = (
            of_all[:, :-1] for of_all in self.agent.with_features(batch.obs, batch.last_actions, batch.filled)
        )
        state = batch.state[:, :-1]

        @torch.no_grad()
        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            estimates = self.joint_values(*gather_valid(batch.valid, features, actions, state))
            return scatter_valid(estimates, batch.valid).mean(-1)

        return Factorisation(
            utilities=utilities,
            joint_value=joint_value,
            slopes=lambda: self.mixer.slopes(taken_utilities(utilities, batch.actions), state),
            reads=self.mixer.reads,
            block_gradients=lambda: self.utility_gradient(self.steps(batch, paid)).norm().unsqueeze(0),
        )

    @torch.enable_grad()
    def utility_gradient(self, steps: Steps) -> Float[Tensor, "V 1 N A"]:
        """Of half the summed squared errors of the side constraints: all that utilities learn from."""
        leaf = steps.utilities.detach().requires_grad_()
        apart = steps._replace(utilities=leaf)
        _, nopt_error = self.of_taken(apart)
        errors = self.opt_factor * self.optimal_error(apart).square() + self.nopt_factor * nopt_error.square()
        gradient: Tensor
        (gradient,) = torch.autograd.grad(0.5 * errors.mean(-1).sum(), leaf)
        return gradient

    @torch.no_grad()
    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        for name in self.in_targets:
            getattr(self, f"target_{name}").load_state_dict(getattr(self, name).state_dict())

    def after_step(self) -> None:
        """What the monotonicity method does to the parameters once the optimiser has stepped."""
        self.monotonicity.after_step(self.mixer)
