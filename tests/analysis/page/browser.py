"""A real Chromium without a window, spoken to in its DevTools protocol over a pipe: no port is opened."""

import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# no sandbox: it needs rights that a container or root does not have; the pages are the tests' own
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")


def program() -> str | None:
    """The browser that is installed, if one is."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Tab:
    """One page. What it asked for, logged, and failed with is kept."""

    def __init__(self, read: int, write: int) -> None:
        self.reader, self.writer = read, write
        self.number, self.session, self.rest = 0, "", b""
        self.requests: list[str] = []
        self.complaints: list[str] = []  # errors, and what the page's own policy stopped
        self.loads = 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Any:
        """The answer to one command; AssertionError for an error."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def open(self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Shows a page in a window of that size, and waits until it is loaded and drawn."""
        mobile = width < 600
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.requests.clear()
        self.complaints.clear()
        loads = self.loads
        self.ask("Page.navigate", url=url)
        self.wait_for_load(loads)

    def wait_for_load(self, loads: int) -> None:
        """Until it has been loaded more often than that; then until the next picture is on the screen."""
        while self.loads <= loads:
            self._note(self._next())
        self.drawn()

    def drawn(self) -> None:
        """Returns when what was asked for is on the screen."""
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))")

    def run(self, script: str) -> Any:
        """What an expression comes to in the page; AssertionError where it throws."""
        told = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def press(self, key: str) -> None:
        """One key, as a keyboard sends it."""
        codes = {"Tab": 9, "Escape": 27, " ": 32, "Enter": 13, "ArrowRight": 39}
        text = {" ": " ", "Enter": "\r"}.get(key, "")
        told = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": codes[key]}
        self.ask("Input.dispatchKeyEvent", type="keyDown", text=text, **told)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **told)
        self.drawn()

    def click(self, x: float, y: float) -> None:
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.drawn()

    def screenshot(self, file: Path, *, whole: bool = False) -> None:
        """What the window shows, or the whole page, as PNG."""
        told = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(b64decode(told["data"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            more = os.read(self.reader, 1 << 20)
            assert more, "the browser has gone"
            self.rest += more
        message, _, self.rest = self.rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def _note(self, event: dict[str, Any]) -> None:
        told = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(told["exceptionDetails"]["exception"].get("description", "exception"))
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Page.loadEventFired":
                self.loads += 1
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {told['message']}")


@contextmanager
def browser(path: str) -> Iterator[Tab]:
    """A tab of a fresh browser that is ended afterwards."""
    to_browser, our_write = os.pipe()
    our_read, from_browser = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        command = [path, *FLAGS, f"--user-data-dir={home}"]
        # the browser reads from descriptor 3 and writes to 4; by way of others, neither end can be in the other's place
        moved = 'exec {to}<&$1 {from}>&$2; shift 2; exec "$@" 3<&$to 4>&$from'
        shell = ["bash", "-c", moved, "bash", str(to_browser), str(from_browser), *command]
        process = subprocess.Popen(shell, pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        try:
            yield Tab(our_read, our_write)
        finally:
            process.terminate()
            process.wait(timeout=20)
            os.close(our_read)
            os.close(our_write)
