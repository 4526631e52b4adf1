"""The content of a view or of a part of a report, independent of W&B's classes."""

from collections.abc import Iterator
from dataclasses import dataclass

from marlpipe.analysis.arms import Arm
from marlpipe.analysis.statistics.curves import FEW_SEEDS
from marlpipe.wandb.dashboard.sections import EVERYWHERE, Section, sections
from marlpipe.wandb.dashboard.study import Study, World

COLUMNS = (
    *(f"config:{key}.value" for key in ("algo", "env", "partition", "monotonicity", "seed")),
    "run:state",
    *(f"summary:{name}" for name in ("final/return", "best/return", "final/area")),
)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One set of runs, and its panels."""

    title: str
    filters: str = ""  # an expression of wandb-workspaces; empty: all runs
    groups: tuple[str, ...]  # keys of the config
    sections: tuple[Section, ...]
    arms: tuple[Arm, ...] = ()  # empty where only the project is known


def plans(study: Study, name: str) -> tuple[Plan, ...]:
    """One plan per environment; a single one for a project whose runs are not known."""
    if not study.worlds:
        return (Plan(title=name, groups=("env", "algo", "arm"), sections=sections(EVERYWHERE, finished=True)),)
    return tuple(_plan(world, name) for world in study.worlds)


def _plan(world: World, name: str) -> Plan:
    arms = [arm.runs[0].identity.arm for arm in world.arms]
    return Plan(
        title=f"{name}: {world.env}",
        filters=f"Config('env') == {world.env!r} and Config('arm') in {arms!r}",
        groups=("env", *world.groups),
        sections=sections(world.metrics, finished=world.finished, pictures=world.pictures),
        arms=world.arms,
    )


def outline(plan: Plan) -> Iterator[str]:
    """The plan as lines of text."""
    yield plan.title
    yield f"  runs: {'; '.join(map(describe, plan.arms)) or 'all of the project'}"
    yield f"  grouped by: {', '.join(plan.groups)}"
    yield f"  columns: {', '.join(column.partition(':')[2].removesuffix('.value') for column in COLUMNS)}"
    for section in plan.sections:
        yield f"  {section.title}: {', '.join((*section.curves, *section.bars, *section.pictures))}"


def describe(arm: Arm) -> str:
    """Name, hash, number of seeds and number of finished runs of an arm."""
    finished = sum(run.status.state == "finished" for run in arm.runs)
    seeds = len({run.identity.seed for run in arm.runs})
    few = f", fewer than {FEW_SEEDS}: see the single runs" if seeds < FEW_SEEDS else ""
    return f"{arm.name} ({arm.runs[0].identity.arm}), {seeds} seed{'s' * (seeds != 1)}, {finished} finished{few}"
