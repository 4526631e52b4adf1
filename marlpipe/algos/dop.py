"""Decomposed off-policy policy gradients with stochastic policies: DOP.

    Q_tot = Σ_i k_i(s) Q_i(s, o_i, a_i) + b(s),    π_i = (1 − ε) softmax(logits_i) + ε/A over the available actions
    critic: for each time step t in turn a gradient step on mean_b[ (Q_tot − y)² ]
        y: TD(λ) of Q_tot′ for recent episodes, the tree backup of Q_tot′ under π for the others
    actor: − mean[ k_i(s) A_i log π_i(a_i) ],    A_i = Q_i(a_i) − Σ_a π_i(a) Q_i(a), for recent episodes

(Wang, Han, Wang, Dong, Zhang 2021, in the form of its public code.)
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from marlpipe.algos.algorithm import Algorithm
from marlpipe.algos.blocks import gradient_norm, mix_valid
from marlpipe.algos.dop_critic import IndividualCritic
from marlpipe.algos.parts import Accepts, Parts, Returns
from marlpipe.errors import Count, Factor, Share, UserError
from marlpipe.models.exploration import ActionSampler, epsilon_softmax, softmax_policy
from marlpipe.models.mixers.linear import LinearMixer
from marlpipe.models.utilities import StepIndex, apply_valid, masked_mean, taken_utilities
from marlpipe.types import EpisodeBatch, JointValueView, Makes, Metrics, OptimizerOf, Trained, TrainingBatch, Update


@runtime_checkable
class TreeBackup(Protocol):
    """Targets of off-policy episodes (`marlpipe.algos.targets.tree_backup_targets`)."""

    def __call__(
        self,
        rewards: Float[Tensor, "B T J"],
        values: Float[Tensor, "B T J"],
        expected_values: Float[Tensor, "B T1 J"],
        probabilities: Float[Tensor, "B T"],
        terminated: Bool[Tensor, "B T"],
        valid: Bool[Tensor, "B T"],
        /,
    ) -> Float[Tensor, "B T J"]: ...


class DOP(Algorithm):
    """An actor, whose logits are the utilities, and critics with their linear mixer and targets of both.

    returns: y of recent episodes. tree_backup: y of the others. critic_step_mode: the time steps of each critic step.
    critic_optimizer: of critic and mixer together, which at one learning rate is the same as one optimiser for each.
    target_update_critic_steps: critic steps between two copies of critic and mixer; counted at the end of the batch.
    recent_share: of a batch of `batch_episodes` the last rows, which are recent episodes.
    """

    accepts = Accepts(blocks="one", mixer="builtin", weights="uniform")
    mixer: LinearMixer
    steps_since_copy: Int[Tensor, ""]

    def __init__(
        self,
        parts: Parts,
        *,
        critic: Makes[IndividualCritic],
        critic_mixer: Makes[LinearMixer],
        returns: Returns,
        tree_backup: TreeBackup,
        critic_step_mode: Callable[[Tensor], Iterator[StepIndex]],
        critic_optimizer: OptimizerOf,
        critic_gradient_clip: Factor,
        target_update_critic_steps: Count,
        recent_share: Share,
        batch_episodes: Count,
        action_sampler: ActionSampler,
    ) -> None:
        super().__init__(parts)
        check_recent(recent_share, batch_episodes)
        check_action_sampler(action_sampler)
        self.agent = parts.agent(spec=parts.spec)
        self.critic, self.mixer = critic(spec=parts.spec), critic_mixer(spec=parts.spec)
        self.monotonicity.check(self.mixer)
        self.target_critic, self.target_mixer = self.target_of(self.critic), self.target_of(self.mixer)
        self.returns, self.tree_backup, self.critic_step_mode = returns, tree_backup, critic_step_mode
        self.critic_optimizer, self.critic_gradient_clip = critic_optimizer, critic_gradient_clip
        self.target_update_critic_steps, self.recent_share = target_update_critic_steps, recent_share
        self.register_buffer("steps_since_copy", torch.tensor(0))

    def updates(self, batch: TrainingBatch, generator: torch.Generator) -> Iterator[Update]:
        """The reward's gradient steps, one of the critics for each time step, and one of the actor."""
        yield from self.reward.updates(batch, generator)
        episodes, epsilon, block_rewards = batch.episodes, batch.progress.epsilon, self.reward(batch.episodes)
        if not block_rewards.learn_mask.any():
            return
        targets = self.targets(episodes, block_rewards.rewards, epsilon)
        fits, losses = [], []
        for index in self.critic_step_mode(block_rewards.learn_mask):
            q_tot, y = self.q_tot(episodes, index), targets[index].squeeze(-1)
            loss = (q_tot - y).square().mean()
            fits.append(torch.stack([q_tot.detach(), y]))
            losses.append(loss.detach())
            yield Update("critic", loss, {})
        self.copy_when_due(len(losses))
        actor_loss, metrics = self.actor_loss(episodes.map(lambda field: field[self.recent(len(field))]), epsilon)
        yield Update(
            "actor",
            actor_loss,
            {"td_loss": torch.stack(losses).mean(), **td_metrics(torch.cat(fits, dim=1)), **metrics},
        )

    @torch.no_grad()
    def targets(self, batch: EpisodeBatch, rewards: Float[Tensor, "B T 1"], epsilon: float) -> Float[Tensor, "B T 1"]:
        """y by the target networks and the policy that acts now. A truncated episode bootstraps from E_π[Q_tot′]."""
        policy = self.policy(batch, epsilon)
        q = apply_valid(self.target_critic, batch.filled, batch.obs, batch.state)
        taken = mix_valid(
            self.target_mixer, taken_utilities(q[:, :-1], batch.actions), batch.state[:, :-1], batch.valid
        )
        expected = mix_valid(self.target_mixer, (policy * q).sum(-1), batch.state, batch.filled)
        probabilities = taken_utilities(policy[:, :-1], batch.actions).prod(-1)
        targets: Tensor = self.tree_backup(rewards, taken, expected, probabilities, batch.terminated, batch.valid)

        experienced = torch.where(batch.valid.unsqueeze(-1), taken, expected[:, :-1])
        experienced = torch.cat([experienced, expected[:, -1:]], dim=1)
        on_policy = (rewards, experienced, batch.terminated, batch.valid)
        recent = self.recent(len(rewards))
        targets[recent] = self.returns(*(field[recent] for field in on_policy))
        return targets

    def q_tot(self, batch: EpisodeBatch, index: StepIndex) -> Float[Tensor, " V"]:
        """The value of the actions taken at these time steps; nothing is computed at others."""
        obs, state, actions = (field[index].unsqueeze(0) for field in (batch.obs, batch.state, batch.actions))
        values: Tensor = self.mixer(taken_utilities(self.critic(obs, state), actions), state)
        return values.flatten()

    def actor_loss(self, batch: EpisodeBatch, epsilon: float) -> tuple[Float[Tensor, ""], Metrics]:
        """− mean[ k_i(s) A_i log π_i(a_i) ] over steps and agents. The actor alone moves by it: k, A are constants."""
        policy = self.policy(batch, epsilon)[:, :-1]
        log_policy = policy.clamp(min=torch.finfo(policy.dtype).tiny).log()
        with torch.no_grad():
            state = batch.state[:, :-1]
            q = apply_valid(self.critic, batch.valid, batch.obs[:, :-1], state)
            advantages = taken_utilities(q, batch.actions) - (policy * q).sum(-1)
            credits = self.mixer.credits(state)
            entropies = -(policy * log_policy).sum(-1)
        gains = credits * advantages * taken_utilities(log_policy, batch.actions)
        loss = -masked_mean(gains.mean(-1), batch.valid)
        metrics = {
            "actor_loss": loss.detach(),
            "advantage_abs": masked_mean(advantages.abs().mean(-1), batch.valid),
            "policy_entropy": masked_mean(entropies.mean(-1), batch.valid),
        }
        return loss, metrics

    def policy(self, batch: EpisodeBatch, epsilon: float) -> Float[Tensor, "B T1 N A"]:
        """π_i of all actions at all time steps."""
        return softmax_policy(self.agent(batch.obs, batch.last_actions, batch.filled), batch.avail_actions, epsilon)

    def recent(self, episodes: int) -> slice:
        """The rows of a batch that the loader drew from the latest episodes: the last ones."""
        return slice(episodes - round(self.recent_share * episodes), episodes)

    def trained(self) -> dict[str, Trained]:
        """Critic and mixer with an optimiser and a clip of their own, and the actor with the profile's."""
        critics = [*self.critic.parameters(), *self.mixer.parameters()]
        return {
            **self.reward.trained(),
            "critic": Trained(critics, self.critic_optimizer, self.critic_gradient_clip),
            "actor": Trained(list(self.agent.parameters())),
        }

    def copy_when_due(self, critic_steps: int) -> None:
        """Copies critic and mixer into their targets, once enough critic steps were made since the last copy."""
        self.steps_since_copy += critic_steps
        if self.steps_since_copy >= self.target_update_critic_steps:
            super().sync_targets()
            self.steps_since_copy.zero_()

    def sync_targets(self) -> None:
        """Nothing: `updates` copies the targets, by critic steps instead of episodes."""

    @torch.no_grad()
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_tot of any joint actions, and the actor's logits as utilities.

        IGM here asks whether the most probable joint action is the one that the critics value most: the policy follows
        them slowly, and only where it acts. Slopes are ∂Q_tot/∂Q_i = k_i, block gradients those of the critics' error
        with targets under the policy without ε.
        """
        state, rewards = batch.state[:, :-1], self.reward(batch).rewards
        q = apply_valid(self.critic, batch.valid, batch.obs[:, :-1], state)
        credits, offset = self.mixer.credits(state), self.mixer.offset(state).squeeze(-1)

        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            return ((credits * taken_utilities(q, actions)).sum(-1) + offset).masked_fill(~batch.valid, 0)

        @torch.enable_grad()
        def block_gradients() -> Float[Tensor, " 1"]:
            values = taken_utilities(q, batch.actions).requires_grad_()
            q_tot = mix_valid(self.mixer, values, state, batch.valid).squeeze(-1)
            return gradient_norm((q_tot - self.targets(batch, rewards, 0.0).squeeze(-1)).square(), values)

        return JointValueView(
            utilities=self.agent(batch.obs, batch.last_actions, batch.filled)[:, :-1],
            joint_value=joint_value,
            slopes=lambda: credits.unsqueeze(-2),
            reads=self.mixer.reads,
            block_gradients=block_gradients,
        )


def td_metrics(fits: Float[Tensor, "2 V"]) -> Metrics:
    """Means over the time steps to learn from, each just before its own critic step."""
    q_tot, target = fits
    return {"q_tot": q_tot.mean(), "target": target.mean(), "td_error_abs": (q_tot - target).abs().mean()}


def check_recent(recent_share: float, batch_episodes: int) -> None:
    """UserError for a batch without recent episodes, the only ones that the actor learns from."""
    if round(recent_share * batch_episodes) == 0:
        raise UserError(
            f"DOP's actor learns from recent episodes, and replay.recent_share={recent_share} of "
            f"profile.batch_episodes={batch_episodes} is none.\n  valid: replay=latest or fast, or a larger batch"
        )


def check_action_sampler(action_sampler: ActionSampler) -> None:
    """UserError if the policy that acts is not the one that learns."""
    if action_sampler is not epsilon_softmax:
        raise UserError(
            "DOP learns the stochastic policy that acts, and this exploration acts by another policy.\n"
            "  valid: exploration=softmax"
        )
