"""Whether a run can be built, found out by building it."""

from omegaconf import DictConfig

from marlpipe.config.bounds import check_bounds
from marlpipe.config.build import build_algorithm, build_env
from marlpipe.config.keys import check_keys

LAST = ("trainer", "logger")  # their classes import Lightning and W&B, which take longer than all others


def check_run(config: DictConfig) -> None:
    """UserError if this run could not be built. It is built on the CPU, and thrown away."""
    check_keys(config, leave_out=("hydra", *LAST))
    check_bounds(config)
    build_algorithm(config, build_env(config))
    for group in LAST:
        check_keys(config[group], group)
