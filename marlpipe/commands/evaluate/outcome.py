"""The outcome of some episodes: a row for each, and their summary."""

import csv
import io
from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.table import Table

from marlpipe.training.diagnostics import episode_metrics
from marlpipe.types import EpisodeBatch


def episodes_csv(played: EpisodeBatch, *, local_rewards: bool) -> str:
    """One row per episode: the team's return, the length in env steps, how it ended, and each agent's own return.

    Episodes end by themselves, `terminated`, or are `truncated` by a time limit. Returns of agents are left out where
    only their sum has a meaning.
    """
    own = played.rewards.sum(1)  # B N
    agents = [f"return_agent_{agent}" for agent in range(own.shape[1])] if local_rewards else []
    tensors = (played.team_rewards.sum(1), played.lengths, played.terminated.any(1), own)
    columns = (column.tolist() for column in tensors)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["episode", "return", "length", "end", *agents])
    for episode, (team, length, terminated, each) in enumerate(zip(*columns, strict=True)):
        row = [episode, team, length, "terminated" if terminated else "truncated"]
        writer.writerow([*row, *each] if local_rewards else row)
    return text.getvalue()


def measured(played: EpisodeBatch) -> dict[str, float]:
    """The metrics of an evaluation, under the names that they have in a run's log."""
    return {f"eval/{name}": value.item() for name, value in episode_metrics(played).items()}


def summary(outcomes: Mapping[str, Mapping[str, float]]) -> Table:
    """Evaluations below each other, by name; a metric that was not recorded is a dash."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for heading in ("return, mean ± std", "lowest", "highest", "length"):
        table.add_column(heading, justify="right")
    for name, metrics in outcomes.items():
        mean, std, lowest, highest, length = (
            f"{metrics[key]:.4g}" if (key := f"eval/{metric}") in metrics else "–"
            for metric in ("return_mean", "return_std", "return_min", "return_max", "length_mean")
        )
        table.add_row(name, f"{mean} ± {std}", lowest, highest, length)
    return table
