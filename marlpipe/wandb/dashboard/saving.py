"""Saves views and reports in W&B, each under a name that follows from its title: again saved, it is renewed."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import wandb
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb_workspaces import workspaces as ws
from wandb_workspaces._graphql import execute_graphql
from wandb_workspaces.reports.v2 import gql
from wandb_workspaces.reports.v2 import interface as wr

from marlpipe.errors import UserError
from marlpipe.wandb.dashboard.destination import Destination
from marlpipe.wandb.run import logged_in

WITHOUT = "python -m marlpipe compare FOLDER shows the same without an account"
TIMEOUT_S, TRIES_AGAIN = 8.0, 1  # of one request; W&B itself would go on for many minutes, also at the exit
DESCRIPTION = "Made by python -m marlpipe dashboard, which renews it: save what you change under another name."
BY_NAME = """
query View($entity: String, $project: String, $viewType: String, $viewName: String) {
    project(name: $project, entityName: $entity) {
        allViews(viewType: $viewType, viewName: $viewName) {
            edges {
                node {
                    id
                }
            }
        }
    }
}
"""


@dataclass(frozen=True)
class Project:
    """A project that exists, seen by whoever is logged in."""

    entity: str
    name: str


def project(where: Destination) -> Project:
    """Asks W&B for it.

    Raises:
        UserError: nobody is logged in, W&B does not answer, or there is no such project.
    """
    if not logged_in():
        raise UserError(
            f"nobody is logged in to W&B.\n  next: wandb login, or set WANDB_API_KEY; or do without: {WITHOUT}"
        )
    with answering():
        wandb.setup(
            wandb.Settings(
                x_graphql_timeout_seconds=TIMEOUT_S,
                x_graphql_retry_max=TRIES_AGAIN,
                x_graphql_retry_wait_min_seconds=0.5,
                x_graphql_retry_wait_max_seconds=2.0,
            )
        )
        api = wandb.Api()
        entity = where.entity or api.settings["entity"] or api.default_entity
        if not entity:
            raise UserError("W&B does not say whose project this is.\n  next: --entity TEAM")
        with suppress(ValueError):  # which W&B raises for a project that it cannot find, or not show
            if api.project(where.project, entity).id:
                return Project(entity, where.project)
    raise UserError(
        f"W&B has no project {entity}/{where.project} that you can see.\n"
        "  valid: a project of W&B, or a folder of runs that exists here\n"
        "  next: check --entity; send runs that were recorded offline with python -m marlpipe sync FOLDER;\n"
        f"  or do without: {WITHOUT}"
    )


def save_view(workspace: ws.Workspace) -> str:
    """Returns its address. UserError if W&B does not take it."""
    name = f"nw-{_key(workspace.entity, workspace.project, workspace.name)}-v"  # as W&B calls what it shows at ?nw=
    with answering():
        _upsert(
            wandb.Api(),
            entityName=workspace.entity,
            projectName=workspace.project,
            type="project-view",
            name=name,
            displayName=workspace.name,
            spec=workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True),
        )
        workspace._internal_name = name
        return str(workspace.url)


def save_report(report: wr.Report) -> str:
    """Returns its address. UserError if W&B does not take it."""
    with answering():
        written = report._to_model()  # type: ignore[no-untyped-call]
        report.id = _upsert(
            wandb.Api(),
            entityName=report.entity,
            projectName=report.project,
            type="runs",
            name=_key(report.entity, report.project, report.title),
            displayName=report.title,
            spec=written.spec.model_dump_json(by_alias=True, exclude_none=True),
        )
        return str(report.url)


def _upsert(api: wandb.Api, **view: str) -> str:
    """Puts a view into the place of the one that has its name, if there is one; returns its id."""
    where = {"entity": view["entityName"], "project": view["projectName"]}
    found = execute_graphql(api, BY_NAME, {**where, "viewType": view["type"], "viewName": view["name"]})
    before = [edge["node"]["id"] for edge in found["project"]["allViews"]["edges"]]
    own = {"id": before[0]} if before else {}
    answer = execute_graphql(api, gql.upsert_view, {**view, **own, "description": DESCRIPTION})
    return str(answer["upsertView"]["view"]["id"])


@contextmanager
def answering() -> Iterator[None]:
    """What W&B raises when its server fails, refuses, or is not there, as a UserError."""
    try:
        yield
    except (wandb.errors.Error, WandbApiFailedError, ValueError, OSError) as error:
        host = wandb.setup().settings.base_url
        raise UserError(
            f"W&B at {host} did not do it: {error}\n"
            f"  next: check the network and the login (wandb login), then the same again; or do without: {WITHOUT}"
        ) from error


def _key(*parts: str) -> str:
    """Eleven letters, where W&B itself would draw them."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:11]
