"""Everything that is written, as one value: read once, then shown as a page, as figures and as tables."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from marlpipe.analysis.arms import by_env
from marlpipe.analysis.page.caveats import notices
from marlpipe.analysis.page.config_differences import ConfigDifferences, config_differences
from marlpipe.analysis.page.evidence import EnvEvidence, evidence
from marlpipe.analysis.page.found_runs import Found, find
from marlpipe.analysis.page.sample_efficiency import Sooner, sooner
from marlpipe.analysis.page.tasks import TaskEvidence, over_tasks
from marlpipe.analysis.statistics.references import references


@dataclass(frozen=True, eq=False, kw_only=True)
class EnvPart:
    """One environment with all that is said of it."""

    evidence: EnvEvidence
    notices: list[str]
    sooner: list[Sooner]
    differences: ConfigDifferences


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """All runs and what they come to."""

    folders: tuple[str, ...]  # as they were named
    made: datetime
    found: list[Found]
    envs: list[EnvPart]
    tasks: TaskEvidence

    @property
    def arms(self) -> list[str]:
        """The names of all arms in the order that gives each its colour: the same everywhere, and while runs go on."""
        return sorted({one.arm.name for part in self.envs for one in part.evidence.arms})

    @property
    def states(self) -> dict[Path, str]:
        """How each run stands, by its folder."""
        return {one.standing.records.folder.path: one.state for one in self.found}


def comparison(folders: Iterable[Path]) -> Comparison:
    """Reads all runs in and below some folders and compares those that can be read.

    Raises:
        UserError: a folder does not exist, or there is no run below any.
    """
    roots = list(folders)
    found = find(roots)
    grouped = by_env([one.run for one in found if one.run is not None])
    records = {one.standing.records.folder.path: one.record for one in found}
    envs = []
    for env, arms in grouped.items():
        told = evidence(env, arms)
        differences = config_differences([one.arm for one in told.arms], records)
        envs.append(
            EnvPart(
                evidence=told,
                notices=[*notices(told, records), *differences.messages],
                sooner=sooner(told),
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
