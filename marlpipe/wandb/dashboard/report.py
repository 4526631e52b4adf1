"""A W&B report of some plans, with a list of what is compared."""

from collections.abc import Iterator, Sequence

from wandb_workspaces.reports.v2 import interface as wr

from marlpipe.wandb.dashboard.panels import panels
from marlpipe.wandb.dashboard.plan import COLUMNS, Plan, describe

SPREAD = (
    "Lines are means over the seeds of a group; bands and bars span its lowest to its highest run and are no "
    "confidence intervals. Confidence intervals, tests and config differences are on the page that "
)
Block = wr.H2 | wr.H3 | wr.P | wr.UnorderedList | wr.PanelGrid


def report(plans: Sequence[Plan], *, title: str, entity: str, project: str) -> wr.Report:
    """Builds the report; nothing is sent yet."""
    blocks = [block for plan in plans for block in _blocks(plan, entity, project)]
    intervals = wr.P(text=[SPREAD, wr.InlineCode(text="python -m marlpipe compare FOLDER"), " writes."])
    return wr.Report(
        title=title,
        entity=entity,
        project=project,
        width="fluid",
        blocks=[intervals, *blocks],
    )


def _blocks(plan: Plan, entity: str, project: str) -> Iterator[Block]:
    yield wr.H2(text=plan.title)
    if plan.arms:
        yield wr.P(text="What is compared:")
        yield wr.UnorderedList(items=list(map(describe, plan.arms)))
    else:
        yield wr.P(text="All runs of the project. The table shows the number of seeds of each group.")
    for number, section in enumerate(plan.sections):
        yield wr.H3(text=section.title)
        yield wr.PanelGrid(
            runsets=[_runs(plan, entity, project)], hide_run_sets=number > 0, panels=list(panels(section))
        )


def _runs(plan: Plan, entity: str, project: str) -> wr.Runset:
    return wr.Runset(
        name=plan.title,
        entity=entity,
        project=project,
        filters=plan.filters,
        groupby=[f"config.{key}" for key in plan.groups],
        order=[
            wr.OrderBy(name=wr.Config("env"), ascending=True),
            wr.OrderBy(name=wr.SummaryMetric("final/return"), ascending=False),
        ],
        pinned_columns=["run:displayName", *COLUMNS],
    )
