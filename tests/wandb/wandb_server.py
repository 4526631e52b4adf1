"""A W&B server of the tests' own, on this machine: it takes what W&B's client sends, and shows what it has."""

import gzip
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

import pytest
import wandb

from tests.wandb.wandb_graphql import Refused, Store, StoredRun, operation

KEY = "0" * 40
ROWS = {"wandb-history.jsonl": "history", "wandb-events.jsonl": "events"}


class WandbServer:
    """Serves on 127.0.0.1 between `__enter__` and `__exit__`.

    What it has got: `runs`, `artifacts`, `views`, and `requests`, the names of the GraphQL operations and of
    "file_stream" in their order. `errors` are its own: a test should have none. How it behaves, changeable at any time:
    `delay_s` before each answer; `failing` with HTTP 500; `hanging`, which takes requests and answers none; `refusing`
    any API key; `forgets`, steps whose rows it loses; `breaks_at` so many rows of a run, to be `failing` from then on;
    `store.projects`, the only ones that may be written to.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.failing = self.hanging = self.refusing = False
        self.forgets: set[int] = set()
        self.breaks_at: int | None = None
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._guard = threading.Lock()
        self._over = threading.Event()
        self._http = _Quiet(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.store = Store(self.url)

    @property
    def runs(self) -> dict[str, StoredRun]:
        return self.store.runs

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        """By their ids: type, name, run, project, aliases, metadata, files by name, committed."""
        return self.store.artifacts

    @property
    def views(self) -> dict[str, dict[str, Any]]:
        """Saved workspaces and reports by name, as the variables of the mutation; `spec` is JSON text."""
        return self.store.views

    def __enter__(self) -> "WandbServer":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str, body: bytes) -> dict[str, Any]:
        """What W&B is told. Refused as the knobs say; any other error is this server's."""
        _, kind, *parts = unquote(path).split("/")
        if kind == "sdk":  # W&B's measurements of itself
            return {}
        sent = json.loads(body) if kind in ("graphql", "files") else {}
        if sent:
            self.requests.append(operation(sent["query"]) if kind == "graphql" else "file_stream")
        self._behave()
        with self._guard:
            if kind == "graphql":
                return {"data": self.store.answer(sent["query"], sent.get("variables") or {})}
            if kind == "files":
                self._take_rows(self.runs[parts[-2]], sent)
            elif kind == "upload":
                self.runs[parts[0]].files["/".join(parts[1:])] = body
            else:
                self.artifacts[parts[0]]["files"]["/".join(parts[1:])] = body
            return {}

    def _behave(self) -> None:
        time.sleep(self.delay_s)
        while self.hanging and not self._over.is_set():
            time.sleep(0.02)
        if self.failing:
            raise Refused(500, "this server fails")
        if self.refusing:
            raise Refused(401, "this API key is nobody's")

    def _take_rows(self, run: StoredRun, sent: dict[str, Any]) -> None:
        """One piece of a file stream. What it has at an offset already, it replaces."""
        for name, part in sent.get("files", {}).items():
            lines, offset = part["content"], part["offset"]
            if name in ROWS:
                rows = [row for row in map(json.loads, lines) if row.get("_step") not in self.forgets]
                stored = getattr(run, ROWS[name])
                stored[offset : offset + len(lines)] = rows
                if self.breaks_at is not None and len(stored) >= self.breaks_at and name == "wandb-history.jsonl":
                    del stored[self.breaks_at :]
                    self.failing = True
                    raise Refused(500, "this server has broken down")
            elif name == "wandb-summary.json":
                run.summary = json.loads(lines[-1])
            else:
                run.output[offset : offset + len(lines)] = lines
        if sent.get("complete"):
            run.exit_code = sent.get("exitcode")
            run.state = "failed" if run.exit_code else "finished"


@contextmanager
def wandb_at(server: WandbServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WandbServer]:
    """W&B of this process, and of those that it starts, logged in at a server, with a home directory of its own."""
    with no_wandb(monkeypatch, tmp_path):
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server


@contextmanager
def no_wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nobody is logged in, and nothing is left of what W&B was told before."""
    for variable in [name for name in os.environ if name.startswith(("WANDB", "NETRC"))]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    wandb.teardown()
    yield
    wandb.teardown()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away; the errors of an answer are in `WandbServer.errors`."""


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Not in the output of the tests."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            try:
                status, answer = 200, server.answer(self.path, body)
            except Refused as refused:
                status, answer = refused.status, {"errors": [{"message": str(refused)}]}
            except Exception as error:  # of this server; W&B would ask again and again after a 500
                server.errors.append(f"{self.path}: {type(error).__name__}: {error}")
                status, answer = 400, {"errors": [{"message": server.errors[-1]}]}
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_PUT = do_POST  # noqa: N815 named by the library

    return Handler
