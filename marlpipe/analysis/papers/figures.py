"""What each figure of a paper shows and claims, from `figures.yaml` in this folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml  # type: ignore[import-untyped]

KNOWN = Path(__file__).with_name("figures.yaml")
Point = tuple[float, float]  # env steps, return
Measure = Literal["final", "area", "env_steps"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence of a paper about arms of one panel.

    says: the sentence. paper: what its figure shows. env: the panel. why: our explanation, where one was measured.

    One of these is compared:
    higher, lower: the first arm against each of the others, by `measure`: the final return, the area under the curve
        up to `until` env steps, or the env steps to the return `threshold`, of which fewer are better.
    similar, within: the first arm against each of the others: final returns that differ by at most so much.
    arms, at_least or at_most: final returns against a number.
    """

    says: str
    paper: str
    env: str
    why: str = ""
    measure: Measure = "final"
    threshold: float = 0.0
    until: float = float("inf")
    higher: str = ""
    lower: Sequence[str] = ()
    similar: Sequence[str] = ()
    within: float = 0.0
    arms: Sequence[str] = ()
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, kw_only=True)
class PaperFigure:
    """A figure of a paper.

    panels: the options of `env`, one panel each. arms: names of arms, in the order of the legend. env_steps: where the
    paper's axis ends. readings: of each panel, points of the paper's curves by arm, read off the figure.
    """

    name: str
    title: str
    env_steps: float
    panels: Sequence[str]
    arms: Sequence[str]
    readings: Mapping[str, Mapping[str, Sequence[Point]]]
    claims: Sequence[Claim]


def paper_figures(path: Path = KNOWN) -> list[PaperFigure]:
    """All figures, in the order of the file. The experiments of `fast/` train their runs."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        PaperFigure(
            name=name,
            title=entry["title"],
            env_steps=float(entry["env_steps"]),
            panels=entry["panels"],
            arms=entry["arms"],
            readings={env: _points(by_arm) for env, by_arm in entry["readings"].items()},
            claims=[Claim(**{key: _number(value) for key, value in claim.items()}) for claim in entry["claims"]],
        )
        for name, entry in entries.items()
    ]


def _points(by_arm: Mapping[str, Sequence[Sequence[float | int]]]) -> dict[str, list[Point]]:
    return {arm: [(float(at), float(value)) for at, value in points] for arm, points in by_arm.items()}


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) else value
