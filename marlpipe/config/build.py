"""From a config to the objects of a run. Only here and in `train` do config and classes meet; nothing writes to it."""

import inspect
from pydoc import ErrorDuringImport, locate
from typing import Any

from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from marlpipe.algos.algorithm import Algorithm
from marlpipe.algos.parts import Parts
from marlpipe.errors import UserError, unknown
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


def check_keys(config: DictConfig, path: str = "") -> None:
    """UserError for a class or function that is not there, and for a key that it does not take, with those it takes."""
    if "_target_" in config:
        takes = inspect.signature(_located(config._target_, path)).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
        for given in config:
            key = str(given)
            if not key.startswith("_") and key not in takes and not open_ended:
                raise unknown(f"{path}: the key", key, takes)
    for part in config:
        if not OmegaConf.is_missing(config, part) and OmegaConf.is_dict(config[part]) and part != "hydra":
            check_keys(config[part], ".".join(filter(None, (path, str(part)))))


def _located(target: str, path: str) -> Any:
    try:
        found = locate(target)
    except ErrorDuringImport as error:
        raise UserError(f"{path}._target_={target} cannot be imported: {error}") from error
    if found is None:
        raise UserError(
            f"{path}._target_={target} leads nowhere.\n"
            "  valid: the dotted path of a class or function, as marlpipe.envs.cartpole.CartPole\n"
            f"  next: mend {path}._target_ in its YAML file, or in what you typed"
        )
    return found


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
