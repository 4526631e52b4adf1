"""Whether every key of a config is a parameter of the class or function that takes it."""

import inspect
from collections.abc import Mapping, Sequence
from pydoc import ErrorDuringImport, locate
from typing import Any

from omegaconf import DictConfig, OmegaConf

from marlpipe.errors import UserError, unknown


def check_keys(config: DictConfig, path: str = "", leave_out: Sequence[str] = ("hydra",)) -> None:
    """UserError for a class or function that is not there, and for a key that it does not take, with those it takes.

    Args:
        config: a node, with all below it.
        path: of the node, as it is typed.
        leave_out: keys of the node that are not looked at.
    """
    if "_target_" in config:
        takes = _parameters(config._target_, path)
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in takes.values())
        for given in config:
            key = str(given)
            if not key.startswith("_") and key not in takes and not open_ended:
                raise unknown(f"{path}: the key", key, takes)
    for part in config:
        if part not in leave_out and not OmegaConf.is_missing(config, part) and OmegaConf.is_dict(config[part]):
            check_keys(config[part], ".".join(filter(None, (path, str(part)))))


def _parameters(target: Any, path: str) -> Mapping[str, inspect.Parameter]:
    """Those of a class or function. UserError if there is none of that name."""
    try:
        found = locate(target) if isinstance(target, str) else None
    except ErrorDuringImport as error:
        raise UserError(f"{path}._target_={target} cannot be imported: {error}") from error
    if not callable(found):
        wrong = "leads nowhere" if found is None else "is no class or function"
        raise UserError(
            f"{path}._target_={target} {wrong}.\n"
            "  valid: the dotted path of a class or function, as marlpipe.envs.cartpole.CartPole\n"
            f"  next: mend {path}._target_ in its YAML file, or in what you typed"
        )
    try:
        return inspect.signature(found).parameters
    except ValueError as error:  # of some classes that are written in C
        raise UserError(f"{path}._target_={target} does not say which keys it takes: {error}") from error
