"""Serves the page on the loopback interface, and renews it whenever a run's files change."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from marlpipe.analysis.page.comparison import comparison
from marlpipe.analysis.page.page import page
from marlpipe.errors import UserError
from marlpipe.runs.find import find_folders
from marlpipe.runs.folder import RunFolder

LOOPBACK = "127.0.0.1"
EVERY_S = 5.0  # between two checks of the files


class ServedPage:
    """The page that browsers get, with its version."""

    def __init__(self) -> None:
        self.version, self.page = "", b""

    def replace(self, version: str, text: str) -> None:
        self.page, self.version = text.encode(), version


@contextmanager
def server(served: ServedPage) -> Iterator[str]:
    """Serves on a free port of the loopback interface, in a background thread; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if (
                self.headers.get("Host") != f"{LOOPBACK}:{http.server_port}"
            ):  # DNS rebinding: a foreign name that resolves to this address
                self.send_error(403)
            elif self.path == "/":
                self._answer("text/html; charset=utf-8", served.page)
            elif self.path == "/version":
                self._answer("text/plain; charset=utf-8", served.version.encode())
            else:
                self.send_error(404)

        def _answer(self, kind: str, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, name="page", daemon=True)
        thread.start()
        try:
            yield f"http://{LOOPBACK}:{http.server_port}/"
        finally:
            http.shutdown()
            thread.join()


def watch(folders: list[Path], show_address: Callable[[str], None], every_s: float = EVERY_S) -> None:
    """Serves until interrupted.

    Raises:
        UserError: a folder does not exist, or there is no run below any.
    """
    served = ServedPage()
    version = signature(folders)
    served.replace(version, page(comparison(folders), live=version))
    with server(served) as address:
        show_address(address)
        while True:
            time.sleep(every_s)
            with suppress(UserError):  # a disk that is briefly unavailable: the last page stays
                version = signature(folders)
                if version != served.version:
                    served.replace(version, page(comparison(folders), live=version))


def signature(folders: list[Path]) -> str:
    """Sixteen hexadecimal digits that change whenever a file that the comparison reads changes."""
    digest = hashlib.sha256()
    for folder in find_folders(folders):
        for file in _read(folder):
            try:
                found = os.stat(file)
            except OSError:
                continue
            digest.update(f"{file}\0{found.st_size}\0{found.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _read(folder: RunFolder) -> list[Path]:
    return [folder.metrics, folder.status_file, folder.run, folder.submission, folder.config]
