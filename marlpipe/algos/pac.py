"""PAC: value factorisation assisted by counterfactual predictions, with maximum-entropy actors.

    y = returns of Q*′(s′, û),  û = argmax π,  Q_i from observations and messages m ~ N(μ, 1)
    L_critic = mean[ w (Q_tot − y)² ] + c · mean[ (Q*(s, u) − y)² ]
             + k · mean[ CE(predictor, label) + β KL(N(μ, 1) ‖ N(0, 1)) − β′ log N(m; 0, 1) ]
    L_actor = mean[ mixer(Σ_a π_i (α log π_i − Q_i)) ],  L_temperature = log α · mean[ Σ_i (H(π_i) − H̄) ]

(Zhou, Lan, Aggarwal 2022. The weights w are the `projection`, the labels `counterfactual_labels`.) Messages are sampled
for the losses and replaced by their means for diagnostics. Targets use none: Q* has agents of its own, as in WQMIX.
"""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import functional_call

from marlpipe.algos.algorithm import Algorithm
from marlpipe.algos.blocks import TDFit, block_loss, mix_valid, td_metrics
from marlpipe.algos.optimal_value import JointValues, OptimalValue, project_optimal_value
from marlpipe.algos.pac_critic import AssistedCritic
from marlpipe.algos.pac_labels import counterfactual_labels
from marlpipe.algos.pac_policy import Temperature, entropies, log_policy, soft_costs
from marlpipe.algos.parts import Accepts, MakesValue, Parts, Returns
from marlpipe.algos.rewards.reward import BlockRewards
from marlpipe.errors import Count, Factor
from marlpipe.models.agents.agent import Agent
from marlpipe.models.mixers.mixer import Mixer
from marlpipe.models.utilities import greedy_actions, masked_mean
from marlpipe.types import EnvSpec, EpisodeBatch, JointValueView, Makes, Metrics, Trained, TrainingBatch, Update


@runtime_checkable
class MakesCritic(Protocol):
    """Makes the critics, whose agents read messages in addition to observations."""

    def __call__(self, *, spec: EnvSpec, agent: Makes[Agent]) -> AssistedCritic: ...


