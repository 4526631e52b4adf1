"""Decomposed off-policy policy gradients with stochastic policies: DOP.

    Q_tot = Σ_i k_i(s) Q_i(s, o_i, a_i) + b(s),    π_i = (1 − ε) softmax(logits_i) + ε/A over the available actions
    critic: for each moment t in turn a step on mean_b[ (Q_tot − y)² ]
        y: TD(λ) of Q_tot′ for recent episodes, the tree backup of Q_tot′ under π for the others
    actor: − mean[ k_i(s) A_i log π_i(a_i) ],    A_i = Q_i(a_i) − Σ_a π_i(a) Q_i(a), for recent episodes

(Wang, Han, Wang, Dong, Zhang 2021, in the form of its public code.)
"""

import copy
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from marlpipe.algos.algorithm import Algorithm
from marlpipe.algos.blocks import check_one_block, mixed
from marlpipe.algos.dop_critic import IndividualCritic, Places, action_values
from marlpipe.algos.projections.context import Projection
from marlpipe.algos.projections.weighted import check_unweighted
from marlpipe.algos.rewards.reward import Reward
from marlpipe.errors import UserError
from marlpipe.models.agents.agent import Agent
from marlpipe.models.exploration import Behaviour, epsilon_softmax, softmax_policy
from marlpipe.models.mixers.linear import LinearMixer
from marlpipe.models.mixers.own import check_own
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import masked_mean, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics, OptimizerOf, Trained, TrainingBatch, Update


