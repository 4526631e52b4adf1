"""A few combinations in place of all of them."""

from collections.abc import Sequence
from itertools import combinations

Case = tuple[str, ...]


def pairwise(cases: Sequence[Case]) -> list[Case]:
    """Some of the cases, with every pair of values that any case has: greedily, the one with most new pairs first."""
    pairs = [set(combinations(enumerate(case), 2)) for case in cases]
    missing = set[object]().union(*pairs)
    chosen = []
    while missing:
        best = max(range(len(cases)), key=lambda index: len(pairs[index] & missing))
        missing -= pairs[best]
        chosen.append(cases[best])
    return chosen
