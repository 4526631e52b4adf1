"""A reward that learns each agent's contribution from the team reward alone (LOMAQ Algorithms 4 and 5).

r_pred = Σ_I r_I(o_I),   e = r_pred − r_team,   L = mean[ misfit(e) ] + λ · mean[ Σ_I w(|I|) |r_I| ]
r̂_i = Σ_{I∋i} r_I / |I|,   the reward of block J is Σ_{i∈J} r̂_i where |e| < Δ
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.algos.rewards.set_rewards import SetRewards
from marlpipe.algos.rewards.sets import Sets, shares
from marlpipe.errors import Bound, Count, Factor, Few, Positive, Share, UserError, bounds_of, check_numbers
from marlpipe.models.utilities import gather_valid, masked_mean, scatter_valid
from marlpipe.types import EnvSpec, EpisodeBatch, Metrics, OptimizerOf, Trained, TrainingBatch, Update


def accurate_steps(errors: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"], tolerance: float) -> Bool[Tensor, "B T"]:
    """The steps with |r_pred − r_team| < Δ (LOMAQ Algorithm 5), Δ = `tolerance`."""
    return valid & (errors.abs() < tolerance)


def steps_to_learn_from(
    errors: Float[Tensor, "B T"], valid: Bool[Tensor, "B T"], *, tolerance: float, accurate_share: float
) -> Bool[Tensor, "B T"]:
    """The accurate time steps; none at all unless they are more than `accurate_share` of the batch (LOMAQ's code).

    A share of 0 leaves Algorithm 5, which judges each step on its own.
    """
    accurate = accurate_steps(errors, valid, tolerance)
    return accurate & (accurate.sum() > accurate_share * valid.sum())


@runtime_checkable
class MakesModel(Protocol):
    """Makes the learned rewards of these sets."""

    def __call__(self, *, spec: EnvSpec, sets: Sets) -> SetRewards: ...


class Inferred(NamedTuple):
    """The learned rewards in some episodes; zero where not valid."""

    agent_rewards: Float[Tensor, "B T N"]  # r̂_i
    errors: Float[Tensor, "B T"]  # e


class LearnedReward(Reward):
    """Rewards of blocks from learned rewards of sets of agents.

    sets: a rule of `marlpipe.algos.rewards.sets`. model: the learned rewards of those sets.
    penalty: λ. size_weights: w(|I|) for |I| = 1, 2, …, the last one for all larger sets too.
    reduction: of both terms, a function of `marlpipe.algos.rewards.losses`.
    tolerance_per_agent: Δ/n. accurate_share: see `steps_to_learn_from`.
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
        sets: Callable[[Tensor], Sets],
        model: MakesModel,
        penalty: Factor,
        size_weights: Sequence[float],
        reduction: Callable[[Tensor, Tensor, float, int], Tensor],
        tolerance_per_agent: Positive,
        accurate_share: Share,
        optimizer: OptimizerOf,
        gradient_clip: Factor,
        batch_episodes: Count,
        updates_per_batch: Few,
    ) -> None:
        super().__init__()
        self.spec, self.sets = spec, sets(spec.graph)
        self.model = model(spec=spec, sets=self.sets)
        self.penalty, self.reduction = penalty, reduction
        self.tolerance_per_agent, self.accurate_share = tolerance_per_agent, accurate_share
        self.optimizer, self.gradient_clip = optimizer, gradient_clip
        self.batch_episodes, self.updates_per_batch = batch_episodes, updates_per_batch
        check_numbers("reward", vars(self), bounds_of(type(self).__init__))
        self.register_buffer("shares", shares(self.sets, spec.n_agents), persistent=False)
        self.register_buffer("weights", weights_of(self.sets, size_weights), persistent=False)
        self.register_buffer("partition", partition, persistent=False)

    @property
    def tolerance(self) -> float:
        """Δ."""
        return self.tolerance_per_agent * self.spec.n_agents

    def forward(self, batch: EpisodeBatch) -> BlockRewards:
        """The block rewards of these episodes, without gradient."""
        learned = self.infer(batch)
        return BlockRewards(learned.agent_rewards @ self.partition.T, self.learn_mask(learned, batch.valid))

    @torch.no_grad()
    def infer(self, batch: EpisodeBatch) -> Inferred:
        """Agent rewards at the time steps that exist, and how far their sum is from the team reward."""
        obs, team_rewards = gather_valid(batch.valid, batch.obs[:, :-1], batch.team_rewards)
        rewards = self.model(obs)  # (V,I)
        return Inferred(
            scatter_valid(rewards @ self.shares, batch.valid),
            scatter_valid(rewards.sum(1) - team_rewards, batch.valid),
        )

    def learn_mask(self, learned: Inferred, valid: Bool[Tensor, "B T"]) -> Bool[Tensor, "B T"]:
        """The time steps to learn values from."""
        return steps_to_learn_from(learned.errors, valid, tolerance=self.tolerance, accurate_share=self.accurate_share)

    def updates(self, batch: TrainingBatch, generator: torch.Generator) -> Iterator[Update]:
        """Gradient steps, each on episodes drawn anew."""
        before = self.quality(batch.episodes)
        for _ in range(self.updates_per_batch):
            order = torch.randperm(len(batch.episodes.valid), generator=generator, device=generator.device)
            drawn = order[: self.batch_episodes]
            loss, metrics = self.loss(EpisodeBatch(*(field[drawn] for field in batch.episodes)))
            yield Update("decomposition", loss, {**metrics, **before})

    def trained(self) -> dict[str, Trained]:
        """Its networks, by the name that its updates use."""
        return {"decomposition": Trained(list(self.parameters()), self.optimizer, self.gradient_clip)}

    def loss(self, batch: EpisodeBatch) -> tuple[Float[Tensor, ""], Metrics]:
        """L over the transitions that exist: the last observation is only bootstrapped from and explains no reward."""
        terms = self.model.terms(*gather_valid(batch.valid, batch.obs[:, :-1], batch.team_rewards))
        magnitude = terms.magnitudes @ self.weights
        records = len(batch.valid) * (self.spec.horizon + 1)
        loss = self.reduction(terms.misfit, magnitude, self.penalty, records)
        return loss, {"decomposition_loss": loss.detach(), "regulariser": magnitude.detach().mean()}

    def quality(self, batch: EpisodeBatch) -> Metrics:
        """Accuracy of the learned rewards on a whole training batch, before its gradient steps."""
        learned, valid = self.infer(batch), batch.valid
        accurate, mask = accurate_steps(learned.errors, valid, self.tolerance), self.learn_mask(learned, valid)
        metrics = {
            "decomposition_accuracy": masked_mean(accurate.to(learned.errors), valid),
            "decomposition_error_abs": masked_mean(learned.errors.abs(), valid),
            "rejected_share": 1 - masked_mean(mask.to(learned.errors), valid),
        }
        if self.spec.local_rewards:
            metrics["local_reward_error"] = local_reward_error(learned.agent_rewards, batch.rewards, valid)
        return metrics


def local_reward_error(
    learned: Float[Tensor, "B T N"], true: Float[Tensor, "B T N"], valid: Bool[Tensor, "B T"]
) -> Float[Tensor, ""]:
    """The mean of |r̂_i − r_i|, each centred to a mean of zero over the batch for every agent.

    Without centring it would measure what the team reward does not determine: r_I + c_I with Σ_I c_I = 0 predicts the
    same team reward.
    """
    difference = learned[valid] - true[valid]  # (V,N)
    return (difference - difference.mean(0)).abs().mean()


def weights_of(sets: Sets, size_weights: Sequence[float]) -> Float[Tensor, " I"]:
    """w(|I|) of every set. UserError without a list of numbers that are not negative."""
    if not size_weights or not all(Bound(0, integer=False).holds(weight) for weight in size_weights):
        raise UserError(
            f"reward.size_weights={list(size_weights)} is not possible.\n"
            "  valid: numbers of at least 0 for sets of 1, 2, … agents, as in reward.size_weights=[0.0,1.0]"
        )
    return torch.tensor([float(size_weights[min(len(members), len(size_weights)) - 1]) for members in sets])
