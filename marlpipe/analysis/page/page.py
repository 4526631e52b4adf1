"""The comparison as one self-contained HTML file, which loads nothing from the disk or a network."""

import hashlib
from base64 import b64encode
from collections import Counter
from importlib.resources import files
from string import Template

from marlpipe.analysis.page.caveats import not_finished
from marlpipe.analysis.page.comparison import Comparison, EnvComparison
from marlpipe.analysis.page.evidence import EnvEvidence
from marlpipe.analysis.page.found_runs import FoundRun
from marlpipe.analysis.page.markup import Html, element, joined, listed, safe
from marlpipe.analysis.page.page_data import PageData, as_json
from marlpipe.analysis.page.sections import (
    differing,
    efficiency,
    improvement,
    improvement_caption,
    over_tasks,
    results,
    runs,
)
from marlpipe.runs.display import COLOURS

SCRIPTS = ("chart.js", "page.js")


def page(comparison: Comparison, *, live: str = "") -> str:
    """The HTML text.

    Args:
        comparison: what to show.
        live: the version of the page, for one that asks its server for a newer version; empty for a file.
    """
    style, script = _part("page.css"), "\n".join(map(_part, SCRIPTS))
    colours = {name: number for number, name in enumerate(comparison.arms)}
    return Template(_part("page.html")).substitute(
        policy=safe(_policy(style, script, live=bool(live))),
        title=safe(f"Comparison: {', '.join(comparison.folders)}"),
        style=style,
        script=script,
        live=safe(live),
        head=_head(comparison),
        unfinished=_unfinished(comparison),
        envs=joined(_env(number, part, colours, comparison) for number, part in enumerate(comparison.envs)),
        tasks=_tasks(comparison, colours),
        data=as_json(PageData(comparison).document()),
    )


def _part(name: str) -> str:
    return files("marlpipe.analysis.page").joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str, *, live: bool) -> str:
    """The Content-Security-Policy: only this script and style, by their hashes, and embedded pictures."""
    connects = "'self'" if live else "'none'"
    hashes = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; img-src data:; "
        f"connect-src {connects}; base-uri 'none'; form-action 'none'"
    )


def _head(comparison: Comparison) -> Html:
    counts = Counter(one.state for one in comparison.found)
    states = ", ".join(f"{counts[state]} {state}" for state in COLOURS if counts[state])
    made = f"{comparison.made:%Y-%m-%d %H:%M} UTC"
    links = [element("a", part.evidence.env, href=f"#env-{number}") for number, part in enumerate(comparison.envs)]
    links.append(element("a", "all environments together", href="#tasks"))
    return joined(
        [
            element("p", f"{len(comparison.found)} runs ({states}) of {', '.join(comparison.folders)}, read {made}."),
            element("nav", *links, aria_label="Environments"),
        ]
    )


def _unfinished(comparison: Comparison) -> Html:
    open_runs = not_finished(comparison.found)
    if not open_runs:
        return Html("")
    shown = runs(_numbered(open_runs, comparison), "Runs that have not finished, and why")
    return element("section", element("h2", f"Not finished: {len(open_runs)}"), shown, id="unfinished")


def _env(number: int, part: EnvComparison, colours: dict[str, int], comparison: Comparison) -> Html:
    env = part.evidence
    inside = [
        element("h2", env.env),
        element("p", f"{part.evidence.verdict}.", class_="verdict") if env.verdict else "",
        listed(part.caveats, class_="caveats"),
        element("div", class_="legend", role="group", aria_label=f"Arms of {env.env}"),
        _chart("curves", number, "Learning curves", f"Learning curves of {env.env}, one line per run"),
        results(env, colours, comparison.states),
        element(
            "div",
            _chart("finals", number, "Final returns, every seed", f"Final returns of {env.env}, one point per run"),
            _chart("profile", number, "Performance profile", f"Performance profile of {env.env}"),
            class_="pair",
        ),
        element("h3", "Probability of improvement") if env.improvement else "",
        improvement(env.improvement, improvement_caption(env), colours),
        element("h3", "Sample efficiency") if part.sample_efficiency else "",
        efficiency(part.sample_efficiency, part.evidence.paper, colours),
        element("h3", "Config differences") if len(env.arms) > 1 else "",
        differing(part, colours),
        _runs(env, comparison),
    ]
    return element("section", *inside, id=f"env-{number}", class_="env", data_env=str(number))


def _runs(env: EnvEvidence, comparison: Comparison) -> Html:
    members = {id(run) for one in env.arms for run in one.arm.runs}
    found = [one for one in comparison.found if id(one.run) in members]
    shown = runs(_numbered(found, comparison), "All runs: a click opens config, command, commit and pictures")
    return element("details", element("summary", f"All {len(found)} runs"), shown)


def _tasks(comparison: Comparison, colours: dict[str, int]) -> Html:
    tasks = comparison.tasks
    caption = "Probability that a run of the row's arm scores higher than one of the column's, averaged over tasks"
    return element(
        "section",
        element("h2", "All environments together"),
        over_tasks(tasks, colours),
        _chart("tasks", 0, "Performance profile of normalised scores", "Performance profile over all tasks")
        if tasks.profiles
        else "",
        improvement(tasks.improvement, caption, colours),
        id="tasks",
    )


def _chart(kind: str, env: int, title: str, label: str) -> Html:
    canvas = element("canvas", role="img", aria_label=f"{label}; the tables hold the numbers", data_kind=kind)
    return element("figure", element("figcaption", title), canvas, class_=kind, data_env=str(env))


def _numbered(chosen: list[FoundRun], comparison: Comparison) -> list[tuple[int, FoundRun]]:
    places = {id(one): number for number, one in enumerate(comparison.found)}
    return [(places[id(one)], one) for one in chosen]
