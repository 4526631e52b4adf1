"""The metrics of a dashboard, grouped into sections."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Section:
    """Panels under one heading."""

    title: str
    curves: tuple[str, ...] = ()  # metrics, each over env steps
    bars: tuple[str, ...] = ()  # values of the summary
    pictures: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topic:
    """A section's metrics: `first` are recorded by every run, `also` are prefixes of further ones."""

    title: str
    first: tuple[str, ...]
    also: tuple[str, ...] = ()


SUMMARY = ("final/return", "best/return", "final/area")  # in the summary of a finished run
TOPICS = (
    Topic("Returns", ("eval/return_mean",)),
    Topic("Evaluation episodes", ("eval/return_min", "eval/return_max", "eval/return_std", "eval/length_mean")),
    Topic("Rollouts", ("rollout/return", "rollout/length"), ("rollout/",)),
    Topic("Time", ("time/env_steps_per_s", "wall_s", "gradient_steps", "episodes"), ("time/",)),
    Topic(
        "Training",
        ("train/loss", "train/td_loss", "train/td_error_abs", "train/q_tot", "train/target", "rollout/epsilon"),
        ("train/",),
    ),
    Topic(
        "Diagnostics",
        ("eval/monotonicity_violation_rate", "eval/igm_consistency", "train/projection_weight"),
        ("eval/", "train/projection_weight", "train/penalty"),
    ),
    Topic("More", (), ("",)),
)
EVERYWHERE = frozenset(name for topic in TOPICS for name in topic.first)


def sections(metrics: Collection[str], *, finished: bool, pictures: Collection[str] = ()) -> tuple[Section, ...]:
    """The sections that are not empty.

    Args:
        metrics: the recorded ones; each gets a panel in the topic with the longest matching prefix.
        finished: whether any run has finished, and thus has a summary.
        pictures: names of the pictures of evaluations.
    """
    left = set(metrics) - EVERYWHERE - {"env_steps"}
    found = []
    for topic in TOPICS:
        own = [name for name in topic.first if name in metrics]
        more = sorted(name for name in left if _topic(name) is topic)
        bars = SUMMARY if finished and topic is TOPICS[0] else ()
        if own or more or bars:
            found.append(Section(title=topic.title, curves=(*own, *more), bars=bars))
    if pictures:
        found.append(Section(title="Pictures", pictures=tuple(sorted(pictures))))
    return tuple(found)


def _topic(name: str) -> Topic:
    """The topic with the longest matching prefix."""
    fits = [(len(start), topic) for topic in TOPICS for start in topic.also if name.startswith(start)]
    return max(fits, key=lambda fit: fit[0])[1]
