"""Whether two configs that share a name mean the same classes: a class may move, and another may have its name."""

import ast
import importlib.util
from collections.abc import Iterator
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from marlpipe.config.compose import resolved
from marlpipe.config.naming import LOOKUPS, NOT_HASHED
from marlpipe.config.stored import read_config
from marlpipe.errors import UserError
from marlpipe.runs.folder import RunFolder

Place = tuple[str, ...]  # the keys that lead to a value


def names(node: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """The dotted name of every class and function of a config, with its place."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    lookup = isinstance(node, dict) and str(node.get("_target_")) in LOOKUPS
    for key, part in parts:
        if isinstance(part, str) and (key == "_target_" or (lookup and key == "path")):
            yield (*place, str(key)), part
        yield from names(part, (*place, str(key)))


def replaced(there: Any, here: Any) -> list[tuple[Place, str, str]]:
    """The names by which two configs, the same without modules, mean different things.

    A name of `there` that is still defined where it says, while `here` names another place, is another thing of the
    same name; one that is no longer defined there has moved.
    """
    ours = dict(names(here))
    pairs = [(place, name, ours[place]) for place, name in names(there) if place in ours]
    return [(place, old, new) for place, old, new in pairs if old != new and last(old) == last(new) and is_defined(old)]


def last(name: str) -> str:
    """The part of a dotted name that stays when a class or function moves."""
    return name.rpartition(".")[2]


def hashed_parts(config: Any) -> dict[str, Any]:
    """The parts of a config that the arm's hash covers, as they are written; nothing for None."""
    return {str(key): part for key, part in (config or {}).items() if key not in NOT_HASHED}


def check_same_names(folder: RunFolder, config: DictConfig) -> None:
    """UserError if the run in a folder, of the same name as a config's, has another class of the same name.

    A stored config that is missing or broken says nothing against it.
    """
    there = None
    with suppress(UserError):
        there = OmegaConf.to_container(read_config(folder)) if folder.config.exists() else None
    for place, old, new in replaced(hashed_parts(there), hashed_parts(resolved(config))):
        raise UserError(
            f"{folder.path} holds another run, and is left as it is:\n    {'.'.join(place)}: {old} there, {new} here\n"
            "  The two have the same name, and both exist: rename one of them; or move the folder away."
        )


def is_defined(name: str) -> bool:
    """Whether source code defines a class or function where a dotted name says. Nothing is imported."""
    module, _, own = name.rpartition(".")
    top, *below = module.split(".")
    spec = importlib.util.find_spec(top) if top.isidentifier() else None
    for part in below:
        if spec is None:
            return False
        spec = PathFinder.find_spec(f"{spec.name}.{part}", spec.submodule_search_locations or [])
    if spec is None or not spec.has_location or not str(spec.origin).endswith(".py"):
        return False
    body = ast.parse(Path(str(spec.origin)).read_bytes()).body
    return any(isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == own for node in body)
