"""Two sides, key by key, as a table."""

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from marlpipe.diff_config.sides import Side
from marlpipe.naming import INCIDENTAL, INCIDENTAL_KEYS
from marlpipe.records.plain_text import plain

ABSENT = object()
Difference = tuple[tuple[str, ...], Any, Any]  # the path of a key, and its values in A and in B


def comparison(a: Side, b: Side) -> RenderableType:
    """What both sides are, a table of what differs, and what that means."""
    found = list(differences(a.config, b.config))
    defining = [difference for difference in found if not incidental(difference[0])]
    seeds = [difference for difference in found if difference[0] == ("seed",)]
    others = [difference for difference in found if incidental(difference[0]) and difference not in seeds]
    origins = list(differences(a.provenance, b.provenance)) if a.provenance and b.provenance else []

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("key", "A", "B"):
        table.add_column(heading, overflow="fold")
    for group, members in groupby(defining, lambda difference: difference[0][0] if len(difference[0]) > 1 else ""):
        options = [str(side.choices.get(group, "")) for side in (a, b)]
        add_section(table, list(members), *([group, *options] if group else []))
    add_section(table, seeds)
    add_section(table, others, "no part of the results")
    add_section(table, origins, "code and machine")
    head = [f"{letter}  {side.overrides or 'the defaults'}\n   {side.folder}" for letter, side in (("A", a), ("B", b))]
    sentences = conclusions(a, b, defining, seeds, others)
    return Group(*map(whole, head), table if table.rows else "", *map(whole, sentences))


def whole(lines: str) -> Text:
    """Text that is not broken where the console ends: paths are there to be copied."""
    return Text(plain(lines), no_wrap=True, overflow="ignore")


def differences(a: Any, b: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """The keys that differ, in the order of A, with those that only B has after their siblings.

    Values are the same if an arm's hash cannot tell them apart: 5 and 5.0 are not.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from differences(a.get(key, ABSENT), b.get(key, ABSENT), (*path, str(key)))
    elif a is ABSENT or b is ABSENT or json.dumps(a, sort_keys=True) != json.dumps(b, sort_keys=True):
        yield path, a, b


def incidental(path: tuple[str, ...]) -> bool:
    """Whether the key, by its path, has no part in the name of an arm."""
    return path[0] in INCIDENTAL or path[:2] in INCIDENTAL_KEYS


def add_section(table: Table, rows: list[Difference], *heading: str) -> None:
    """Rows below the cells of their heading, if they have one."""
    if rows and heading:
        table.add_row(*(Text(plain(cell), style="bold") for cell in heading))
    for path, a, b in rows:
        table.add_row(Text(plain(".".join(path))), told(path[-1], a), told(path[-1], b))
    table.add_section()


def told(key: str, value: Any) -> Text:
    """A value as a cell: as it is typed, a class or function without our package's name."""
    if value is ABSENT:
        return Text("no such key", style="dim")
    if not isinstance(value, str):
        return Text(plain(short(value)))
    if key == "_target_":
        return Text(plain(value.removeprefix("marlpipe.")))
    with suppress(ValueError, RecursionError):  # in quotes where it would be read as something else
        json.loads(value)
        return Text(plain(short(value)))
    return Text(plain(value) or '""')


def short(value: Any) -> str:
    """JSON, but for functions and parts: `targets.lambda_targets(trace_decay=0.6, …)`, a partial's with dots."""
    if isinstance(value, list):
        return f"[{', '.join(map(short, value))}]"
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if value.get("_target_") == "hydra.utils.get_method":
        return str(value.get("path")).removeprefix("marlpipe.")
    given = {key: short(part) for key, part in value.items() if key not in ("_target_", "_partial_")}
    if "_target_" not in value:
        return f"{{{', '.join(f'{key}: {part}' for key, part in given.items())}}}"
    takes = [f"{key}={part}" for key, part in given.items()] + ["…"] * bool(value.get("_partial_"))
    return f"{str(value['_target_']).removeprefix('marlpipe.')}({', '.join(takes)})"


def conclusions(
    a: Side, b: Side, defining: list[Difference], seeds: list[Difference], others: list[Difference]
) -> Iterator[str]:
    """In sentences: whether it is the same config and the same folder, and what the table cannot tell."""
    if defining:
        yield f"Keys that differ and that the results depend on: {len(defining)}."
    else:
        apart = " and ".join(["the seed"] * bool(seeds) + ["what is no part of the results"] * bool(others))
        yield "A and B come to the same config" + (f", but for {apart}." if apart else ".")
    yield f"The run folder of both: {a.name}" if a.name == b.name else f"Their run folders: {a.name} and {b.name}"
    for letter, side in (("A", a), ("B", b)):
        if side.runs > 1:
            yield f"With -m, {letter} is a grid of {side.runs} runs; compared is the one that starts without -m."
        if side.provenance == {}:
            yield f"{letter} has no run.json: its code, packages and machine are not known."
    if a.provenance and b.provenance and uncommitted(a) and uncommitted(b):
        yield "Both runs had uncommitted changes, so their code may differ all the same."


def uncommitted(side: Side) -> bool:
    """Whether the code of a run was not what its commit says."""
    return bool(((side.provenance or {}).get("git") or {}).get("dirty"))
