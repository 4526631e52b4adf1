"""Whether every key of a config is a parameter of the class or function that takes it."""

import inspect
from pydoc import ErrorDuringImport, locate
from typing import Any

from omegaconf import DictConfig, OmegaConf

from marlpipe.errors import UserError, unknown


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
