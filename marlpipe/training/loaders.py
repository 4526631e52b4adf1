"""The loaders drive the environment: one collects episodes and yields replay batches, the other greedy episodes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy
import torch
from lightning import LightningDataModule

from marlpipe.models.agents.agent import Agent
from marlpipe.models.exploration import LinearEpsilon
from marlpipe.training.replay import Replay
from marlpipe.training.rollout import rollout
from marlpipe.types import Env, EpisodeBatch, RunProgress, StateDict, TrainingBatch


class TrainingLoader:
    """Yields the batch of each gradient step, and collects episodes whenever a rollout is due.

    Sized and stateful, so that Lightning neither prefetches nor loses the position: the agent acts with the parameters
    after the previous gradient step.

    Args:
        parallel_episodes: episodes per rollout.
        updates_per_rollout: gradient steps after each rollout.
        batch_episodes: episodes per gradient step; the first one waits until the replay has as many.
        recent_share: part of a batch that is drawn from the last `recent_episodes` instead of the whole replay.
        env_steps: length of the run, which ends with the rollout that reaches it.
        generator: for acting, the environment and the replay.
    """

    def __init__(
        self,
        *,
        env: Env[Any],
        agent: Agent,
        exploration: LinearEpsilon,
        replay: Replay,
        batch_episodes: int,
        recent_share: float,
        recent_episodes: int,
        parallel_episodes: int,
        updates_per_rollout: int,
        env_steps: int,
        generator: torch.Generator,
    ) -> None:
        self.env, self.agent, self.exploration, self.replay = env, agent, exploration, replay
        self.batch_episodes, self.recent = batch_episodes, round(recent_share * batch_episodes)
        self.recent_episodes, self.parallel_episodes = recent_episodes, parallel_episodes
        self.updates_per_rollout, self.env_steps, self.generator = updates_per_rollout, env_steps, generator
        self.gradient_steps = 0
        self.progress = RunProgress(0, 0, exploration(0), math.nan, math.nan, 0, False)

    def __len__(self) -> int:
        """An upper bound on the gradient steps: each episode has at least one env step."""
        return self.updates_per_rollout * math.ceil(self.env_steps / self.parallel_episodes)

    def __iter__(self) -> Iterator[TrainingBatch]:
        while not self.progress.finished:
            if self.gradient_steps % self.updates_per_rollout == 0:
                self.collect()
            self.gradient_steps += 1
            left = -self.gradient_steps % self.updates_per_rollout
            finished = left == 0 and self.progress.env_steps >= self.env_steps
            self.progress = self.progress._replace(updates_left=left, finished=finished)
            episodes = self.replay.sample(
                self.batch_episodes, self.generator, recent=self.recent, window=self.recent_episodes
            )
            yield TrainingBatch(episodes, self.progress)

    def collect(self) -> None:
        """Adds one rollout to the replay; at the beginning, as many as a batch needs."""
        while True:
            epsilon = self.exploration(self.progress.env_steps)
            batch = rollout(
                self.env, self.agent, self.parallel_episodes, epsilon, self.generator, self.exploration.action_sampler
            )
            self.replay.add(batch)
            steps = int(batch.valid.sum())
            self.progress = RunProgress(
                env_steps=self.progress.env_steps + steps,
                episodes=self.progress.episodes + self.parallel_episodes,
                epsilon=epsilon,
                train_return=float(batch.rewards.sum() / self.parallel_episodes),
                train_length=steps / self.parallel_episodes,
                updates_left=self.updates_per_rollout,
                finished=False,
            )
            if self.replay.size >= self.batch_episodes:
                return

    def state_dict(self) -> StateDict:
        return {
            "replay": self.replay.state_dict(),
            "generator": self.generator.get_state(),
            "gradient_steps": self.gradient_steps,
            "progress": dict(self.progress._asdict()),
        }

    def load_state_dict(self, state: StateDict) -> None:
        self.replay.load_state_dict(state["replay"])
        self.generator.set_state(state["generator"].cpu())
        self.gradient_steps = state["gradient_steps"]
        self.progress = RunProgress(**state["progress"])


class EvaluationLoader:
    """Yields one batch of greedy episodes by decentralised execution. Seed and progress alone decide its randomness."""

    def __init__(
        self, *, env: Env[Any], agent: Agent, episodes: int, seed: int, device: torch.device, training: TrainingLoader
    ) -> None:
        self.env, self.agent, self.episodes, self.training = env, agent, episodes, training
        self.seed, self.device = seed, device

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[EpisodeBatch]:
        generator = torch.Generator(self.device).manual_seed(
            evaluation_seed(self.seed, self.training.progress.env_steps)
        )
        yield rollout(self.env, self.agent, self.episodes, 0.0, generator)


def evaluation_seed(seed: int, env_steps: int) -> int:
    """A separate seed for each evaluation of each run. 32 bits: torch's CPU generator ignores further ones."""
    return int(numpy.random.SeedSequence((seed, env_steps)).generate_state(1)[0])


class EpisodeData(LightningDataModule):
    """Hands the two loaders to Lightning."""

    def __init__(self, training: TrainingLoader, evaluation: EvaluationLoader) -> None:
        super().__init__()
        self.training, self.evaluation = training, evaluation

    def train_dataloader(self) -> TrainingLoader:
        return self.training

    def val_dataloader(self) -> EvaluationLoader:
        return self.evaluation
