"""One training step as the learner takes it."""

import torch
from omegaconf import DictConfig
from torch import nn

from benchmarks.measurement import Work
from benchmarks.tasks import EPSILON, built, episodes, on_carts
from marlpipe.algos.algorithm import Algorithm
from marlpipe.config.build import build_part
from marlpipe.types import EpisodeBatch, RunProgress, TrainingBatch


def training_step(config: DictConfig, algorithm: Algorithm, batch: EpisodeBatch) -> Work:
    """Losses with the targets' forward pass, backward passes, clipping, optimisers."""
    trained, default = algorithm.trained(), build_part(config.profile, "optimizer")
    optimizers = {name: (owned.optimizer or default)(owned.parameters) for name, owned in trained.items()}
    learned_from = TrainingBatch(
        batch, RunProgress(int(batch.valid.sum()), len(batch.valid), EPSILON, 0.0, 0.0, 0, False)
    )

    generator = torch.Generator()

    def step() -> None:
        for name, loss, _ in algorithm.updates(learned_from, generator):
            optimizers[name].zero_grad()
            torch.autograd.backward(loss)
            own_clip = trained[name].gradient_clip
            clip = config.profile.gradient_clip if own_clip is None else own_clip
            nn.utils.clip_grad_norm_(trained[name].parameters, clip or torch.inf)
            optimizers[name].step()
            algorithm.after_step()

    return step


def update(algo: str, *, agents: int, steps: int, batch: int) -> Work:
    """One training step on full episodes of carts."""
    config = on_carts(algo, agents=agents, steps=steps)
    algorithm = built(config)
    acted = episodes(config, algorithm, batch)
    assert acted.valid.all()
    assert acted.valid.shape == (batch, steps)
    return training_step(config, algorithm, acted)
