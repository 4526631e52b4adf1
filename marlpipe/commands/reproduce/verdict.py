"""Whether a reproduction came to the same: to the last bit, or from where on it did not."""

from collections.abc import Iterator
from typing import Any

from marlpipe.commands.reproduce.divergence import Apart, Departure, Rows, apart, curve, departure, draw, shared_metrics
from marlpipe.errors import UserError
from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import EVAL_RETURN


def verdict(folder: RunFolder, again: RunFolder, *, whole_run: bool) -> tuple[bool, str]:
    """Whether all is equal that both have, and that in sentences; draws both curves.

    Args:
        folder: of the run.
        again: of its reproduction, finished.
        whole_run: the run is finished too, and not only its beginning was trained again.
    """
    then, now = folder.read_metrics(), again.read_metrics()
    if not whole_run and not evaluated_too(then, now):
        del now[-1]
    rows = min(len(then), len(now))
    if not rows:
        raise UserError(f"{folder.path} and {again.path} have no row in common.\n  next: a larger env_steps")
    hashes = parts(folder, again) if whole_run else {}
    departs = departure(then, now)
    unequal = [name for name, equal in hashes.items() if not equal]
    lengths = whole_run and len(then) != len(now)

    picture = again.path / "reproduction.png"
    curves = curve(then), curve(now)
    draw(*curves, departs.env_steps if departs else None, picture)
    if departs:
        told = [*of_departure(departs, rows), *of_curves(apart(*curves))]
    elif lengths:
        told = [f"It departs: {len(then)} rows of metrics then, {len(now)} now, of which the first {rows} are equal."]
    elif unequal:
        told = [f"All {rows} rows of metrics are equal, but it departs in its {', '.join(unequal)}."]
    else:
        told = [f"It is equal to the last bit: {', '.join([f'{rows} rows of metrics', *hashes])}."]
        if not hashes:
            told.append("Compared were the metrics only: " + why_only(whole_run))
    told.extend(of_metrics(then, now))
    return not (departs or lengths or unequal), "\n".join([*told, str(picture)])


def evaluated_too(then: Rows, now: Rows) -> bool:
    """Whether the longer run was evaluated where the shorter one ended, as each run is at its end."""
    last = len(now) - 1
    return last < len(then) and EVAL_RETURN in then[last] and then[last]["env_steps"] == now[last]["env_steps"]


def parts(folder: RunFolder, again: RunFolder) -> dict[str, bool]:
    """For each part that both fingerprints have, whether it is equal. The one of metrics covers what both logs know."""
    stored: list[Any] = [read_json(run.fingerprint) or {} for run in (folder, again)]
    then, now = stored
    if not isinstance(then, dict):
        raise UserError(f"{folder.fingerprint} holds no JSON object.\n  Restore the file, or remove it.")
    return {name: then[name] == now[name] for name in now if name in then and name != "metrics"}


def of_departure(departs: Departure, rows: int) -> Iterator[str]:
    """Where, in what, and by how much."""
    then, now = ("nothing" if value is None else repr(value) for value in (departs.then, departs.now))
    others = f", and {departs.others} more metrics with it" if departs.others else ""
    yield (
        f"It departs at env_steps={departs.env_steps:.0f}, row {departs.number + 1} of {rows}, "
        f"in {departs.metric}: {then} then, {now} now{others}."
    )


def of_curves(gap: Apart | None) -> Iterator[str]:
    """What became of that."""
    if gap is None:
        yield "No evaluation is there to compare."
        return
    yield (
        f"The returns of evaluations are {gap.end:.4g} apart at the end (env_steps={gap.end_at:.0f}), "
        f"and at most {gap.most:.4g} (env_steps={gap.most_at:.0f})."
    )


def why_only(whole_run: bool) -> str:
    """Why no fingerprints could be compared."""
    return "the run has no fingerprint." if whole_run else "the run is not finished, or only its beginning was trained."


def of_metrics(then: Rows, now: Rows) -> Iterator[str]:
    """What only one of the logs knows."""
    shared = set(shared_metrics(then, now))
    for when, rows, others in (("then", then, now), ("now", now, then)):
        seen = {name for row in others for name in row}
        only = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in shared | seen]
        if only:
            yield f"Only {when}, and not compared: {', '.join(only)}."
