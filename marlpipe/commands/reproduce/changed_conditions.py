"""What is different from when a run was trained: code, packages, machine, and what sums are rounded by."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from marlpipe.config.differences import add_section, differences, whole
from marlpipe.runs.folder import RunFolder
from marlpipe.training.conditions import bit_relevant

KEPT = ("git", "users_code", "python", "versions", "environment", "numerics", "hardware")  # of run.json


def changed_conditions(folder: RunFolder, then: Mapping[str, Any], now: Mapping[str, Any]) -> RenderableType:
    """A table of what differs, and what that means.

    Args:
        folder: of the run.
        then: the record of the run, its `run.json`.
        now: what it would be today, or is that of a reproduction which has begun.
    """
    known = [key for key in KEPT if then.get(key) is not None]
    found = list(differences({key: then[key] for key in known}, {key: now.get(key) for key in known}))
    bits = {path for path, _, _ in differences(bit_relevant(then), bit_relevant(now))}
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("key", "then", "now"):
        table.add_column(heading, overflow="fold")
    add_section(table, [row for row in found if row[0] in bits], "bits depend on it", "", "")
    add_section(table, [row for row in found if row[0] not in bits], "the rest", "", "")
    return Group(table if table.rows else "", *map(whole, sentences(folder, then, now, bool(found))))


def sentences(folder: RunFolder, then: Mapping[str, Any], now: Mapping[str, Any], differs: bool) -> Iterator[str]:
    """Whether anything differs, what the run did not record, and how to get its code back."""
    silent = [key for key in KEPT if then.get(key) is None]
    if not differs:
        yield "Nothing differs from then" + (", of what the run recorded." if silent else ".")
    if silent:
        yield f"The run did not record: {', '.join(silent)}."
    ours, theirs = (bit_relevant(record)["git"] for record in (now, then))
    sessions = then.get("sessions") or []
    if isinstance(sessions, list) and len({code_of(session) for session in sessions}) > 1:
        yield f"The run was resumed with other code than it began with: it had {len(sessions)} sessions."
    if ours != theirs and re.fullmatch(r"[0-9a-f]{40}", str(theirs["commit"])):
        patch = f" && git apply {folder.code_diff.resolve()}" if folder.code_diff.exists() else ""
        yield f"Its code, if you trust it: git checkout {theirs['commit']}{patch}"
    for name, state in bit_relevant(then)["users_code"].items():
        if state["diff"] and state["commit"] != theirs["commit"]:
            yield f"The changes in another repository, {name} at commit {state['commit']}, belong there."


def code_of(session: Any) -> tuple[str, str]:
    """The commit and the hash of what differed from it."""
    record = session if isinstance(session, Mapping) else {}
    return str(record.get("commit")), str(record.get("diff"))
