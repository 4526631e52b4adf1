"""What marlpipe uses of W&B beyond its documented API: the module to check when W&B is upgraded.

Tried with wandb 0.31.0 and wandb-workspaces 0.4.13. tests/wandb runs the real client of W&B and fails where one of
these has changed. The format of W&B's log is in log.py.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb
from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]
from wandb.sdk.lib.service.service_connection import WandbApiFailedError
from wandb.sdk.lib.wbauth import authenticate_session

if TYPE_CHECKING:  # wandb-workspaces takes long to import, and only the dashboard needs it
    from wandb_workspaces import workspaces as ws
    from wandb_workspaces.reports.v2 import interface as wr

__all__ = ["Record", "WandbApiFailedError"]  # a record of the log; raised by W&B's own process for a failed request

# Names and places that W&B gives to its files
SESSION = re.compile(r"(?:offline-)?run-(\d{8}_\d{6}-.+)")  # the folder of a session: time and run id
OFFLINE_SESSION = "offline-run-"  # how the folder of a session must begin for `wandb sync` to send it
SYNC_STATE = ".syncstate"  # appended to the name of a log: JSON with the `_step` at which `wandb sync` begins
SYNCED = ".synced"  # appended to the name of a log that W&B has sent
STAGING = Path("data", "artifacts", "staging")  # files of artifacts, below WANDB_DATA_DIR's parent
# The environment variable by which a process hands its service process to the wandb commands that it starts
SERVICE = "WANDB_SERVICE"
# What `wandb sync` prints when it is done with a session, or complains
DONE = re.compile(r"Finished syncing |ERROR ")
COMPLAINT = "ERROR "

VIEW_BY_NAME = """
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


def has_login(host: str) -> bool:
    """Whether an API key or a token is configured for a host, without a request to it."""
    return authenticate_session(host=host, source="marlpipe", prompt=False, update_session=False) is not None


def run_settings(flush_s: float, **public: Any) -> wandb.Settings:
    """Settings of a run whose log reaches the disk within `flush_s` seconds, in addition to public ones."""
    return wandb.Settings(x_transaction_log_flush_interval=flush_s, **public)


def request_limits(timeout_s: float, tries_again: int) -> wandb.Settings:
    """Settings of a session whose requests fail after `timeout_s` seconds and `tries_again` repetitions."""
    return wandb.Settings(
        x_graphql_timeout_seconds=timeout_s,
        x_graphql_retry_max=tries_again,
        x_graphql_retry_wait_min_seconds=0.5,
        x_graphql_retry_wait_max_seconds=2.0,
    )


def is_run_not_found(error: Exception) -> bool:
    """Whether W&B raised an error because it has no such run; the older way wraps the error in another one."""
    from wandb.apis.public.runs import RunNotFoundError

    return isinstance(error, RunNotFoundError) or isinstance(getattr(error, "exc", None), RunNotFoundError)


def workspace_spec(workspace: "ws.Workspace") -> str:
    """A saved view as the JSON that W&B stores."""
    return workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)


def workspace_url(workspace: "ws.Workspace", name: str) -> str:
    """The address of a view that was saved under an internal name."""
    workspace._internal_name = name
    return str(workspace.url)


def workspace_name(key: str) -> str:
    """The internal name of a view, which its address has as ?nw=key."""
    return f"nw-{key}-v"


def report_spec(report: "wr.Report") -> str:
    """A report as the JSON that W&B stores."""
    spec: str = report._to_model().spec.model_dump_json(by_alias=True, exclude_none=True)  # type: ignore[no-untyped-call]
    return spec


def upsert_view(api: wandb.Api, **view: str) -> str:
    """Saves a view or report in place of the one with its name, if there is one; returns its id."""
    from wandb_workspaces._graphql import execute_graphql
    from wandb_workspaces.reports.v2 import gql

    wanted = {"entity": view["entityName"], "project": view["projectName"]}
    found: Any = execute_graphql(api, VIEW_BY_NAME, {**wanted, "viewType": view["type"], "viewName": view["name"]})
    before = [edge["node"]["id"] for edge in found["project"]["allViews"]["edges"]]
    own = {"id": before[0]} if before else {}
    answer: Any = execute_graphql(api, gql.upsert_view, {**view, **own})
    return str(answer["upsertView"]["view"]["id"])
