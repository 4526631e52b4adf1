"""From a config to the objects of a run. Only here and in `train` do config and classes meet; nothing writes to it."""

from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

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
    except (HydraException, OmegaConfBaseException, TypeError) as error:
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


def _explained(error: Exception, node: DictConfig, group: str) -> UserError:
    """The reason behind Hydra's wrapping."""
    cause: BaseException = error
    while cause.__cause__ is not None and not isinstance(cause, UserError):
        cause = cause.__cause__
    if isinstance(cause, UserError):
        return cause
    missing = OmegaConf.missing_keys(node)
    if missing:
        return UserError(f"give a value for {' and '.join(sorted(missing))}, as in {min(missing)}=…")
    reason = str(cause)
    return UserError(f"{group} cannot be built from {OmegaConf.to_container(node)}:\n  {reason}")
