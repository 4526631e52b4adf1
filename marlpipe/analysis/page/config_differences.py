"""What differs in config between the arms of an environment: what was swept, what follows from it, and what else."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.page.found_runs import Records
from marlpipe.config.naming import NOT_HASHED, NOT_HASHED_KEYS
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.links import check_inside
from marlpipe.runs.text import printable

LARGEST_CONFIG = 100_000  # letters
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the fast one, where PyYAML was built with it
ABSENT = "no such key"
Why = Literal["swept", "follows", "beyond"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One key, with its value in each arm."""

    key: str
    why: Why  # swept: somebody set it; follows: a part that contains it was exchanged; beyond: neither
    values: tuple[str, ...]  # in the order of the arms


def config_text(folder: RunFolder) -> str:
    """The config as it is written; in its place a word where it is too long to be shown.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    check_inside(folder.config, folder.path)
    with (
        os_errors_as_user_errors("read", folder.config),
        folder.config.open(encoding="utf-8", errors="replace") as file,
    ):
        text = file.read(LARGEST_CONFIG + 1)
    if len(text) > LARGEST_CONFIG:
        raise UserError(f"{folder.config} is longer than {LARGEST_CONFIG:,} letters, and was left out.")
    return printable(text)


@dataclass(frozen=True, kw_only=True)
class ConfigDifferences:
    """The keys that are not the same in all arms."""

    arms: tuple[str, ...]  # that were compared
    keys: tuple[Difference, ...]
    messages: tuple[str, ...]  # which arms could not be compared, and why


def config_differences(arms: Sequence[Arm], records: Records) -> ConfigDifferences:
    """Of each arm, its first run is looked at: all its runs have the same config but for their seeds.

    Args:
        records: what each run's run.json holds, by its folder.
    """
    told, messages, compared = [], [], []
    for arm in arms:
        folder = arm.runs[0].folder
        try:
            told.append(dict(_flat(_parsed(folder))))
            compared.append(arm)
        except UserError as error:
            messages.append(f"The config of {arm.name} was not compared: {error}")
    swept = _changed([_typed(arm) for arm in compared])
    choices = [records[arm.runs[0].folder.path].get("choices", {}) for arm in compared]
    exchanged = _changed([{str(group): _told(option) for group, option in choice.items()} for choice in choices])
    keys = [key for key in dict.fromkeys(key for config in told for key in config) if _differs(told, key)]
    return ConfigDifferences(
        arms=tuple(arm.name for arm in compared),
        keys=tuple(
            Difference(
                key=key, why=_why(key, swept, exchanged), values=tuple(config.get(key, ABSENT) for config in told)
            )
            for key in keys
        ),
        messages=tuple(messages),
    )


def _parsed(folder: RunFolder) -> dict[str, Any]:
    text = config_text(folder)
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=LOADER)):
            raise UserError(f"{folder.config} refers to parts of itself, which no run writes.")
        config = yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{folder.config} is no YAML: {error}") from error
    if not isinstance(config, dict):
        raise UserError(f"{folder.config} is not the config of a run.")
    return config


def _flat(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every value by the keys that lead to it, but for those that results do not depend on."""
    if path and (path[0] in NOT_HASHED or path[:2] in NOT_HASHED_KEYS):
        return
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _flat(value, (*path, str(key)))
    else:
        yield ".".join(path), _told(node)


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _typed(arm: Arm) -> dict[str, str]:
    """What the user set for this arm, by key."""
    pairs = (override.lstrip("+~").partition("=") for override in arm.runs[0].identity.overrides)
    return {key.partition("@")[0].replace("/", "."): value for key, _, value in pairs}


def _changed(told: Sequence[Mapping[str, str]]) -> set[str]:
    return {key for key in set().union(*told) if _differs(told, key)}


def _differs(told: Sequence[Mapping[str, str]], key: str) -> bool:
    return len({one.get(key, ABSENT) for one in told}) > 1


def _why(key: str, swept: set[str], exchanged: set[str]) -> Why:
    groups = [key[:at] for at in range(len(key) + 1) if key[at : at + 1] in (".", "")]
    if not swept.isdisjoint(groups):
        return "swept"
    return "beyond" if exchanged.isdisjoint(groups) else "follows"
