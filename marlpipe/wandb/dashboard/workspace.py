"""The saved view of a W&B workspace that shows a plan."""

from wandb_workspaces import workspaces as ws
from wandb_workspaces.expr import Config, Ordering, Summary

from marlpipe.wandb.dashboard.panels import MOST_RUNS, X_AXIS, panels
from marlpipe.wandb.dashboard.plan import COLUMNS, Plan


def workspace(plan: Plan, *, entity: str, project: str) -> ws.Workspace:
    """Builds the view, with the best run first in its table; nothing is sent yet."""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=plan.title,
        sections=[
            ws.Section(
                name=section.title,
                panels=list(panels(section)),
                is_open=True,
                panel_settings=ws.SectionPanelSettings(x_axis=X_AXIS),
            )
            for section in plan.sections
        ],
        settings=ws.WorkspaceSettings(x_axis=X_AXIS, max_runs=MOST_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=plan.filters,
            groupby=[Config(key) for key in plan.groups],
            order=[Ordering(Config("env")), Ordering(Summary("final/return"), ascending=False)],
            pinned_columns=list(COLUMNS),
        ),
    )
