"""Saves views and reports in W&B under names derived from their titles, so that saving again replaces them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import wandb
from wandb_workspaces import workspaces as ws
from wandb_workspaces.reports.v2 import interface as wr

from marlpipe.errors import UserError
from marlpipe.wandb.dashboard.destination import Destination
from marlpipe.wandb.own_settings import check_not_disabled
from marlpipe.wandb.private_api import (
    WandbApiFailedError,
    report_spec,
    request_limits,
    upsert_view,
    workspace_name,
    workspace_spec,
    workspace_url,
)
from marlpipe.wandb.run import logged_in

WITHOUT = "python -m marlpipe compare FOLDER shows the same without an account"
TIMEOUT_S, TRIES_AGAIN = 8.0, 1  # of one request; W&B's defaults repeat it for many minutes, also at exit
DESCRIPTION = "Made by python -m marlpipe dashboard, which replaces it: save your changes under another name."


@dataclass(frozen=True)
class Project:
    """A project that exists and is visible to this login."""

    entity: str
    name: str


def project(where: Destination) -> Project:
    """The project of a destination.

    Raises:
        UserError: the user has switched W&B off, nobody is logged in, W&B does not answer, or there is no such project.
    """
    check_not_disabled()
    if not logged_in():
        raise UserError(
            f"nobody is logged in to W&B.\n  next: wandb login, or set WANDB_API_KEY; or do without: {WITHOUT}"
        )
    with answering():
        wandb.setup(request_limits(TIMEOUT_S, TRIES_AGAIN))
        api = wandb.Api()
        entity = where.entity or api.settings["entity"] or api.default_entity
        if not entity:
            raise UserError("W&B does not say whose project this is.\n  next: --entity TEAM")
        with suppress(ValueError):  # raised for a project that does not exist or is not visible
            if api.project(where.project, entity).id:
                return Project(entity, where.project)
    raise UserError(
        f"W&B has no project {entity}/{where.project} that you can see.\n"
        "  valid: a project of W&B, or a folder of runs that exists here\n"
        "  next: check --entity; send runs that were recorded offline with python -m marlpipe sync FOLDER;\n"
        f"  or do without: {WITHOUT}"
    )


def save_view(workspace: ws.Workspace) -> str:
    """Saves it and returns its address. UserError if W&B does not accept it."""
    name = workspace_name(_key(workspace.entity, workspace.project, workspace.name))
    with answering():
        upsert_view(
            wandb.Api(),
            entityName=workspace.entity,
            projectName=workspace.project,
            type="project-view",
            name=name,
            displayName=workspace.name,
            spec=workspace_spec(workspace),
            description=DESCRIPTION,
        )
        return workspace_url(workspace, name)


def save_report(report: wr.Report) -> str:
    """Saves it and returns its address. UserError if W&B does not accept it."""
    with answering():
        report.id = upsert_view(
            wandb.Api(),
            entityName=report.entity,
            projectName=report.project,
            type="runs",
            name=_key(report.entity, report.project, report.title),
            displayName=report.title,
            spec=report_spec(report),
            description=DESCRIPTION,
        )
        return str(report.url)


@contextmanager
def answering() -> Iterator[None]:
    """Turns what W&B raises when its server fails, refuses or is unreachable into a UserError."""
    try:
        yield
    except (wandb.errors.Error, WandbApiFailedError, ValueError, OSError) as error:
        host = wandb.setup().settings.base_url
        raise UserError(
            f"W&B at {host} did not carry out the request: {error}\n"
            f"  next: check the network and the login (wandb login), then repeat the command; or do without: {WITHOUT}"
        ) from error


def _key(*parts: str) -> str:
    """Eleven hexadecimal digits, in place of W&B's random ones."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:11]
