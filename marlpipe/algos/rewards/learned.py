"""A reward that learns what each agent contributes, seeing only what the team is paid (LOMAQ Algorithms 4 and 5).

r_pred = Σ_I r_I(o_I),   e = r_pred − r_team,   L = mean[ misfit(e) ] + λ · mean[ Σ_I w(|I|) |r_I| ]
r̂_i = Σ_{I∋i} r_I / |I|,   block J is paid Σ_{i∈J} r̂_i where |e| < Δ
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.algos.rewards.set_rewards import SetRewards
from marlpipe.algos.rewards.sets import Sets, shares
from marlpipe.errors import Bound, UserError, check_numbers
from marlpipe.models.utilities import masked_mean
from marlpipe.types import EnvSpec, EpisodeBatch, Metrics, OptimizerOf, Trained, TrainingBatch, Update


def accurate_steps(errors: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"], tolerance: float) -> Bool[Tensor, "B T"]:
    """The steps with |r_pred − r_team| < Δ (LOMAQ Algorithm 5), Δ = `tolerance`."""
    return valid & (errors.abs() < tolerance)


def trusted_steps(
    errors: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"], *, tolerance: float, accurate_share: float
) -> Bool[Tensor, "B T"]:
    """The accurate steps; none at all unless they are more than `accurate_share` of the batch (LOMAQ's code).

    A share of 0 leaves Algorithm 5, which judges each step on its own.
    """
    accurate = accurate_steps(errors, valid, tolerance)
    return accurate & (accurate.sum() > accurate_share * valid.sum())


BOUNDS = {
    "penalty": Bound(0, integer=False),
    "tolerance_per_agent": Bound(0, integer=False, exclusive_low=True),
    "accurate_share": Bound(0, 1, integer=False),
    "gradient_clip": Bound(0, integer=False),
    "batch_episodes": Bound(1),
    "updates_per_batch": Bound(1),
}


class Inferred(NamedTuple):
    """What is learned of some episodes; zero where not valid."""

    agent_rewards: Float[Tensor, "B T N"]  # r̂_i
    errors: Float[Tensor, "B T"]  # e


class LearnedReward(Reward):
    """Learned rewards of sets of agents, and what they make of episodes.

    sets: a rule of `marlpipe.algos.rewards.sets`. model: the learned rewards of those sets.
    penalty: λ. size_weights: w(|I|) for |I| = 1, 2, …, the last one for all larger sets too.
    reduction: of both terms, a function of `marlpipe.algos.rewards.losses`.
    tolerance_per_agent: Δ/n. accurate_share: see `trust.trusted_steps`.
    batch_episodes: distinct ones of the training batch for each gradient step, or all if it has fewer.
    updates_per_batch: gradient steps on each training batch. gradient_clip: a norm, 0 for none.
    """

    shares: Float[Tensor, "I N"]
    weights: Float[Tensor, " I"]
    partition: Float[Tensor, "J N"]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        sets: Callable[..., Sets],
        model: Callable[..., SetRewards],
        penalty: float,
        size_weights: Sequence[float],
        reduction: Callable[[Tensor, Tensor, float, int], Tensor],
        tolerance_per_agent: float,
        accurate_share: float,
        optimizer: OptimizerOf,
        gradient_clip: float,
        batch_episodes: int,
        updates_per_batch: int,
    ) -> None:
        super().__init__()
        self.spec, self.sets = spec, sets(spec.graph)
        self.model = model(spec=spec, sets=self.sets)
        self.penalty, self.reduction = penalty, reduction
        self.tolerance_per_agent, self.accurate_share = tolerance_per_agent, accurate_share
        self.optimizer, self.gradient_clip = optimizer, gradient_clip
        self.batch_episodes, self.updates_per_batch = batch_episodes, updates_per_batch
        check_numbers("reward", vars(self), BOUNDS)
        self.register_buffer("shares", shares(self.sets, spec.n_agents), persistent=False)
        self.register_buffer("weights", weights_of(self.sets, size_weights), persistent=False)
        self.register_buffer("partition", partition, persistent=False)

    @property
    def tolerance(self) -> float:
        """Δ."""
        return self.tolerance_per_agent * self.spec.n_agents

    def forward(self, batch: EpisodeBatch) -> BlockRewards:
        """What the blocks learn from, without gradient."""
        learned = self.infer(batch)
        return BlockRewards(learned.agent_rewards @ self.partition.T, self.trusted(learned, batch.valid))

    @torch.no_grad()
    def infer(self, batch: EpisodeBatch) -> Inferred:
        """Agent rewards at the steps that exist, and how far their sum is from the team's reward."""
        rewards = self.model(batch.obs[:, :-1][batch.valid])  # (V,I)
        errors = rewards.sum(1) - batch.team_rewards[batch.valid]
        return Inferred(
            torch.zeros_like(batch.rewards).index_put((batch.valid,), rewards @ self.shares),
            torch.zeros_like(batch.rewards[..., 0]).index_put((batch.valid,), errors),
        )

    def trusted(self, learned: Inferred, valid: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
        """The steps to learn values from."""
        return trusted_steps(learned.errors, valid, tolerance=self.tolerance, accurate_share=self.accurate_share)

    def updates(self, batch: TrainingBatch) -> Iterator[Update]:
        """Gradient steps on episodes drawn anew for each, by torch's global generator."""
        before = self.measured(batch.episodes)
        for _ in range(self.updates_per_batch):
            drawn = torch.randperm(len(batch.episodes.valid))[: self.batch_episodes]
            loss, metrics = self.loss(EpisodeBatch(*(field[drawn] for field in batch.episodes)))
            yield Update("decomposition", loss, {**metrics, **before})

    def trained(self) -> dict[str, Trained]:
        """Its networks, by the name that its updates use."""
        return {"decomposition": Trained(list(self.parameters()), self.optimizer, self.gradient_clip)}

    def loss(self, batch: EpisodeBatch) -> tuple[Float[Tensor, ""], Metrics]:
        """L over the steps that exist; the last observation, which is only bootstrapped from, explains no reward."""
        terms = self.model.terms(batch.obs[:, :-1][batch.valid], batch.team_rewards[batch.valid])
        kept_small = terms.magnitudes @ self.weights
        records = len(batch.valid) * (self.spec.horizon + 1)
        loss = self.reduction(terms.misfit, kept_small, self.penalty, records)
        return loss, {"decomposition_loss": loss.detach(), "regulariser": kept_small.detach().mean()}

    def measured(self, batch: EpisodeBatch) -> Metrics:
        """How good the learned rewards are on a whole training batch, before its gradient steps."""
        learned, valid = self.infer(batch), batch.valid
        accurate, trusted = accurate_steps(learned.errors, valid, self.tolerance), self.trusted(learned, valid)
        metrics = {
            "decomposition_accuracy": masked_mean(accurate.to(learned.errors), valid),
            "decomposition_error_abs": masked_mean(learned.errors.abs(), valid),
            "rejected_share": 1 - masked_mean(trusted.to(learned.errors), valid),
        }
        if self.spec.local_rewards:
            metrics["local_reward_error"] = local_reward_error(learned.agent_rewards, batch.rewards, valid)
        return metrics


def local_reward_error(
    learned: Float[Tensor, "B T N"], true: Float[Tensor, "B T N"], valid: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """The mean of |r̂_i − r_i|, each centred to a mean of zero over the batch for every agent.

    Without centring it would measure what nothing determines: r_I + c_I with Σ_I c_I = 0 predicts the same team reward.
    """
    apart = learned[valid] - true[valid]  # (V,N)
    return (apart - apart.mean(0)).abs().mean()


def weights_of(sets: Sets, size_weights: Sequence[float]) -> Float[Tensor, " I"]:
    """w(|I|) of every set. UserError without a list of numbers that are not negative."""
    if not size_weights or not all(Bound(0, integer=False).holds(weight) for weight in size_weights):
        raise UserError(
            f"reward.size_weights={list(size_weights)} is not possible.\n"
            "  valid: numbers of at least 0 for sets of 1, 2, … agents, as in reward.size_weights=[0.0,1.0]"
        )
    return torch.tensor([float(size_weights[min(len(members), len(size_weights)) - 1]) for members in sets])
