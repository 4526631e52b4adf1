"""The comparison of all runs as one value, which the page, the figures and the tables show."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.page.caveats import caveats
from marlpipe.analysis.page.config_differences import ConfigDifferences, config_differences
from marlpipe.analysis.page.evidence import EnvEvidence, evidence
from marlpipe.analysis.page.found_runs import FoundRun, find_runs
from marlpipe.analysis.page.sample_efficiency import SampleEfficiency, sample_efficiency
from marlpipe.analysis.page.tasks import TaskEvidence, over_tasks
from marlpipe.analysis.statistics.paper_returns import paper_return
from marlpipe.analysis.statistics.references import references


@dataclass(frozen=True, eq=False, kw_only=True)
class EnvComparison:
    """The comparison of the arms of one environment."""

    evidence: EnvEvidence
    caveats: list[str]
    sample_efficiency: list[SampleEfficiency]
    differences: ConfigDifferences


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """All runs, the comparison of each environment, and that over tasks."""

    folders: tuple[str, ...]  # as given by the user
    made: datetime
    found: list[FoundRun]
    envs: list[EnvComparison]
    tasks: TaskEvidence

    @property
    def arms(self) -> list[str]:
        """The names of all arms, sorted: the position is the palette index, which unfinished runs do not change."""
        return sorted({one.arm.name for part in self.envs for one in part.evidence.arms})

    @property
    def states(self) -> dict[Path, str]:
        """The state of each run, by its folder."""
        return {one.standing.records.folder.path: one.state for one in self.found}


def comparison(folders: Iterable[Path]) -> Comparison:
    """Reads all runs in and below some folders and compares those that can be read.

    Raises:
        UserError: a folder does not exist, or there is no run below any.
    """
    roots = list(folders)
    found = find_runs(roots)
    grouped = by_env([one.run for one in found if one.run is not None])
    records = {one.standing.records.folder.path: one.record for one in found}
    envs = []
    for env, arms in grouped.items():
        own = evidence(env, arms, paper_return(arms))
        differences = config_differences([one.arm for one in own.arms], records)
        envs.append(
            EnvComparison(
                evidence=own,
                caveats=[*caveats(own, records), *differences.messages],
                sample_efficiency=sample_efficiency(own),
                differences=differences,
            )
        )
    return Comparison(
        folders=tuple(map(str, roots)),
        made=datetime.now(UTC),
        found=found,
        envs=envs,
        tasks=over_tasks([part.evidence for part in envs], references(grouped)),
    )
