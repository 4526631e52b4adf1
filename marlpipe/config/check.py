"""Whether a run can be built: by its keys and values, and then by building it."""

import torch
from omegaconf import DictConfig

from marlpipe.algos.algorithm import Algorithm
from marlpipe.config.build import build_algorithm, build_env, build_optimizers
from marlpipe.config.compose import resolved
from marlpipe.config.keys import check_parts
from marlpipe.config.schema import check_sizes
from marlpipe.errors import UserError

LAST = "logger"  # its class imports W&B, which takes longer than all others


def check_run(config: DictConfig) -> None:
    """UserError if this run could not be built. It is built on the CPU, and thrown away."""
    plain = resolved(config)
    check_parts({key: part for key, part in plain.items() if key != LAST}, "")
    check_sizes(config)
    algorithm = build_algorithm(config, build_env(config))
    check_sequences(config, algorithm)
    build_optimizers(config, algorithm)
    check_parts(plain[LAST], LAST)


def check_sequences(config: DictConfig, algorithm: Algorithm) -> None:
    """UserError if batches are to be made of pieces of episodes, which the agent has to read from their beginning."""
    steps = config.profile.get("sequence_steps")
    if steps is not None and algorithm.agent.reads_history:
        raise UserError(
            f"profile.sequence_steps={steps}: the agent reads an episode from its beginning, and its batches would be "
            "pieces from the middle.\n"
            "  valid: null, or an agent without memory and last action\n"
            "  next: profile.sequence_steps=null profile.batch_episodes=8, or agent=feedforward"
        )


def check_device(config: DictConfig) -> None:
    """UserError if the run is to use a GPU, and this machine has none that torch can use."""
    if config.trainer.accelerator == "gpu" and not torch.accelerator.is_available():
        raise UserError(
            "trainer.accelerator=gpu is not possible: torch finds no GPU on this machine.\n"
            "  valid: auto, cpu\n  next: trainer=cpu; or hydra/launcher=slurm, on a cluster that has GPUs"
        )
