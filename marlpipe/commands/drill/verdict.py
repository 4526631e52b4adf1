"""Whether two finished runs are equal."""

from collections.abc import Iterator

import torch

from marlpipe.runs.files import read_json
from marlpipe.runs.folder import RunFolder
from marlpipe.runs.metrics import WALL_CLOCK_METRICS
from marlpipe.training.fingerprint import fingerprint


def departures(whole: RunFolder, other: RunFolder) -> list[str]:
    """What differs between two finished runs, in words; nothing for runs that are equal to the last bit."""
    return list(_departures(whole, other))


def _departures(whole: RunFolder, other: RunFolder) -> Iterator[str]:
    expected, reached = read_json(whole.fingerprint) or {}, read_json(other.fingerprint) or {}
    if not expected:
        yield f"{whole.fingerprint} is missing"
    yield from (part for part in expected if reached.get(part) != expected[part])
    rows, others = whole.read_metrics(), other.read_metrics()
    if len(rows) != len(others):
        yield f"{len(others)} rows of metrics instead of {len(rows)}"
    for ours, theirs in zip(rows, others, strict=False):
        names = [name for name in ours.keys() | theirs.keys() if name not in WALL_CLOCK_METRICS]
        wrong = sorted(n for n in names if fingerprint(ours.get(n)) != fingerprint(theirs.get(n)))
        if wrong:
            values = f"{theirs.get(wrong[0])} instead of {ours.get(wrong[0])}"
            yield f"the row at {ours['env_steps']:g} env steps, in {wrong[0]}: {values}"
            break
    best, reached_best = (
        torch.load(folder.best_policy, map_location="cpu", weights_only=True) for folder in (whole, other)
    )
    if fingerprint(best) != fingerprint(reached_best):
        yield "the best policy"
