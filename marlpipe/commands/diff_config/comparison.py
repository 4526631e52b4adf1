"""Two sides, key by key, as a table."""

from collections.abc import Iterator
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from marlpipe.commands.diff_config.sides import Side
from marlpipe.config.differences import Difference, add_section, differences, is_not_hashed, whole


def comparison(a: Side, b: Side) -> RenderableType:
    """What both sides are, a table of what differs, and what that means."""
    found = list(differences(a.config, b.config))
    defining = [difference for difference in found if not is_not_hashed(difference[0])]
    seeds = [difference for difference in found if difference[0] == ("seed",)]
    others = [difference for difference in found if is_not_hashed(difference[0]) and difference not in seeds]
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
