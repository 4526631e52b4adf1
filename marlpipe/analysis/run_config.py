"""The config that a run folder holds, as text and as plain data: nothing in it is built."""

from typing import Any

import yaml  # type: ignore[import-untyped]

from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_inside
from marlpipe.runs.text import printable

LARGEST_CONFIG = 100_000  # characters
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where PyYAML was built with it


def config_text(folder: RunFolder) -> str:
    """The text of config.yaml, without characters that cannot be printed.

    Raises:
        UserError: there is no such file, it cannot be read, it is too long, or a link leads out of the folder.
    """
    check_inside(folder.config, folder.path)
    with (
        os_errors_as_user_errors("read", folder.config),
        folder.config.open(encoding="utf-8", errors="replace") as file,
    ):
        text = file.read(LARGEST_CONFIG + 1)
    if len(text) > LARGEST_CONFIG:
        raise UserError(f"{folder.config} is longer than {LARGEST_CONFIG:,} characters, and was left out.")
    return printable(text)


def read_config(folder: RunFolder) -> dict[str, Any]:
    """The parsed config.yaml.

    Raises:
        UserError: as `config_text`; or the text is not a YAML mapping without aliases, which is all that a run writes.
    """
    text = config_text(folder)
    try:
        if "&" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=LOADER)):
            raise UserError(f"{folder.config} refers to parts of itself, which no run writes.")
        config = yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{folder.config} is no YAML: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{folder.config} is not the config of a run.")
    return config
