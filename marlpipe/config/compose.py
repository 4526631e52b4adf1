"""From overrides to a config, with errors that name what is valid."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from marlpipe.config.folder import groups
from marlpipe.config.hydra_internals import ComposingOnce, application
from marlpipe.errors import UserError, unknown


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


def parse_overrides(overrides: Sequence[str]) -> list[Override]:
    """UserError for what is not of the form key=value."""
    parser = OverridesParser.create()
    typed = []
    for override in overrides:
        try:
            typed.append(parser.parse_override(override))
        except HydraException as error:
            raise invalid_override(override, str(error).splitlines()[0]) from error
        if not typed[-1].key_or_group:
            raise invalid_override(override, "it has no key")
    return typed


def invalid_override(typed: str, reason: str) -> UserError:
    """The error for a text that is no override."""
    key, _, value = typed.partition("=")
    return UserError(
        f"'{typed}' is no override: {reason}\n"
        "  valid: key=value, group=option, or +key=value for a new key; see --help"
        + (f"\n  a value with = in it needs quotes: '{key}=\"{value}\"'" if "=" in value else "")
    )


def compose_run(overrides: Sequence[str], folder: Path, mode: RunMode = RunMode.RUN) -> DictConfig:
    """One run's config; with `RunMode.MULTIRUN`, that of a grid, in which sweeps are left out.

    Raises:
        UserError: a group, an option or a key does not exist; it names what is valid.
    """
    options = groups(folder)
    typed = parse_overrides(overrides)
    for override in typed:
        check_option(override, options)
    try:
        return _composed(overrides, mode)
    except (HydraException, OmegaConfBaseException) as error:
        choices = [override for override in typed if group_of(override) in options]
        with suppress(HydraException):  # a choice is what is wrong: the first error says so
            known = _composed([str(choice.input_line) for choice in choices], mode)
            for override in typed:
                if override not in choices and not override.is_add():
                    check_path(known, override.key_or_group)
        raise UserError(f"{error}\n  see --help for the groups, and --cfg job for the keys") from error


def _composed(overrides: Sequence[str], mode: RunMode) -> DictConfig:
    return application().compose_config("train", list(overrides), run_mode=mode, from_shell=False)


def check_option(override: Override, options: dict[str, list[str]]) -> None:
    """UserError for an option that its group does not have."""
    group, value = group_of(override), override.value()
    if group not in options or override.is_delete() or override.is_sweep_override():
        return
    for option in value if isinstance(value, list) else [value]:
        if str(option) not in options[group] and "/" not in group:
            raise unknown(f"{group}: the option", str(option), options[group])


def check_path(config: DictConfig, path: str) -> None:
    """UserError for a key that the config does not have, with those of the deepest node that exists."""
    node: Any = config
    for depth, key in enumerate(path.split(".")):
        if not OmegaConf.is_dict(node) or key not in list(node):
            above = ".".join(path.split(".")[:depth]) or "the config"
            valid = [str(name) for name in node if not str(name).startswith("_")] if OmegaConf.is_dict(node) else []
            raise unknown(f"{above}: the key", key, [name for name in valid if name != "hydra"])
        node = node._get_node(key) if OmegaConf.is_missing(node, key) else node[key]
