"""Whether a run can be built: by its keys and values, and then by building it."""

import torch
from omegaconf import DictConfig

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
    build_optimizers(config, build_algorithm(config, build_env(config)))
    check_parts(plain[LAST], LAST)


def check_device(config: DictConfig) -> None:
    """UserError if the run is to use a GPU, and this machine has none that torch can use."""
    if config.trainer.accelerator == "gpu" and not torch.accelerator.is_available():
        raise UserError(
            "trainer.accelerator=gpu is not possible: torch finds no GPU on this machine.\n"
            "  valid: auto, cpu\n  next: trainer=cpu; or hydra/launcher=slurm, on a cluster that has GPUs"
        )
