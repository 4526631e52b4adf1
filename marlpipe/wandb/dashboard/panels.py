"""The W&B panels of a section, shared by views and reports."""

from wandb_workspaces.reports.v2 import interface as wr

from marlpipe.wandb.dashboard.sections import Section

X_AXIS = "env_steps"
MOST_RUNS = 500  # W&B's default is ten
Panel = wr.LinePlot | wr.BarPlot | wr.MediaBrowser


def panels(section: Section) -> list[Panel]:
    """One panel per metric: mean and range over the runs of a group, unsmoothed."""
    return [
        *map(_curve, section.curves),
        *map(_bars, section.bars),
        *([_pictures(section.pictures)] if section.pictures else []),
    ]


def _curve(metric: str) -> wr.LinePlot:
    return wr.LinePlot(
        title=metric,
        x=X_AXIS,
        y=[metric],
        title_x="env steps",
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        smoothing_type="none",
        smoothing_factor=0,
        max_runs_to_show=MOST_RUNS,
    )


def _bars(value: str) -> wr.BarPlot:
    return wr.BarPlot(
        title=value,
        metrics=[value],
        groupby_aggfunc="mean",
        groupby_rangefunc="minmax",
        max_runs_to_show=MOST_RUNS,
        max_bars_to_show=MOST_RUNS,
    )


def _pictures(names: tuple[str, ...]) -> wr.MediaBrowser:
    return wr.MediaBrowser(title="at evaluations", media_keys=[f"pictures/{name}" for name in names])
