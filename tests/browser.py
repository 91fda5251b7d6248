"""A real Chromium, driven through its debugging pipe: pages as people see them, with what their scripts complained about."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-extensions --hide-scrollbars --remote-debugging-pipe"
)
_START = (
    "import fcntl, os, sys; given, taken = (fcntl.fcntl(int(each), fcntl.F_DUPFD, 10) for each in sys.argv[1:3]); "
    "os.dup2(given, 3); os.dup2(taken, 4); os.execv(sys.argv[3], sys.argv[3:])"
)
"""Chromium reads commands from descriptor 3 and writes answers to 4, whatever they are here."""
_PATIENCE = 60.0


class Browser:
    """One tab. `complaints` are uncaught errors, refusals by the content security policy and failed loads."""

    def __init__(self, process: "subprocess.Popen[bytes]", to_browser: int, from_browser: int) -> None:
        self.process = process
        self.complaints: list[str] = []
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self._loads = 0
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> Any:
        """Send a command of the DevTools protocol and return its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, url: str) -> None:
        """Load a page; returns when it and its styles are there."""
        before = self._loads
        self.ask("Page.navigate", url=url)
        until = time.monotonic() + _PATIENCE
        while self._loads == before:
            self.ask("Runtime.evaluate", expression="1")
            assert time.monotonic() < until, f"{url} did not load"
            time.sleep(0.02)

    def value(self, expression: str) -> Any:
        """Return what an expression is in the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Return when an expression holds in the page."""
        until = time.monotonic() + _PATIENCE
        while not self.value(expression):
            assert time.monotonic() < until, f"never true in the page: {expression}"
            time.sleep(0.05)

    def look(self, width: int, dark: bool = False) -> None:
        """See pages in a window of this width, in a light or a dark room."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=scheme)

    def screenshot(self, path: Path, most: int = 2400) -> None:
        """Write the page as a PNG, from its top to its end or `most` pixels down."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], most), "scale": 1}
        data = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = os.read(self._from, 1 << 16)
            assert piece, "the browser is gone"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, said: dict[str, Any]) -> None:
        self._loads += method == "Page.loadEventFired"
        if method == "Runtime.exceptionThrown":
            details = said["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        if method == "Log.entryAdded" and said["entry"]["level"] == "error":
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
        if method == "Runtime.consoleAPICalled" and said["type"] in ("error", "assert"):
            self.complaints.append(str([each.get("value") for each in said["args"]]))


def chromium() -> str:
    """Return the path of the system's Chromium; without one the assertion names the package."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    assert program is not None, "no Chromium here: install the system package `chromium` (apt-get install chromium)"
    return program


@contextmanager
def browser() -> Iterator[Browser]:
    """Start a Chromium with a profile of its own, and end it and all its children."""
    program = chromium()
    hers, ours = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [sys.executable, "-c", _START, str(hers[0]), str(ours[1]), program, *_QUIET.split()]
        command += [f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(
            command,
            pass_fds=(hers[0], ours[1]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(hers[0])
        os.close(ours[1])
        try:
            yield Browser(process, hers[1], ours[0])
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)
            os.close(hers[1])
            os.close(ours[0])
