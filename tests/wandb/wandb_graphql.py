"""What a W&B server answers to the queries of its client, of its public API and of wandb-workspaces, from memory."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

ENTITY = "team"
Variables = dict[str, Any]
NOBODY = {"id": "user", "name": "Somebody", "username": "somebody", "email": "somebody@example.org", "entity": ENTITY}
NO_PAGE_MORE = {"endCursor": None, "hasNextPage": False}


class Refused(Exception):  # noqa: N818 an answer, as an HTTP status
    """status: of HTTP."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class StoredRun:
    """A run as the server has it."""

    id: str
    project: str
    entity: str = ENTITY
    history: list[dict[str, Any]] = field(default_factory=list)  # rows in the order of their offset, with `_step`
    events: list[dict[str, Any]] = field(default_factory=list)  # system metrics
    output: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    raw_config: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    group: str = ""
    job_type: str = ""
    display_name: str = ""
    state: str = "running"
    exit_code: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """As the user gave it."""
        return {name: entry["value"] for name, entry in self.raw_config.items() if name != "_wandb"}

    @property
    def node(self) -> dict[str, Any]:
        """All that a query can ask of a run; a client passes over what it did not ask for."""
        return {
            **{"id": f"storage:{self.id}", "name": self.id, "displayName": self.display_name, "state": self.state},
            **{"tags": self.tags, "group": self.group, "jobType": self.job_type, "projectId": "1", "readOnly": False},
            **{"sweepName": None, "commit": None, "description": "", "notes": "", "user": NOBODY},
            **{"createdAt": "2026-01-01T00:00:00", "heartbeatAt": "2026-01-01T00:00:00", "systemMetrics": "{}"},
            "config": json.dumps(self.raw_config),
            "wandbConfig": json.dumps({"t": self.raw_config.get("_wandb", {}).get("value", {}).get("t", {})}),
            "summaryMetrics": told(self.summary),
            "historyLineCount": len(self.history),
            "historyTail": json.dumps([told(row) for row in self.history[-1:]]),
            "historyKeys": {
                "lastStep": max((row["_step"] for row in self.history), default=-1),
                "keys": {name: {} for row in self.history for name in row},
            },
            "eventsLineCount": len(self.events),
            "eventsTail": json.dumps([json.dumps(row) for row in self.events[-1:]]),
            "logLineCount": len(self.output),
            "project": {"id": "1", "name": self.project, "entity": {"id": "1", "name": self.entity}},
            "parquetHistory": {"parquetUrls": [], "liveData": json.loads(told(self.history))},
        }


