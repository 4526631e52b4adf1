"""The config of a run folder, which may come from a stranger: read without being trusted.

Instantiating a config calls what it names, with arguments that it chooses. A stored config is therefore checked against
an allow-list, not a pattern: `os.system` is reached by many names, through our own modules too.
"""

import functools
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from marlpipe.config.folder import config_folder
from marlpipe.errors import UserError
from marlpipe.runs.files import os_errors_as_user_errors
from marlpipe.runs.folder import RunFolder

PARTS = ("env", "agent", "mixer", "partition", "monotonicity", "projection", "reward", "loss")  # that a run is made of
# Callables that import what one of their arguments names, and that argument.
IMPORTING = {"hydra.utils.get_method": "path", "marlpipe.envs.pettingzoo_worlds.PettingZooWorld": "name"}
# Makers of PettingZoo: its registry's names, and modules of it and of MPE2, of which only `parallel_env` is called.
WORLDS = re.compile(r"[\w-]+/[\w-]+|(pettingzoo|mpe2)(\.\w+)+", re.ASCII)
OF_TORCH = {"torch.nn": "Module", "torch.optim": "Optimizer"}  # the classes that may be named

Place = tuple[str, ...]  # the keys that lead to a value


def stored_config(folder: RunFolder) -> DictConfig:
    """The resolved config that a run was trained with, of which each part can be built without running strange code.

    It may name what this installation's `conf/` names, the other functions and classes in the modules of these,
    networks and optimizers directly in `torch.nn` and `torch.optim`, and worlds of PettingZoo and MPE2. A name of
    marlpipe that has moved since becomes what `conf/` names today.

    Raises:
        UserError: as `read_config`, or a part is missing, or something else is named.
    """
    config = OmegaConf.create(named_today(OmegaConf.to_container(read_config(folder))))
    assert isinstance(config, DictConfig)
    for part in PARTS:
        if not OmegaConf.is_dict(config.get(part)) or "_target_" not in config[part]:
            raise UserError(
                f"{folder.config} is not the config of a run: {part} names nothing that can be built.\n"
                "  Restore the file."
            )
    for place, value in _named(OmegaConf.to_container(config)):
        if not isinstance(value, str) or not _is_known(place[-1], value):
            raise UserError(
                f"{folder.config}: {'.'.join(place)} is {value!r:.80}, which may be anyone's code: nothing of it was "
                f"executed.\n  valid: what the YAML files of {config_folder()} name, and classes such as torch.nn.GRU\n"
                "  next: if it is your own, name it in one of those files; if not, leave this folder alone"
            )
    return config


def read_config(folder: RunFolder) -> DictConfig:
    """The config of a run as it is written, to be looked at: nothing is resolved, imported or built.

    Raises:
        UserError: the file cannot be read, is no YAML mapping of plain values, or refers to values outside of it.
    """
    with os_errors_as_user_errors("read", folder.config):
        text = folder.config.read_text(encoding="utf-8", errors="replace")
    try:
        config = OmegaConf.create(text)
        values = list(_values(OmegaConf.to_container(config))) if isinstance(config, DictConfig) else None
    except (YAMLError, OmegaConfBaseException, ValueError, AssertionError, RecursionError) as error:
        raise UserError(f"{folder.config} cannot be read: {error}\n  Restore the file.") from error
    if values is None or not isinstance(config, DictConfig) or "env" not in config:
        raise UserError(f"{folder.config} is not the config of a run: it has no env.\n  Restore the file.")
    for place, value in values:
        if isinstance(value, str) and "${" in value:
            raise UserError(
                f"{folder.config}: {'.'.join(place)} refers to another value, {value!r:.80}, and was not looked up.\n"
                "  valid: the values themselves, as a run writes them\n  next: restore the file"
            )
        if not isinstance(value, str | int | float | None):
            raise UserError(
                f"{folder.config}: {'.'.join(place)} cannot be {value!r:.80}.\n"
                "  valid: text, numbers, true, false, null\n  next: restore the file"
            )
    return config


def named_today(node: Any) -> Any:
    """A config, with classes and functions that moved within marlpipe under the names that `conf/` has for them."""
    if isinstance(node, list):
        return [named_today(part) for part in node]
    if not isinstance(node, dict):
        return node
    return {key: _today(part) if key in ("_target_", "path") else named_today(part) for key, part in node.items()}


def _today(name: Any) -> Any:
    known = _conf("_target_") | _conf("path")
    if not isinstance(name, str) or not name.startswith("marlpipe.") or name in known:
        return named_today(name)
    same = [other for other in known if other.startswith("marlpipe.") and other.split(".")[-1] == name.split(".")[-1]]
    return same[0] if len(same) == 1 and not _is_known("_target_", name) else name


def _values(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Everything that is no container, with where it stands. Keys count as values of their own."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*place, "key"), key
            yield from _values(value, (*place, str(key)))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _values(value, (*place, str(number)))
    else:
        yield place, node


def _named(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All that would be imported or called, with where it is named."""
    if isinstance(node, dict):
        if "_args_" in node:  # in which one of `IMPORTING` could find what to import; nothing of ours needs it
            yield (*place, "_args_"), node["_args_"]
        if "_target_" in node:
            target = node["_target_"]
            yield (*place, "_target_"), target
            if isinstance(target, str) and target in IMPORTING:
                yield (*place, IMPORTING[target]), node.get(IMPORTING[target])
        for key, value in node.items():
            yield from _named(value, (*place, str(key)))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _named(value, (*place, str(number)))


def _is_known(key: str, name: str) -> bool:
    """Whether a config may name this: a world under `name`, a callable elsewhere."""
    if key == "_args_" or (key == "path" and name in IMPORTING):
        return False
    if key == "name":
        return name in _conf("name") or WORLDS.fullmatch(name) is not None
    if name in _conf("_target_") | _conf("path"):
        return True
    module, _, own = name.rpartition(".")
    if module in OF_TORCH:
        names = vars(importlib.import_module(module))
        return isinstance(names.get(own), type) and issubclass(names[own], names[OF_TORCH[module]])
    if module in _modules_of_parts() and not own.startswith("_"):
        found = vars(importlib.import_module(module)).get(own)
        return callable(found) and getattr(found, "__module__", None) == module
    return False


@functools.cache
def _conf(key: str) -> frozenset[str]:
    """Every text that stands under a key in the YAML files of `conf/`; Hydra's own parts are none of a run."""
    folder = config_folder()
    files = [file for file in folder.rglob("*.yaml") if file.relative_to(folder).parts[0] != "hydra"]
    return frozenset(text for file in files for text in _texts(file, key))


def _texts(file: Path, key: str) -> Iterator[str]:
    for place, value in _values(OmegaConf.to_container(OmegaConf.load(file))):
        if place and place[-1] == key and isinstance(value, str):
            yield value


@functools.cache
def _modules_of_parts() -> frozenset[str]:
    """Our modules that `conf/` names something of, but for those that write records."""
    modules = {name.rpartition(".")[0] for name in _conf("_target_") | _conf("path")}
    return frozenset(name for name in modules if re.match(r"marlpipe\.(?!wandb\b)", name))
