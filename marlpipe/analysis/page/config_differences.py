"""Config keys that differ between the arms of an environment: swept, implied by an exchanged part, or neither."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.page.found_runs import Records
from marlpipe.analysis.run_config import read_config
from marlpipe.config.naming import NOT_HASHED, NOT_HASHED_KEYS, without_modules
from marlpipe.errors import UserError

ABSENT = "no such key"
Why = Literal["swept", "follows", "beyond"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One config key with its value in each arm."""

    key: str
    why: Why  # swept: the user set it; follows: a part that contains it was exchanged; beyond: neither
    values: tuple[str, ...]  # in the order of the arms


@dataclass(frozen=True, kw_only=True)
class ConfigDifferences:
    """The keys that are not the same in all arms."""

    arms: tuple[str, ...]  # those that were compared
    keys: tuple[Difference, ...]
    messages: tuple[str, ...]  # which arms could not be compared, and why


def config_differences(arms: Sequence[Arm], records: Records) -> ConfigDifferences:
    """Compares the config of each arm's first run; all runs of an arm have the same one, except for the seed.

    Args:
        records: the content of each run's run.json, by its folder.
    """
    configs, messages, compared = [], [], []
    for arm in arms:
        try:
            configs.append(dict(_flat(without_modules(read_config(arm.runs[0].folder)))))
            compared.append(arm)
        except UserError as error:
            messages.append(f"The config of {arm.name} was not compared: {error}")
    swept = _changed([_typed(arm) for arm in compared])
    choices = [records[arm.runs[0].folder.path].get("choices", {}) for arm in compared]
    exchanged = _changed([{str(group): _text(option) for group, option in choice.items()} for choice in choices])
    keys = [key for key in dict.fromkeys(key for config in configs for key in config) if _differs(configs, key)]
    return ConfigDifferences(
        arms=tuple(arm.name for arm in compared),
        keys=tuple(
            Difference(
                key=key, why=_why(key, swept, exchanged), values=tuple(config.get(key, ABSENT) for config in configs)
            )
            for key in keys
        ),
        messages=tuple(messages),
    )


def _flat(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Dotted keys and values, without the keys that results do not depend on."""
    if path and (path[0] in NOT_HASHED or path[:2] in NOT_HASHED_KEYS):
        return
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _flat(value, (*path, str(key)))
    else:
        yield ".".join(path), _text(node)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _typed(arm: Arm) -> dict[str, str]:
    """The overrides of this arm, by key."""
    pairs = (override.lstrip("+~").partition("=") for override in arm.runs[0].identity.overrides)
    return {key.partition("@")[0].replace("/", "."): value for key, _, value in pairs}


def _changed(configs: Sequence[Mapping[str, str]]) -> set[str]:
    return {key for key in set().union(*configs) if _differs(configs, key)}


def _differs(configs: Sequence[Mapping[str, str]], key: str) -> bool:
    return len({config.get(key, ABSENT) for config in configs}) > 1


def _why(key: str, swept: set[str], exchanged: set[str]) -> Why:
    groups = [key[:at] for at in range(len(key) + 1) if key[at : at + 1] in (".", "")]
    if not swept.isdisjoint(groups):
        return "swept"
    return "beyond" if exchanged.isdisjoint(groups) else "follows"