@dataclass
class Store:
    """All that was sent to the server. `url` is where it takes files."""

    url: str
    runs: dict[str, StoredRun] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)  # type, name, files, committed, … by id
    views: dict[str, dict[str, Any]] = field(default_factory=dict)  # the variables of `UpsertView2`, by name
    projects: set[str] | None = None  # that exist or may be made; None: any

    def answer(self, query: str, variables: Variables) -> dict[str, Any]:
        """The `data` for a query or mutation. Refused if the server does not know it."""
        name = operation(query)
        handler: Callable[[Variables], dict[str, Any]] | None = getattr(self, f"_{name[0].lower()}{name[1:]}", None)
        if handler is None:
            raise Refused(400, f"this server does not know {name}")
        return handler(variables)

    def _run(self, variables: Variables) -> dict[str, Any]:
        run = self.runs.get(variables.get("name") or variables.get("runName") or variables.get("run") or "")
        here = run is not None and run.project == variables["project"]
        return {"project": {"run": run.node if here and run else None}}

    _runHistoryKeys = _runParquetHistory = _queryRunInfo = _run  # noqa: N815 named after the operations
    _runState = _runFullHistory = _run  # noqa: N815

    def _historyPage(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        first, end = variables["minStep"], variables["maxStep"]
        rows = [row for row in self.runs[variables["run"]].history if first <= row["_step"] < end]
        return {"project": {"run": {"history": [told(row) for row in rows]}}}

    def _runs(self, variables: Variables) -> dict[str, Any]:
        """All runs of a project, whatever is filtered for."""
        nodes = [run.node for run in self.runs.values() if run.project == variables["project"]]
        edges = [{"node": node, "cursor": node["name"]} for node in nodes]
        found = {"edges": edges, "pageInfo": NO_PAGE_MORE}
        return {"project": {"internalId": "1", "runCount": len(nodes), "readOnly": False, "runs": found}}

    def _viewer(self, _: Variables) -> dict[str, Any]:
        none: dict[str, Any] = {"edges": []}
        return {"viewer": {**NOBODY, "flags": "{}", "teams": none, "apiKeys": none, "admin": False, "deletedAt": None}}

    _getViewer = _getDefaultEntity = _viewer  # noqa: N815

    def _serverFeaturesQuery(self, _: Variables) -> dict[str, Any]:  # noqa: N802
        return {"serverInfo": {"features": []}}

    def _organizationCoreWeaveOrganizationID(self, _: Variables) -> dict[str, Any]:  # noqa: N802
        return {"entity": {"organization": None}}

    def _getProjects(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        names = self.projects if self.projects is not None else {run.project for run in self.runs.values()}
        edges = [{"node": project(name, variables["entity"])} for name in sorted(names)]
        return {"models": {"edges": edges, "pageInfo": {"__typename": "PageInfo", **NO_PAGE_MORE}}}

    def _getProject(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        there = self.projects is None or variables["name"] in self.projects
        return {"project": project(variables["name"], variables["entity"]) if there else None}

    def _projectInternalId(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        return self._getProject({"name": variables["projectName"], "entity": variables["entityName"]})

    def _createProject(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        made = project(variables["input"]["name"], variables["input"]["entityName"])
        return {"result": {"project": made, "model": made, "inserted": True}}

    def _runResumeStatus(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        run = self.runs.get(variables["name"])
        project = {"id": "1", "name": variables["project"], "entity": {"id": "1", "name": ENTITY}}
        return {"model": {**project, "bucket": run.node if run else None}}

    def _upsertBucket(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        project = variables.get("project") or "uncategorized"
        if self.projects is not None and project not in self.projects:
            raise Refused(403, f"permission denied for the project {project}")
        name = variables.get("name") or str(variables["id"]).partition(":")[2]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, StoredRun(name, project, variables.get("entity") or ENTITY))
        run.state = "running" if inserted or "state" not in variables else variables["state"] or "running"
        run.raw_config.update(json.loads(variables.get("config") or "{}"))
        run.summary.update(json.loads(variables.get("summaryMetrics") or "{}"))
        given = {"group": "groupName", "job_type": "jobType", "display_name": "displayName", "tags": "tags"}
        for attribute, variable in given.items():
            if variables.get(variable) is not None:
                setattr(run, attribute, variables[variable])
        return {"upsertBucket": {"bucket": run.node, "inserted": inserted}}

    def _createRunFiles(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        address = f"{self.url}/upload/{variables['run']}"
        files = [{"name": name, "uploadUrl": f"{address}/{name}"} for name in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def _artifactType(self, _: Variables) -> dict[str, Any]:  # noqa: N802
        return {"project": None}

    def _createArtifact(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        given, own = variables["input"], f"artifact-{len(self.artifacts)}"
        self.artifacts[own] = {
            **{"type": given["artifactTypeName"], "name": given["artifactCollectionName"]},
            **{
                "run": given.get("runName"),
                "project": given["projectName"],
                "metadata": json.loads(given.get("metadata") or "{}"),
            },
            **{"aliases": [alias["alias"] for alias in given.get("aliases") or ()], "files": {}, "committed": False},
        }
        sequence = {"latestArtifact": None}
        return {"createArtifact": {"artifact": {"id": own, "state": "PENDING", "artifactSequence": sequence}}}

    def _createArtifactManifest(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        own = variables["artifactID"]
        file = {"id": own, "uploadUrl": f"{self.url}/artifact/{own}/{variables['name']}", "uploadHeaders": []}
        manifest = {"id": own, "file": file if variables["includeUpload"] else None}
        return {"createArtifactManifest": {"artifactManifest": manifest}}

    def _updateArtifactManifest(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        own = variables["artifactManifestID"]
        file = {"id": own, "uploadUrl": f"{self.url}/artifact/{own}/wandb_manifest.json", "uploadHeaders": []}
        return {"updateArtifactManifest": {"artifactManifest": {"id": own, "file": file}}}

    def _createArtifactFiles(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        edges = []
        for given in variables["input"]["artifactFiles"]:
            own, name = given["artifactID"], given["name"]
            address = {"storagePath": name, "uploadUrl": f"{self.url}/artifact/{own}/{name}", "uploadHeaders": []}
            edges.append({"node": {**address, "uploadMultipartUrls": None, "artifact": {"id": own}}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _commitArtifact(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        own = variables["artifactID"]
        self.artifacts[own]["committed"] = True
        return {"commitArtifact": {"artifact": {"id": own, "digest": ""}}}

    def _upsertView2(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        name = variables["name"]
        own = variables.get("id") or encoded(f"View:{name}")
        old = [known for known, view in self.views.items() if view["id"] == own]
        for known in old:
            del self.views[known]
        self.views[name] = {**variables, "id": own}
        return {"upsertView": {"view": self._view_node(name), "inserted": not old}}

    _upsertView = _upsertView2  # noqa: N815 a report is one too

    def _specificReport(self, variables: Variables) -> dict[str, Any]:  # noqa: N802
        [name] = [name for name, view in self.views.items() if view["id"] == variables["reportId"]]
        return {"view": self._view_node(name)}

    def _view(self, variables: Variables) -> dict[str, Any]:
        """A saved workspace, by its name."""
        there = variables["viewName"] in self.views
        edges = [{"node": self._view_node(variables["viewName"])}] if there else []
        return {"project": {"allViews": {"edges": edges}}}

    _projectViews = _view  # noqa: N815 a report is one too

    def _view_node(self, name: str) -> dict[str, Any]:
        view = self.views[name]
        project = {"id": "1", "name": view["projectName"], "entityName": view["entityName"]}
        times = {"createdAt": "2026-01-01T00:00:00", "updatedAt": "2026-01-01T00:00:00"}
        return {**{key: view.get(key) for key in VIEW_KEYS}, **times, "project": project}


VIEW_KEYS = ("id", "type", "name", "displayName", "description", "spec")


def project(name: str, entity: str) -> dict[str, Any]:
    """All that a query can ask of a project."""
    told = {"__typename": "Project", "id": "1", "internalId": "1", "name": name, "entityName": entity, "user": None}
    more = {"createdAt": "2026-01-01T00:00:00", "isBenchmark": False, "description": "", "access": "", "views": ""}
    return {**told, **more}


def told(value: Any) -> str:
    """As JSON, which has no NaN and no infinity: W&B makes texts of them."""
    return json.dumps(json.loads(json.dumps(value), parse_constant=str))


def encoded(text: str) -> str:
    """An id as W&B's addresses have them."""
    return base64.b64encode(text.encode()).decode()


def operation(query: str) -> str:
    """The name of a GraphQL operation."""
    found = re.search(r"\b(?:query|mutation)\s+(\w+)", query)
    return found.group(1) if found else "nameless"
