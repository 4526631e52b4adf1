"""PAC: value factorisation assisted by counterfactual predictions, with maximum-entropy actors.

    y = returns of Q*′(s′, û),  û = argmax π,  Q_i from observations and messages m ~ N(μ, 1)
    L_critic = mean[ w (Q_tot − y)² ] + c · mean[ (Q*(s, u) − y)² ]
             + k · mean[ CE(predictor, label) + β KL(N(μ, 1) ‖ N(0, 1)) − β′ log N(m; 0, 1) ]
    L_actor = mean[ mixer(Σ_a π_i (α log π_i − Q_i)) ],  L_temperature = log α · mean[ Σ_i (H(π_i) − H̄) ]

(Zhou, Lan, Aggarwal 2022. The weights w are the `projection`, the labels `counterfactual_labels`.) Messages are sampled
for the losses and replaced by their means for diagnostics. Targets hear none: Q* has agents of its own, as in WQMIX.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call

from marlpipe.algos.algorithm import Algorithm
from marlpipe.algos.blocks import Fit, block_loss, check_one_block, fit_metrics, mixed
from marlpipe.algos.optimal_value import JointValues, OptimalValue, weighted_fit
from marlpipe.algos.pac_critic import AssistedCritic
from marlpipe.algos.pac_labels import counterfactual_labels
from marlpipe.algos.pac_policy import Temperature, entropies, log_policy, soft_costs
from marlpipe.algos.projections.context import Projection
from marlpipe.algos.rewards.reward import BlockRewards, Reward
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.monotonicity.method import Monotonicity
from marlpipe.models.utilities import greedy_actions, masked_mean, taken_utilities
from marlpipe.types import EnvSpec, EpisodeBatch, Factorisation, Metrics, Trained, TrainingBatch, Update


class PAC(Algorithm):
    """Actors, which are executed; their critics and mixer; and Q*.

    actor: from an agent network to the one whose outputs are the policy's logits. critic: see `AssistedCritic`.
    loss_factor: factor of the weighted error. central_loss_factor: c. label_chunk: how many joint actions Q* is asked
    for at once.
    """

    partition: Float[Tensor, "J N"]

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
        actor: Callable[[Agent], Agent],
        critic: Callable[..., AssistedCritic],
        central_mixer: Callable[..., nn.Module],
        temperature: Callable[..., Temperature],
        loss_factor: float,
        central_loss_factor: float,
        label_chunk: int,
    ) -> None:
        super().__init__()
        check_one_block(partition, "PAC")
        self.agent = actor(agent(spec=spec))
        self.critic = critic(spec=spec, agent=agent)
        self.mixer = mixer(spec=spec, partition=partition, monotonicity=monotonicity)
        self.optimal_value = OptimalValue(spec=spec, partition=partition, agent=agent, mixer=central_mixer)
        self.temperature = temperature(spec=spec)
        self.monotonicity, self.projection, self.reward, self.returns = monotonicity, projection, reward, returns
        self.loss_factor, self.central_loss_factor = loss_factor, central_loss_factor
        self.label_chunk = label_chunk
        self.register_buffer("partition", partition, persistent=False)

    def updates(self, batch: TrainingBatch) -> Iterator[Update]:
        """The reward's gradient steps; then, if any step is trusted, those of critic, actor and temperature."""
        yield from self.reward.updates(batch)
        episodes, paid = batch.episodes, self.reward(batch.episodes)
        if not paid.trusted.any():
            return
        logits = self.agent(episodes.obs, episodes.last_actions, episodes.filled)
        loss, metrics = self.critic_loss(episodes, paid, greedy_actions(logits.detach(), episodes.avail_actions))
        yield Update("critic", loss, {"loss": loss.detach(), **metrics})

        pi, log_pi = log_policy(logits[:, :-1], episodes.avail_actions[:, :-1])
        temperature = self.temperature(batch.progress.env_steps)
        loss = self.actor_loss(episodes, paid.trusted, pi, log_pi, temperature)
        yield Update("actor", loss, {"actor_loss": loss.detach()})

        entropy = entropies(pi.detach(), log_pi.detach())
        loss = self.temperature.loss(entropy, paid.trusted)
        metrics = {
            "temperature_loss": loss.detach(),
            "temperature": temperature,
            "policy_entropy": masked_mean(entropy.mean(-1), paid.trusted),
        }
        yield Update("temperature", loss, metrics)

    def critic_loss(
        self, batch: EpisodeBatch, paid: BlockRewards, greedy: Int[Tensor, "B T1 N"]
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """L_critic for û = `greedy`, and metrics without gradient. Some step must be trusted."""
        state, trusted = batch.state[:, :-1], paid.trusted
        assisted = self.critic(batch, sampled=True)
        target = self.optimal_value.target(batch)
        with torch.no_grad():
            labels = counterfactual_labels(
                greedy[:, :-1][trusted],
                target.utilities[:, :-1][trusted],
                batch.avail_actions[:, :-1][trusted],
                state[trusted],
                lambda u, s: target.mixer(u.unsqueeze(0), s.unsqueeze(0)).squeeze((0, -1)),
                self.label_chunk,
            )
        fit = self.fit(batch, paid, assisted.utilities, greedy, target)
        central_error = self.optimal_value(batch).of(batch.actions) - fit.context.targets
        weighted_loss = self.loss_factor * block_loss(fit.weights * fit.td_error**2, trusted, "sum")
        central_loss = self.central_loss_factor * block_loss(central_error**2, trusted, "sum")
        communication_loss, metrics = self.critic.communication_loss(assisted, batch, labels, trusted)
        penalty = self.monotonicity.penalty(
            fit.values, fit.utilities, trusted, lambda u: mixed(self.mixer, u, state, batch.valid)
        )
        learned = weighted_loss + central_loss + communication_loss
        metrics |= {
            "td_loss": weighted_loss.detach(),
            "central_loss": central_loss.detach(),
            "penalty": penalty.detach(),
            "label_changed": (labels != greedy[:, :-1][trusted]).any(-1).to(learned).mean(),
            **fit_metrics(fit),
        }
        return self.monotonicity.penalty.loss_share * learned + penalty, metrics

    def fit(
        self,
        batch: EpisodeBatch,
        paid: BlockRewards,
        all_utilities: Float[Tensor, "B T1 N A"],
        greedy: Int[Tensor, "B T1 N"],
        target: JointValues,
    ) -> Fit:
        """Values Q_tot of the critics' utilities, targets y and weights w."""
        return weighted_fit(
            batch,
            paid,
            all_utilities,
            greedy,
            mixer=self.mixer,
            target=target,
            projection=self.projection,
            returns=self.returns,
            partition=self.partition,
        )

    def actor_loss(
        self,
        batch: EpisodeBatch,
        trusted: Bool[Tensor, "B T"],
        pi: Float[Tensor, "B T N A"],
        log_pi: Float[Tensor, "B T N A"],
        temperature: Float[Tensor, ""],
    ) -> Float[Tensor, ""]:
        """L_actor: only π carries a gradient. The critics are those of this moment, with messages of their own."""
        with torch.no_grad():
            utilities = self.critic(batch, sampled=True).utilities[:, :-1]
        constants = {name: parameter.detach() for name, parameter in self.mixer.named_parameters()}

        def mix(costs: Tensor, state: Tensor) -> Tensor:
            values: Tensor = functional_call(self.mixer, constants, (costs, state))
            return values

        costs = soft_costs(pi, log_pi, utilities, temperature)
        return masked_mean(mixed(mix, costs, batch.state[:, :-1], batch.valid).sum(-1), trusted)

    def trained(self) -> dict[str, Trained]:
        """The actor, the temperature, the reward's own, and as `critic` all other parameters that learn."""
        others = [self.agent, self.temperature, self.reward]
        elsewhere = {id(parameter) for part in others for parameter in part.parameters()}
        critic = [p for p in self.parameters() if p.requires_grad and id(p) not in elsewhere]
        return {
            **self.reward.trained(),
            "critic": Trained(critic),
            "actor": Trained(list(self.agent.parameters())),
            "temperature": self.temperature.trained(),
        }

    @torch.no_grad()
    def factorisation(self, batch: EpisodeBatch) -> Factorisation:
        """Q_tot of any joint actions with the means of messages, Q* beside it; `utilities` are the actors' logits."""
        state = batch.state[:, :-1]
        logits = self.agent(batch.obs, batch.last_actions, batch.filled)
        utilities = self.critic(batch, sampled=False).utilities
        greedy = greedy_actions(logits, batch.avail_actions)
        fit = self.fit(batch, self.reward(batch), utilities, greedy, self.optimal_value.target(batch))
        return Factorisation(
            utilities=logits[:, :-1],
            joint_value=lambda actions: mixed(
                self.mixer, taken_utilities(utilities[:, :-1], actions), state, batch.valid
            ).sum(-1),
            slopes=fit.context.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
            optimal_value=self.optimal_value(batch).total,
        )

    def sync_targets(self) -> None:
        """Hard copy of what the targets are made of."""
        self.optimal_value.sync_target()

    def after_step(self) -> None:
        """What the monotonicity method does to the parameters once the optimiser has stepped."""
        self.monotonicity.after_step(self.mixer)
