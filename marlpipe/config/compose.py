"""From overrides to a config, with errors that name what is valid."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from marlpipe.config.folder import groups
from marlpipe.config.hydra_internals import ComposingOnce, application
from marlpipe.config.keys import check_node, inside
from marlpipe.config.kinds import as_typed
from marlpipe.config.schema import RUN
from marlpipe.config.typed import parse_overrides, search_folder, searchpath
from marlpipe.errors import UserError, unknown

OF_THE_MOMENT = re.compile(r"(?<!\\)\$\{\s*(oc\.select:\s*)?(hydra|now)\b")  # references that no run's config can have


@contextmanager
def compose_api(folder: Path) -> Iterator[None]:
    """Hydra, set up on a config folder. Within one such context, each list of overrides is composed once."""
    with initialize_config_dir(str(folder), version_base="1.3", job_name="marlpipe"):
        hydra = application()
        hydra.config_loader = ComposingOnce(hydra.config_loader)
        yield


def group_of(override: Override) -> str:
    """The key or group, without the package."""
    return override.key_or_group.split("@")[0]


def compose_run(overrides: Sequence[str], folder: Path, mode: RunMode = RunMode.RUN) -> DictConfig:
    """One run's config; with `RunMode.MULTIRUN`, that of a grid, in which sweeps are left out.

    Raises:
        UserError: a group, an option or a key does not exist, a key is missing, a value is not of its kind or refers
            to nothing; of a class, only the build finds out. It names what is valid.
    """
    typed = parse_overrides(overrides)
    options = groups(folder, *map(search_folder, searchpath(typed)))
    for override in typed:
        check_option(override, options)
        if mode is RunMode.RUN and override.is_sweep_override():
            raise one_value(override, options)
    try:
        config = _composed(overrides, mode)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        choices = [override for override in typed if group_of(override) in options]
        with suppress(HydraException, ValueError):  # a choice is what is wrong: the first error says so
            known = _composed([str(choice.input_line) for choice in choices], mode)
            for override in typed:
                if override not in choices and not override.is_add():
                    check_path(known, override.key_or_group)
        raise UserError(f"{error}\n  see --help for the groups, and --cfg job for the keys") from error
    check_references(config)
    if mode is RunMode.RUN:
        check_composed(config)
    return config


def check_composed(config: DictConfig) -> None:
    """UserError for a key that is missing or unknown, or a value of another kind, outside of classes."""
    for group in ("env", "algo"):
        if not config.hydra.runtime.choices.get(group):
            raise UserError(f"no {group} is chosen.\n  next: {group}=OPTION; see --help for the options")
    check_node(resolved(config), RUN, "")


def check_references(config: DictConfig) -> None:
    """UserError for a value that would change from one look to the next: of Hydra's own config, or of the time."""
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    ours = {key: plain["hydra"][key] for key in ("launcher", "sweeper")}
    for place, text in texts({**plain, "hydra": ours}, ""):
        if found := OF_THE_MOMENT.search(text):
            raise UserError(
                f"{place}={text} is not possible: {found[0]}…}} is not the same for a run whenever it is looked up.\n"
                "  valid: ${KEY} of a key of the config, ${oc.env:NAME} of a variable that is set\n"
                f"  next: give {place} the value itself, or have the shell look it up, as in $(date +%F)"
            )


def texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every text in a container, with its place."""
    if isinstance(value, str):
        yield path, value
    for place, part in inside(value, path):
        yield from texts(part, place)


def resolved(config: DictConfig) -> dict[str, Any]:
    """A config or a node of one, without Hydra's own part, as plain containers.

    UserError for a value that refers to nothing.
    """
    try:
        plain = {str(key): _resolved(config, str(key)) for key in config if key != "hydra"}
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{error.full_key or 'a value'} refers to what is not there: {reason}\n"
            "  valid: ${KEY} of a key of the config, ${oc.env:NAME} of a variable that is set\n"
            f"  next: give {error.full_key or 'it'} a value"
        ) from error
    return plain


def _resolved(node: DictConfig, key: str) -> Any:
    value = "???" if OmegaConf.is_missing(node, key) else node[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def one_value(override: Override, options: Mapping[str, Sequence[str]]) -> UserError:
    """The error for several values where one run has one."""
    group = group_of(override) in options
    as_list = "" if group else f"; a list is in brackets, as in {override.key_or_group}=[A,B]"
    return UserError(
        f"{override.input_line} has several values, and one run has one.\n"
        f"  next: choose one, or train a grid of runs with -m{as_list}"
    )


def _composed(overrides: Sequence[str], mode: RunMode) -> DictConfig:
    return application().compose_config("train", list(overrides), run_mode=mode, from_shell=False)


def check_option(override: Override, options: Mapping[str, Sequence[str]]) -> None:
    """UserError for an option that its group does not have."""
    group, value = group_of(override), override.value()
    if group not in options or override.is_sweep_override() or "/" in group:
        return
    if isinstance(value, list | dict):
        several = ",".join(map(str, value))
        raise UserError(
            f"{override.input_line} is not possible: {group} is one option.\n  valid: {', '.join(options[group])}\n"
            f"  next: choose one, or train a grid of runs with -m {group}={several}"
        )
    if str(value) not in options[group] and not (override.is_delete() and value in (None, "")):
        raise unknown(f"{group}: the option", as_typed(value), options[group])


def check_path(config: DictConfig, path: str) -> None:
    """UserError for a key that the config does not have, with those of the deepest node that exists."""
    node: Any = config
    for depth, key in enumerate(path.split(".")):
        if not OmegaConf.is_dict(node) or key not in list(node):
            above = ".".join(path.split(".")[:depth]) or "the config"
            valid = [str(name) for name in node if not str(name).startswith("_")] if OmegaConf.is_dict(node) else []
            raise unknown(f"{above}: the key", key, [name for name in valid if name != "hydra"])
        node = node._get_node(key) if OmegaConf.is_missing(node, key) else node[key]
