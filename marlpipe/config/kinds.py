"""Whether a value of a config is of the kind that an annotation names, and how the valid ones are called."""

import collections.abc
import math
import types
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from marlpipe.errors import Bound, UserError

SCALARS = {bool: "true or false", str: "text", types.NoneType: "null"}
PLAIN = {int: Bound(-(2**63), 2**63 - 1), float: Bound(-math.inf, integer=False)}  # torch counts with 64 bits
LISTS = (collections.abc.Sequence, list)
MAPPINGS = (collections.abc.Mapping, dict)
SHOWN = 80  # characters of a value in a message


def check_value(path: str, value: Any, annotation: Any) -> None:
    """UserError, with what is valid, for a value of another kind than the annotation.

    Args:
        path: as it is typed, such as `profile.discount`.
        value: resolved, of plain containers.
        annotation: of a parameter. A class, a protocol or a callable stands for a node with a `_target_`.
    """
    if value == "???":
        raise UserError(f"give a value for {path}, as in {path}=…\n  valid: {describe(annotation)}")
    if not fits(value, annotation):
        shown = f"{path}={as_typed(value)} is not possible.\n  valid: {describe(annotation)}"
        if isinstance(value, int | float) and fits(str(value), annotation):
            raise UserError(f"{shown}\n  next: in quotes it is text: '{path}=\"{as_typed(value)}\"'")
        found = example(annotation)
        raise UserError(shown + (f"\n  next: {path}={as_typed(found)}" if found is not None else ""))


def fits(value: Any, annotation: Any) -> bool:
    """Whether the value is of the kind: a whole number is a number, a number is no boolean, and NaN is none of them."""
    kind, bound = bounded(annotation)
    if kind is Any:
        return True
    if get_origin(kind) in (Union, types.UnionType):
        return any(fits(value, each) for each in members(kind, bound))
    if get_origin(kind) is Literal:
        return any(value == word and type(value) is type(word) for word in get_args(kind))
    if kind in PLAIN:
        return (bound or PLAIN[kind]).holds(value) and value is not None
    if kind in SCALARS:
        return type(value) is kind
    if get_origin(kind) in LISTS:
        [each] = get_args(kind)
        return isinstance(value, list) and all(fits(part, each) for part in value)
    if get_origin(kind) is tuple:
        parts = parts_of(kind, value)
        return parts is not None and all(fits(part, each) for part, each in zip(value, parts, strict=True))
    if (get_origin(kind) or kind) in MAPPINGS:
        return isinstance(value, dict) and "_target_" not in value
    return isinstance(value, dict) and "_target_" in value


def describe(annotation: Any) -> str:
    """The valid values, in words."""
    kind, bound = bounded(annotation)
    if kind is Any:
        return "any value"
    if get_origin(kind) in (Union, types.UnionType):
        return ", or ".join(dict.fromkeys(describe(each) for each in members(kind, bound)))
    if get_origin(kind) is Literal:
        return ", ".join(str(word).lower() if isinstance(word, bool) else str(word) for word in get_args(kind))
    if kind in PLAIN:
        return str(bound or Bound(-math.inf, integer=kind is int))
    if kind in SCALARS:
        return SCALARS[kind]
    if get_origin(kind) in LISTS:
        [each] = get_args(kind)
        inner = describe(each)
        return f"[A, B, …], each {inner}"
    if get_origin(kind) is tuple:
        inner = ", ".join(describe(each) for each in get_args(kind) if each is not ...)
        return f"[{inner}{', …' if ... in get_args(kind) else ''}]"
    if (get_origin(kind) or kind) in MAPPINGS:
        return "{KEY: VALUE, …}"
    return "{_target_: a class or function, and its keys}"


def parts_of(kind: Any, value: Any) -> Sequence[Any] | None:
    """The annotation of each part of a tuple; None for a value that is no list of that length."""
    parts = get_args(kind)
    if not isinstance(value, list):
        return None
    if parts[-1] is ...:
        return [parts[0]] * len(value)
    return parts if len(parts) == len(value) else None


def bounded(annotation: Any) -> tuple[Any, Bound | None]:
    """The type behind an annotation, and the bound that it carries."""
    if get_origin(annotation) is not Annotated:
        return annotation, None
    kind, *marks = get_args(annotation)
    return kind, next((mark for mark in marks if isinstance(mark, Bound)), None)


def members(union: Any, bound: Bound | None) -> list[Any]:
    """Of a union, with the bound that was written around it on its numbers."""
    own = replace(bound, or_null=False) if bound else None
    return [Annotated[each, own] if own and each in PLAIN else each for each in get_args(union)]


def example(annotation: Any) -> Any:
    """A valid boolean, word or number; None where that is a matter of taste."""
    kind, bound = bounded(annotation)
    if get_origin(kind) in (Union, types.UnionType):
        return next((found for each in members(kind, bound) if (found := example(each)) is not None), None)
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    return True if kind is bool else (bound or PLAIN[kind]).example if kind in PLAIN else None


def as_typed(value: Any) -> str:
    """A value as it is typed, cut where it is long."""
    words = {True: "true", False: "false", None: "null"}
    text = words[value] if isinstance(value, bool | None) else str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