class DOP(Algorithm):
    """An actor, whose logits are the utilities, and critics with their linear mixer and targets of both.

    returns: y of recent episodes. tree_backup: y of the others. critic_step_mode: which places each critic step has.
    critic_optimizer: of critic and mixer together, which at one learning rate is the same as one optimiser for each.
    target_update_critic_steps: critic steps between two copies of critic and mixer; counted at the end of the batch.
    recent_share: of a batch of `batch_episodes` the last rows, which are recent episodes.
    """

    steps_since_copy: Int[Tensor, ""]

    def __init__(
        self,
        *,
        spec: EnvSpec,
        partition: Float[Tensor, "J N"],
        agent: Callable[..., Agent],
        mixer: object,
        monotonicity: Monotonicity,
        projection: Projection,
        reward: Reward,
        critic: Callable[..., IndividualCritic],
        critic_mixer: Callable[..., LinearMixer],
        returns: Callable[..., Tensor],
        tree_backup: Callable[..., Tensor],
        critic_step_mode: Callable[[Tensor], Iterator[Places]],
        critic_optimizer: OptimizerOf,
        critic_gradient_clip: float,
        target_update_critic_steps: int,
        recent_share: float,
        batch_episodes: int,
        behaviour: Behaviour,
    ) -> None:
        super().__init__()
        check_own(mixer, "DOP")
        check_unweighted(projection, "DOP")
        check_one_block(partition, "DOP")
        check_recent(recent_share, batch_episodes)
        check_behaviour(behaviour)
        self.agent, self.reward = agent(spec=spec), reward
        self.critic, self.critic_mixer = critic(spec=spec), critic_mixer(spec=spec)
        monotonicity.check(self.critic_mixer)
        self.target_critic = copy.deepcopy(self.critic).requires_grad_(False)
        self.target_critic_mixer = copy.deepcopy(self.critic_mixer).requires_grad_(False)
        self.returns, self.tree_backup, self.critic_step_mode = returns, tree_backup, critic_step_mode
        self.critic_optimizer, self.critic_gradient_clip = critic_optimizer, critic_gradient_clip
        self.target_update_critic_steps, self.recent_share = target_update_critic_steps, recent_share
        self.register_buffer("steps_since_copy", torch.tensor(0))

    def updates(self, batch: TrainingBatch) -> Iterator[Update]:
        """The reward's gradient steps, one of the critics for each moment, and one of the actor."""
        yield from self.reward.updates(batch)
        episodes, epsilon, paid = batch.episodes, batch.progress.epsilon, self.reward(batch.episodes)
        if not paid.trusted.any():
            return
        targets = self.targets(episodes, paid.rewards, epsilon)
        fits, losses = [], []
        for places in self.critic_step_mode(paid.trusted):
            q_tot, y = self.q_tot(episodes, places), targets[places].squeeze(-1)
            loss = (q_tot - y).square().mean()
            fits.append(torch.stack([q_tot.detach(), y]))
            losses.append(loss.detach())
            yield Update("critic", loss, {})
        self.copy_when_due(len(losses))
        actor_loss, metrics = self.actor_loss(episodes.map(lambda field: field[self.recent(len(field))]), epsilon)
        yield Update(
            "actor",
            actor_loss,
            {"td_loss": torch.stack(losses).mean(), **fit_metrics(torch.cat(fits, dim=1)), **metrics},
        )

    @torch.no_grad()
    def targets(self, batch: EpisodeBatch, rewards: Float[Tensor, "B T 1"], epsilon: float) -> Float[Tensor, "B T 1"]:
        """y by the target networks and the policy that acts now. A truncated episode bootstraps from E_π[Q_tot′]."""
        policy = self.policy(batch, epsilon)
        q = action_values(self.target_critic, batch.obs, batch.state, batch.filled)
        taken = mixed(
            self.target_critic_mixer, taken_utilities(q[:, :-1], batch.actions), batch.state[:, :-1], batch.valid
        )
        expected = mixed(self.target_critic_mixer, (policy * q).sum(-1), batch.state, batch.filled)
        probabilities = taken_utilities(policy[:, :-1], batch.actions).prod(-1)
        targets: Tensor = self.tree_backup(rewards, taken, expected, probabilities, batch.terminated, batch.valid)

        experienced = torch.where(batch.valid.unsqueeze(-1), taken, expected[:, :-1])
        experienced = torch.cat([experienced, expected[:, -1:]], dim=1)
        on_policy = (rewards, experienced, batch.terminated, batch.valid)
        recent = self.recent(len(rewards))
        targets[recent] = self.returns(*(field[recent] for field in on_policy))
        return targets

    def q_tot(self, batch: EpisodeBatch, places: Places) -> Float[Tensor, " V"]:
        """The value of the actions taken at these places; the critics see nothing else."""
        obs, state, actions = (field[places].unsqueeze(0) for field in (batch.obs, batch.state, batch.actions))
        values: Tensor = self.critic_mixer(taken_utilities(self.critic(obs, state), actions), state)
        return values.flatten()

    def actor_loss(self, batch: EpisodeBatch, epsilon: float) -> tuple[Float[Tensor, ""], Metrics]:
        """− mean[ k_i(s) A_i log π_i(a_i) ] over steps and agents. The actor alone moves by it: k, A are constants."""
        policy = self.policy(batch, epsilon)[:, :-1]
        log_policy = policy.clamp(min=torch.finfo(policy.dtype).tiny).log()
        with torch.no_grad():
            state = batch.state[:, :-1]
            q = action_values(self.critic, batch.obs[:, :-1], state, batch.valid)
            advantages = taken_utilities(q, batch.actions) - (policy * q).sum(-1)
            credits = self.critic_mixer.credits(state)
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
        """π_i of all actions at all moments."""
        return softmax_policy(self.agent(batch.obs, batch.last_actions, batch.filled), batch.avail_actions, epsilon)

    def recent(self, episodes: int) -> slice:
        """The rows of a batch that the loader drew from the latest episodes: the last ones."""
        return slice(episodes - round(self.recent_share * episodes), episodes)

    def trained(self) -> dict[str, Trained]:
        """Critic and mixer with an optimiser and a clip of their own, and the actor with the profile's."""
        critics = [*self.critic.parameters(), *self.critic_mixer.parameters()]
        return {
            **self.reward.trained(),
            "critic": Trained(critics, self.critic_optimizer, self.critic_gradient_clip),
            "actor": Trained(list(self.agent.parameters())),
        }

    @torch.no_grad()
    def copy_when_due(self, critic_steps: int) -> None:
        """Hard copy of critic and mixer, once enough critic steps were made since the last one."""
        self.steps_since_copy += critic_steps
        if self.steps_since_copy >= self.target_update_critic_steps:
            self.target_critic.load_state_dict(self.critic.state_dict())
            self.target_critic_mixer.load_state_dict(self.critic_mixer.state_dict())
            self.steps_since_copy.zero_()

    def sync_targets(self) -> None:
        """Nothing: `updates` copies the targets, by critic steps instead of episodes."""

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_tot of any joint actions beside the actor's logits.

        IGM here asks whether the most probable joint action is the one that the critics value most: the policy follows
        them slowly, and only where it acts. Slopes are ∂Q_tot/∂Q_i = k_i, block gradients those of the critics' error
        under the policy without ε.
        """
        state, rewards = batch.state[:, :-1], self.reward(batch).rewards
        q = action_values(self.critic, batch.obs[:, :-1], state, batch.valid)
        credits, offset = self.critic_mixer.credits(state), self.critic_mixer.offset(state).squeeze(-1)

        def joint_value(actions: Int[Tensor, "B T N"]) -> Float[Tensor, "B T"]:
            return ((credits * taken_utilities(q, actions)).sum(-1) + offset).masked_fill(~batch.valid, 0)

        def block_gradients() -> Float[Tensor, " J"]:
            errors = joint_value(batch.actions) - self.targets(batch, rewards, 0.0).squeeze(-1)
            norm: Tensor = (errors.unsqueeze(-1) * credits)[batch.valid].norm()
            return norm.unsqueeze(0)

        return Factorisation(
            utilities=self.agent(batch.obs, batch.last_actions, batch.filled)[:, :-1],
            joint_value=joint_value,
            slopes=lambda: credits.unsqueeze(-2),
            reads=self.critic_mixer.reads,
            block_gradients=block_gradients,
        )


def fit_metrics(fits: Float[Tensor, "2 V"]) -> Metrics:
    """Means over the steps to learn from, each as it was just before its own critic step."""
    q_tot, target = fits
    return {"q_tot": q_tot.mean(), "target": target.mean(), "td_error_abs": (q_tot - target).abs().mean()}


def check_recent(recent_share: float, batch_episodes: int) -> None:
    """UserError if a batch has no recent episodes, from which alone the actor learns."""
    if round(recent_share * batch_episodes) == 0:
        raise UserError(
            f"DOP's actor learns from recent episodes, and replay.recent_share={recent_share} of "
            f"profile.batch_episodes={batch_episodes} is none.\n  valid: replay=latest or fast, or a larger batch"
        )


def check_behaviour(behaviour: Behaviour) -> None:
    """UserError if what acts is another policy than the one that learns."""
    if behaviour is not epsilon_softmax:
        raise UserError(
            "DOP learns the stochastic policy that acts, and this exploration acts by another one.\n"
            "  valid: exploration=softmax"
        )
