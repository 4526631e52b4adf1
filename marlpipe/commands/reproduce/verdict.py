"""Whether a reproduction is equal to its run: to the last bit, or where it diverges."""

from collections.abc import Iterator
from typing import Any

from marlpipe.commands.reproduce.divergence import (
    CurveDistance,
    Divergence,
    Rows,
    curve,
    curve_distance,
    divergence,
    draw,
    shared_metrics,
)
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
    first = divergence(then, now)
    unequal = [name for name, equal in hashes.items() if not equal]
    lengths = whole_run and len(then) != len(now)

    picture = again.path / "reproduction.png"
    curves = curve(then), curve(now)
    draw(*curves, first.env_steps if first else None, picture)
    if first:
        text = [*of_divergence(first, rows), *of_curves(curve_distance(*curves))]
    elif lengths:
        text = [f"It diverges: {len(then)} rows of metrics then, {len(now)} now, of which the first {rows} are equal."]
    elif unequal:
        text = [f"All {rows} rows of metrics are equal, but it diverges in its {', '.join(unequal)}."]
    else:
        text = [f"It is equal to the last bit: {', '.join([f'{rows} rows of metrics', *hashes])}."]
        if not hashes:
            text.append("Compared were the metrics only: " + why_only(whole_run))
    text.extend(of_metrics(then, now))
    return not (first or lengths or unequal), "\n".join([*text, str(picture)])


def evaluated_too(then: Rows, now: Rows) -> bool:
    """Whether the longer run was evaluated where the shorter one ended, as each run is at its end."""
    last = len(now) - 1
    return last < len(then) and EVAL_RETURN in then[last] and then[last]["env_steps"] == now[last]["env_steps"]


def parts(folder: RunFolder, again: RunFolder) -> dict[str, bool]:
    """For each part that both fingerprints have, whether it is equal. Metrics are left out: their logs are compared."""
    stored: list[Any] = [read_json(run.fingerprint) or {} for run in (folder, again)]
    then, now = stored
    if not isinstance(then, dict):
        raise UserError(f"{folder.fingerprint} holds no JSON object.\n  Restore the file, or remove it.")
    return {name: then[name] == now[name] for name in now if name in then and name != "metrics"}


def of_divergence(first: Divergence, rows: int) -> Iterator[str]:
    """Where, in what, and by how much."""
    then, now = ("nothing" if value is None else repr(value) for value in (first.then, first.now))
    others = f", and {first.others} more metrics with it" if first.others else ""
    yield (
        f"It diverges at env_steps={first.env_steps:.0f}, row {first.number + 1} of {rows}, "
        f"in {first.metric}: {then} then, {now} now{others}."
    )


def of_curves(gap: CurveDistance | None) -> Iterator[str]:
    """How far the curves are apart in the end."""
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
