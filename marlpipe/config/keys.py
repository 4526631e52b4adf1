"""Whether a config has the keys that something takes, with values of the right kind."""

import functools
import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from marlpipe.config.hydra_internals import locate
from marlpipe.config.kinds import as_typed, check_value
from marlpipe.config.schema import FOREIGN, NEXT, OPTIONAL
from marlpipe.errors import UserError, unknown

OF_HYDRA = {  # keys of any node that names a class
    "_target_": str,
    "_partial_": bool,
    "_recursive_": bool,
    "_convert_": Literal["none", "partial", "object", "all"],
}


def check_node(node: Any, takes: Mapping[str, Any], path: str) -> None:
    """UserError for a key that is missing or unknown, and for a value of another kind. Nothing is imported.

    Args:
        node: resolved, of plain containers.
        takes: the annotation of each key, or for a node without a class its own keys, such as `schema.RUN`.
        path: of the node, as it is typed.
    """
    if not isinstance(node, dict):
        raise UserError(f"{path}={node} is not possible.\n  valid: keys below it, {', '.join(takes)}")
    for key in takes:
        place = below(path, key)
        if key not in node and place not in OPTIONAL:
            raise UserError(f"{place} is missing.\n  next: leave it in the config, or give it a value, {place}=…")
    for key, value in node.items():
        place = below(path, key)
        if key not in takes:
            raise unknown_key(path, str(key), takes)
        if isinstance(takes[key], dict):
            check_node(value, takes[key], place)
        else:
            check_value(place, value, takes[key])


def check_parts(value: Any, path: str) -> None:
    """UserError for a class that is not there, a key that it does not take, and a value of another kind.

    Args:
        value: resolved, of plain containers; nodes with a `_target_` are looked for in it.
        path: of the value, as it is typed.
    """
    if isinstance(value, dict) and "_target_" in value:
        check_part(value, path)
    for place, part in inside(value, path):
        check_parts(part, place)


def check_part(node: Mapping[str, Any], path: str, maker: str | None = None) -> None:
    """As `check_parts`, of one node with a `_target_`.

    maker: the key of a part that gets all keys which the node's own class does not take.
    """
    takes, open_ended = parameters(node["_target_"], path)
    if maker is not None:
        takes, open_ended = takes | parameters(node[maker]["_target_"], below(path, maker))[0], False
    for key, value in node.items():
        place = below(path, key)
        if key in OF_HYDRA:
            check_value(place, value, OF_HYDRA[key])
        elif key in takes:
            check_value(place, value, takes[key])
        elif not open_ended:
            raise unknown_key(path, str(key), takes)


def unknown_key(path: str, key: str, takes: Iterable[str]) -> UserError:
    """The error for a key that a node does not take, with those that it takes."""
    error = unknown(f"{path or 'the config'}: the key", key, (one for one in takes if one not in OF_HYDRA))
    return UserError(f"{error}\n  next: {NEXT[path]}") if path in NEXT else error


def inside(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The values that a container holds, with their places."""
    if isinstance(value, dict):
        yield from ((below(path, key), part) for key, part in value.items())
    elif isinstance(value, list):
        yield from ((f"{path}[{number}]", part) for number, part in enumerate(value))


def below(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


def parameters(target: Any, path: str) -> tuple[dict[str, Any], bool]:
    """The annotations of a class's or a function's parameters, by name, and whether it takes others, too.

    A constructor that hands others on to a base class takes those of the base class.

    Raises:
        UserError: there is no class or function of that name.
    """
    return takes_of(located(target, path), path)


@functools.cache
def takes_of(found: Any, path: str) -> tuple[dict[str, Any], bool]:
    """As `parameters`, of a class or function.

    path: where it is named, for messages.
    """
    makers = [each for each in inspect.getmro(found)[:-1] if "__init__" in vars(each)] if inspect.isclass(found) else []
    takes: dict[str, Any] = {}
    for each in makers or [found]:
        own = signature(each, path).parameters.values()
        named = [one for one in own if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        known = FOREIGN.get(each.__module__.rpartition(".")[0], {})
        takes = {one.name: known.get(one.name, annotation(one)) for one in named} | takes
        if not any(one.kind is one.VAR_KEYWORD for one in own):
            return takes, False
    return takes, True


def annotation(parameter: inspect.Parameter) -> Any:
    """Any where there is none, or where it was not evaluated."""
    given = parameter.annotation
    return Any if given is parameter.empty or isinstance(given, str) else given


def signature(found: Any, path: str) -> inspect.Signature:
    """Of a class or function. UserError where there is none, as of some classes that are written in C."""
    try:
        return inspect.signature(found, eval_str=True)
    except NameError:  # a name that only type checkers import
        return inspect.signature(found)
    except ValueError as error:
        raise UserError(f"{path}._target_ does not say which keys it takes: {error}") from error


def located(target: Any, path: str) -> Any:
    """The class or function of a dotted name, where Hydra would find it. UserError if there is none."""
    found, wrong = None, "is no class or function"
    try:
        found = locate(target) if isinstance(target, str) else None
    except ImportError as error:
        wrong = f"leads nowhere: {str(error).splitlines()[-1]}"
    except Exception as error:  # of a module that fails as it is imported
        wrong = f"cannot be imported: {type(error).__name__}: {error}"
    if not callable(found):
        raise UserError(
            f"{path}._target_={as_typed(target)} {wrong}.\n"
            "  valid: the dotted path of a class or function, as marlpipe.envs.cartpole.CartPole\n"
            f"  next: mend {path}._target_ in its YAML file, or in what you typed"
        )
    return found
