"""The static parts of the page: tables and sentences, readable without JavaScript."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from marlpipe.analysis.page.comparison import EnvComparison
from marlpipe.analysis.page.config_differences import Difference
from marlpipe.analysis.page.evidence import MOST_PAIRED, ArmEvidence, EnvEvidence, Names
from marlpipe.analysis.page.found_runs import FoundRun
from marlpipe.analysis.page.markup import (
    UNKNOWN,
    Column,
    Html,
    bracketed,
    element,
    joined,
    listed,
    rounded,
    safe,
    swatch,
    table,
)
from marlpipe.analysis.page.sample_efficiency import SampleEfficiency
from marlpipe.analysis.page.tasks import STATISTICS, TaskEvidence
from marlpipe.analysis.statistics.bootstrap import Interval
from marlpipe.analysis.statistics.paper_returns import PaperReturn
from marlpipe.runs.display import URGENCY, about, duration

Colours = Mapping[str, int]  # the palette index of each arm, by name
LONGEST_VALUE = 120  # characters of a config value
MEASURE = "For the absolute metric, evaluate the best policies after training: python -m marlpipe evaluate FOLDER"
WHY = {
    "beyond": "Keys that differ without having been set",
    "swept": "Keys that were set",
    "follows": "Keys of parts that were exchanged",
}


def results(env: EnvEvidence, colours: Colours, states: Mapping[Path, str]) -> Html:
    """Final return and area of each arm, best first.

    Args:
        states: of each run, by its folder.
    """
    columns = [
        Column("arm", number=False),
        *map(Column, ("final return", "area", "absolute", "seeds", "against the best", "env steps/s", "wall")),
    ]
    rows = [_result(one, colours, states) for one in env.arms]
    caption = (
        "Interquartile means over seeds with 95 % bootstrap intervals, or with the value of each seed where there are "
        "few. Final return: mean of the last tenth of the evaluations; area: mean height of the curve; absolute: "
        "return of the best policies, evaluated after training. Against the best other arm: difference of means; * "
        "only indicative, fewer than five seeds."
    )
    finished = [one for one in env.arms if one.arm.counted and not one.arm.partial]
    unmeasured = any(one.absolute is None for one in finished)
    return joined([table(caption, columns, rows), element("p", MEASURE, class_="caption") if unmeasured else ""])


def improvement(paired: Mapping[Names, Interval], caption: str, colours: Colours) -> Html:
    """The matrix of P(a run of the row's arm scores higher than one of the column's)."""
    names = list(dict.fromkeys(ours for ours, _ in paired))
    if not names:
        return Html("")
    columns = [Column("arm", number=False), *(Column(swatch(colours[name], name)) for name in names)]
    rows = [[swatch(colours[ours], ours), *(_pair(paired.get((ours, theirs))) for theirs in names)] for ours in names]
    return table(caption, columns, rows)


def improvement_caption(env: EnvEvidence) -> str:
    more = f" Only the {MOST_PAIRED} best arms are shown." if len(env.arms) > MOST_PAIRED else ""
    return (
        "Probability that a run of the row's arm ends higher than one of the column's, with 95 % intervals. An "
        "interval of width zero: every run of one arm ends above every run of the other, in all resamples. "
        f"* only indicative: fewer than five seeds.{more}"
    )


def efficiency(reached: Sequence[SampleEfficiency], paper: PaperReturn | None, colours: Colours) -> Html:
    """One column per threshold, with env steps and minutes. paper: the return without a share."""
    if not reached:
        return Html("")
    shares = {one.share: one.threshold for one in reached}
    columns = [Column("arm", number=False)]
    columns += [
        Column(f"a paper's {threshold:g}" if share is None else f"{share:.0%} ({rounded(threshold, 3)})")
        for share, threshold in shares.items()
    ]
    cells = {(one.arm, one.share): _reached(one) for one in reached}
    rows = [
        [swatch(colours[arm], arm), *(cells[arm, share] for share in shares)]
        for arm in dict.fromkeys(one.arm for one in reached)
    ]
    caption = (
        "Env steps and time until a run first covers that share of the way (the return in brackets) from the median "
        "first evaluation to the best arm's final return: medians over seeds, and the number of seeds that reach it."
        + (f" {paper.value:g}: {paper.source}." if paper else "")
    )
    return table(caption, columns, rows)


def differing(part: EnvComparison, colours: Colours) -> Html:
    """The config keys that differ; those that were not set come first, expanded."""
    if len(part.differences.arms) < 2:
        return Html("")
    arms = [Column(swatch(colours[name], name), number=False) for name in part.differences.arms]
    found = []
    for why, heading in WHY.items():
        rows = [difference for difference in part.differences.keys if difference.why == why]
        if not rows:
            continue
        shown = table(heading, [Column("key", number=False), *arms], [_difference(row) for row in rows])
        summary = element("summary", f"{heading}: {len(rows)}")
        found.append(element("details", summary, shown, **({"open": ""} if why == "beyond" else {})))
    return joined(found) if found else element("p", "The configs of all arms are the same.")


def over_tasks(tasks: TaskEvidence, colours: Colours) -> Html:
    """The aggregates of normalised scores, and the reasons for tasks without."""
    columns = [Column("arm", number=False), *(Column(statistic.name) for statistic in STATISTICS)]
    rows = [
        [swatch(colours[name], name), *(bracketed(*own[statistic.name][:3]) for statistic in STATISTICS)]
        for name, own in tasks.statistics.items()
    ]
    caption = (
        f"Normalised over {', '.join(tasks.tasks)}: 0 is the return of random actions, 1 the highest possible return"
    )
    return joined([table(caption, columns, rows) if rows else "", listed(tasks.messages)])


def runs(found: Sequence[tuple[int, FoundRun]], caption: str) -> Html:
    """Runs with their state and its reason; a click on the name opens the details of a run."""
    columns = [Column("run", number=False), Column("seed"), Column("state", number=False)]
    columns += [Column("reason", number=False), Column("env steps"), Column("wall"), Column("seen")]
    return table(caption, columns, [_run(number, one) for number, one in found])


def _result(one: ArmEvidence, colours: Colours, states: Mapping[Path, str]) -> list[str | Html]:
    summary, arm = one.summary, one.arm
    found = Counter(states[run.folder.path] for run in arm.runs)
    others = ", ".join(f"{found[state]} {state}" for state in URGENCY if found[state] and state != "finished")
    return [
        swatch(colours[arm.name], arm.name + (" (so far)" if arm.partial else "")),
        _mean(one.final),
        _mean(one.area),
        UNKNOWN if one.absolute is None else _mean(one.absolute),
        joined([str(len(one.finals)), element("small", f" and {others}") if others and not arm.partial else ""]),
        _against(one),
        UNKNOWN if summary.env_steps_per_s is None else f"{summary.env_steps_per_s:,.0f}",
        duration(summary.wall_s),
    ]


def _mean(one: Interval) -> Html:
    """With its interval; with the value of each run where there are few."""
    if not one.indicative or one.runs < 2:
        return bracketed(*one[:3])
    return joined([rounded(one.point), element("small", f" of {', '.join(rounded(point) for point in one.points)}")])


def _against(one: ArmEvidence) -> Html:
    difference = one.summary.difference
    if difference is None:
        return safe(UNKNOWN)
    sign = "+" if difference.mean > 0 else ""
    interval = bracketed(difference.mean, difference.low, difference.high)
    return joined([sign, interval, element("small", " *") if difference.indicative else ""])


def _pair(one: Interval | None) -> Html:
    if one is None:
        return safe("")
    interval = "" if math.isnan(one.low) else f" [{one.low:.2f}, {one.high:.2f}]"
    return joined([f"{one.point:.2f}", element("small", f"{interval}{' *' if one.indicative else ''}")])


def _reached(one: SampleEfficiency) -> Html:
    share = element("small", f" {one.at.reached}/{one.at.runs}")
    if math.isinf(one.at.env_steps):
        return joined(["only some" if one.at.reached else "never", share])
    return joined([f"{one.at.env_steps:,.0f}", ", ", about(60 * one.at.minutes), share])


def _difference(row: Difference) -> list[str | Html]:
    return [row.key, *(value if len(value) <= LONGEST_VALUE else f"{value[:LONGEST_VALUE]}…" for value in row.values)]


def _run(number: int, one: FoundRun) -> list[str | Html]:
    records = one.standing.records
    seen = one.standing.seen.strftime("%Y-%m-%d %H:%M UTC") if one.standing.seen else UNKNOWN
    return [
        element("button", records.name, type="button", class_="run", data_run=str(number)),
        str(records.identity.seed) if records.identity else UNKNOWN,
        element("span", one.state, class_=f"state {one.state}"),
        ((one.reason or "").splitlines() or [""])[0][:300],
        f"{records.status.env_steps:,}",
        duration(records.status.wall_s),
        seen,
    ]
