"""From a config to the objects of a run. Only here and in `train` do config and classes meet; nothing writes to it."""

import traceback
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from marlpipe.algos.algorithm import Algorithm
from marlpipe.algos.parts import Parts
from marlpipe.errors import UserError
from marlpipe.types import Env


def build_part(config: DictConfig, group: str, /, **known: Any) -> Any:
    """The object of one config group. `known` completes a partial, which without it stays one.

    UserError where the config does not fit the object.
    """
    node = config[group]
    try:
        part = instantiate(node, _convert_="all")
        return part(**known) if known else part
    except (Exception, SystemExit) as error:  # of anyone's class
        raise _explained(error, node, group) from error


def build_env(config: DictConfig) -> Env[Any]:
    """The world."""
    env: Env[Any] = build_part(config, "env")
    return env


def build_algorithm(config: DictConfig, env: Env[Any]) -> Algorithm:
    """The loss with its parts, for the world's spec, on the CPU. UserError for parts that do not go together."""
    spec = env.spec
    partition = build_part(config, "partition", spec=spec)
    parts = Parts(
        spec=spec,
        partition=partition,
        agent=build_part(config, "agent"),
        mixer=build_part(config, "mixer"),
        monotonicity=build_part(config, "monotonicity", spec=spec, partition=partition),
        projection=build_part(config, "projection"),
        reward=build_part(config, "reward", spec=spec, partition=partition),
    )
    algorithm: Algorithm = build_part(config, "loss", parts=parts)
    return algorithm


def build_optimizers(config: DictConfig, algorithm: Algorithm) -> list[torch.optim.Optimizer]:
    """The optimizer of each of the algorithm's `trained` parameters, as its learner makes them. UserError as above."""
    usual = build_part(config.profile, "optimizer")
    made = []
    for name, owned in algorithm.trained().items():
        try:
            made.append((owned.optimizer or usual)(owned.parameters))
        except Exception as error:
            group, node = ("loss", config.loss) if owned.optimizer else ("profile.optimizer", config.profile.optimizer)
            raise _explained(error, node, f"{group}, as the optimizer of its {name},") from error
    return made


def _explained(error: BaseException, node: DictConfig, group: str) -> UserError:
    """The reason behind Hydra's wrapping."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, UserError):
        cause = cause.__cause__
    if isinstance(cause, UserError):
        return cause
    missing = OmegaConf.missing_keys(node)
    if missing:
        return UserError(f"give a value for {' and '.join(sorted(missing))}, as in {min(missing)}=…")
    reason = str(cause) if isinstance(cause, TypeError) else f"{type(cause).__name__}: {cause}{_place(cause)}"
    return UserError(f"{group} cannot be built from {OmegaConf.to_container(node)}:\n  {reason}")


def _place(error: BaseException) -> str:
    """The file and line that raised an error, for the author of a class."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
