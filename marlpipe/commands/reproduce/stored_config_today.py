"""The config of a run, as today's code takes it."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from marlpipe.config.check import check_run
from marlpipe.config.compose import compose_api, compose_run
from marlpipe.config.folder import config_folder
from marlpipe.config.stored import stored_config
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder

DESTINATIONS = ("logger", "paths")  # where records go, which is not the run's own


def stored_config_today(folder: RunFolder) -> tuple[DictConfig, list[str]]:
    """A run's config without W&B and with today's paths, and the keys that it did not have, now at their defaults.

    Raises:
        UserError: as `stored_config`, or today's code knows a key no more, or cannot build the run.
    """
    stored = OmegaConf.to_container(stored_config(folder))
    assert isinstance(stored, dict)
    with compose_api(config_folder()):
        whole = compose_run(["logger=none"], config_folder())
    own = OmegaConf.masked_copy(whole, [str(key) for key in whole if key != "hydra"])
    defaults = OmegaConf.to_container(own, resolve=True)
    assert isinstance(defaults, dict)
    stored |= {key: defaults[key] for key in DESTINATIONS}
    surplus = list(unknown_keys(stored, defaults))
    if surplus:
        raise UserError(
            f"{folder.config} has keys that today's code does not know: {', '.join(surplus)}.\n"
            f"  next: take the code of then: the commit that {folder.run.name} has under git, and on top of it "
            f"{folder.code_diff.name}, where there is one"
        )
    added = list(add_missing(stored, defaults))
    config = OmegaConf.create(stored)
    assert isinstance(config, DictConfig)
    try:
        check_run(config)
    except UserError as error:
        raise UserError(f"{folder.config} asks for what today's code cannot build.\n  {error}") from error
    return config, added


def unknown_keys(stored: Any, defaults: Any, place: str = "") -> Iterator[str]:
    """Keys that have no default, by their path. The keys of a part are those of its class: they are left out."""
    for key, value in stored.items():
        path = f"{place}{key}"
        if key not in defaults or isinstance(value, dict) != isinstance(defaults[key], dict):
            yield path
        elif isinstance(value, dict) and "_target_" not in value:
            yield from unknown_keys(value, defaults[key], f"{path}.")


def add_missing(stored: Any, defaults: Any, place: str = "") -> Iterator[str]:
    """Adds defaults to a config where it has none, but for those of parts, and says which."""
    for key, value in defaults.items():
        if key not in stored:
            stored[key] = value
            yield f"{place}{key}"
        elif isinstance(value, dict) and "_target_" not in stored[key]:
            yield from add_missing(stored[key], value, f"{place}{key}.")
