"""What differs between two configs, as a table: the keys and values that give arms different hashes."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from rich.table import Table
from rich.text import Text

from marlpipe.config.naming import NOT_HASHED, NOT_HASHED_KEYS, without_modules
from marlpipe.runs.text import printable

ABSENT = object()


Difference = tuple[tuple[str, ...], Any, Any]  # the path of a key, and its values in A and in B


def whole(lines: str) -> Text:
    """Text that is not broken where the console ends: paths are there to be copied."""
    return Text(printable(lines), no_wrap=True, overflow="ignore")


def differences(a: Any, b: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """The keys that differ, in the order of A, with those that only B has after their siblings.

    Values are the same if they give an arm the same hash: a class that moved is the same, 5 and 5.0 are not.
    """
    if not (isinstance(a, dict) and isinstance(b, dict)):
        yield path, a, b
        return
    hashed_a, hashed_b = without_modules(a), without_modules(b)
    for key in dict.fromkeys([*a, *b]):
        there, here = (node.get(key, ABSENT) for node in (hashed_a, hashed_b))
        if there is ABSENT or here is ABSENT or json.dumps(there, sort_keys=True) != json.dumps(here, sort_keys=True):
            yield from differences(a.get(key, ABSENT), b.get(key, ABSENT), (*path, str(key)))


def is_not_hashed(path: tuple[str, ...]) -> bool:
    """Whether the key, by its path, has no part in the name of an arm."""
    return path[0] in NOT_HASHED or path[:2] in NOT_HASHED_KEYS


def add_section(table: Table, rows: list[Difference], *heading: str) -> None:
    """Rows below the cells of their heading, if they have one."""
    if rows and heading:
        table.add_row(*(Text(printable(cell), style="bold") for cell in heading))
    for path, a, b in rows:
        table.add_row(Text(printable(".".join(path))), format_value(path[-1], a), format_value(path[-1], b))
    table.add_section()


def format_value(key: str, value: Any) -> Text:
    """A value as a cell: as it is typed, a class or function without our package's name."""
    if value is ABSENT:
        return Text("no such key", style="dim")
    if not isinstance(value, str):
        return Text(printable(short_text(value)))
    if key == "_target_":
        return Text(printable(value.removeprefix("marlpipe.")))
    with suppress(ValueError, RecursionError):  # in quotes where it would be read as something else
        json.loads(value)
        return Text(printable(short_text(value)))
    return Text(printable(value) or '""')


def short_text(value: Any) -> str:
    """JSON, but for functions and parts: `targets.lambda_targets(trace_decay=0.6, …)`, a partial's with dots."""
    if isinstance(value, list):
        return f"[{', '.join(map(short_text, value))}]"
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if value.get("_target_") == "hydra.utils.get_method":
        return str(value.get("path")).removeprefix("marlpipe.")
    given = {key: short_text(part) for key, part in value.items() if key not in ("_target_", "_partial_")}
    if "_target_" not in value:
        return f"{{{', '.join(f'{key}: {part}' for key, part in given.items())}}}"
    takes = [f"{key}={part}" for key, part in given.items()] + ["…"] * bool(value.get("_partial_"))
    return f"{str(value['_target_']).removeprefix('marlpipe.')}({', '.join(takes)})"