class PAC(Algorithm):
    """Actors, which are executed; their critics and mixer; and Q*.

    actor: from an agent network to the one whose outputs are the policy's logits. critic: see `AssistedCritic`.
    loss_factor: factor of the weighted error. central_loss_factor: c. label_chunk: how many joint actions Q* evaluates
    at once.
    """

    accepts = Accepts(blocks="one", mixer="group", weights="any")
    mixer: Mixer
    partition: Float[Tensor, "J N"]

    def __init__(
        self,
        parts: Parts,
        *,
        returns: Returns,
        actor: Callable[[Agent], Agent],
        critic: MakesCritic,
        central_mixer: MakesValue,
        temperature: Makes[Temperature],
        loss_factor: Factor,
        central_loss_factor: Factor,
        label_chunk: Count,
    ) -> None:
        super().__init__(parts)
        self.agent = actor(parts.agent(spec=parts.spec))
        self.critic = critic(spec=parts.spec, agent=parts.agent)
        self.mixer = parts.mixer(spec=parts.spec, partition=parts.partition, monotonicity=parts.monotonicity)
        self.optimal_value = OptimalValue(parts, central_mixer)
        self.temperature = temperature(spec=parts.spec)
        self.projection, self.returns = parts.projection, returns
        self.loss_factor, self.central_loss_factor = loss_factor, central_loss_factor
        self.label_chunk = label_chunk
        self.register_buffer("partition", parts.partition, persistent=False)

    def updates(self, batch: TrainingBatch, generator: torch.Generator) -> Iterator[Update]:
        """The reward's gradient steps; then, if the mask keeps any step, those of critic, actor and temperature."""
        yield from self.reward.updates(batch, generator)
        episodes, block_rewards = batch.episodes, self.reward(batch.episodes)
        mask = block_rewards.learn_mask
        if not mask.any():
            return
        logits = self.agent(episodes.obs, episodes.last_actions, episodes.filled)
        greedy = greedy_actions(logits.detach(), episodes.avail_actions)
        loss, metrics = self.critic_loss(episodes, block_rewards, greedy, generator)
        yield Update("critic", loss, {"loss": loss.detach(), **metrics})

        pi, log_pi = log_policy(logits[:, :-1], episodes.avail_actions[:, :-1])
        temperature = self.temperature(batch.progress.env_steps)
        loss = self.actor_loss(episodes, mask, pi, log_pi, temperature, generator)
        yield Update("actor", loss, {"actor_loss": loss.detach()})

        entropy = entropies(pi.detach(), log_pi.detach())
        loss = self.temperature.loss(entropy, mask)
        metrics = {
            "temperature_loss": loss.detach(),
            "temperature": temperature,
            "policy_entropy": masked_mean(entropy.mean(-1), mask),
        }
        yield Update("temperature", loss, metrics)

    def critic_loss(
        self,
        batch: EpisodeBatch,
        block_rewards: BlockRewards,
        greedy: Int[Tensor, "B T1 N"],
        generator: torch.Generator,
    ) -> tuple[Float[Tensor, ""], Metrics]:
        """L_critic for û = `greedy`, and metrics without gradient. The mask must keep some time step."""
        mask = block_rewards.learn_mask
        assisted = self.critic(batch, generator)
        target = self.optimal_value.target(batch)
        with torch.no_grad():
            labels = counterfactual_labels(
                greedy[:, :-1][mask],
                target.utilities[:, :-1][mask],
                batch.avail_actions[:, :-1][mask],
                batch.state[:, :-1][mask],
                lambda u, s: target.mixer(u.unsqueeze(0), s.unsqueeze(0)).squeeze((0, -1)),
                self.label_chunk,
            )
        fit = self.predict(batch, block_rewards, assisted.utilities, greedy, target)
        central_error = self.optimal_value(batch).of(batch.actions) - fit.targets
        weighted_loss = self.loss_factor * block_loss(fit.errors, mask, "sum")
        central_loss = self.central_loss_factor * block_loss(central_error**2, mask, "sum")
        communication_loss, metrics = self.critic.communication_loss(assisted, batch, labels, mask)
        losses = weighted_loss + central_loss + communication_loss
        total, penalty = self.monotonicity.penalised(losses, fit.values, fit.utilities, mask, fit.mix, generator)
        metrics |= {
            "td_loss": weighted_loss.detach(),
            "central_loss": central_loss.detach(),
            "penalty": penalty.detach(),
            "label_changed": (labels != greedy[:, :-1][mask]).any(-1).to(losses).mean(),
            **td_metrics(fit),
        }
        return total, metrics

    def predict(
        self,
        batch: EpisodeBatch,
        block_rewards: BlockRewards,
        all_utilities: Float[Tensor, "B T1 N A"],
        greedy: Int[Tensor, "B T1 N"],
        target: JointValues,
    ) -> TDFit:
        """Values Q_tot of the critics' utilities, targets y and weights w."""
        return project_optimal_value(
            batch,
            block_rewards,
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
        mask: Bool[Tensor, "B T"],
        pi: Float[Tensor, "B T N A"],
        log_pi: Float[Tensor, "B T N A"],
        temperature: Float[Tensor, ""],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """L_actor: only π carries a gradient. The critics are those after their own step, with messages drawn anew."""
        with torch.no_grad():
            utilities = self.critic(batch, generator).utilities[:, :-1]
        constants = {name: parameter.detach() for name, parameter in self.mixer.named_parameters()}

        def mix(costs: Tensor, state: Tensor) -> Tensor:
            values: Tensor = functional_call(self.mixer, constants, (costs, state))
            return values

        costs = soft_costs(pi, log_pi, utilities, temperature)
        return masked_mean(mix_valid(mix, costs, batch.state[:, :-1], batch.valid).sum(-1), mask)

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
    def joint_value_view(self, batch: EpisodeBatch) -> JointValueView:
        """Q_tot of any joint actions with the means of messages, and Q*; `utilities` are the actors' logits."""
        logits = self.agent(batch.obs, batch.last_actions, batch.filled)
        utilities = self.critic(batch, None).utilities
        greedy = greedy_actions(logits, batch.avail_actions)
        fit = self.predict(batch, self.reward(batch), utilities, greedy, self.optimal_value.target(batch))
        return JointValueView(
            utilities=logits[:, :-1],
            joint_value=fit.joint_value,
            slopes=fit.slopes,
            reads=self.mixer.reads,
            block_gradients=fit.block_gradients,
            optimal_value=self.optimal_value(batch).total,
        )
