"""Firefox without a window, driven through WebDriver BiDi: Playwright cannot drive Debian's."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

from tests.support.processes import PATIENCE, STEP

FIREFOX = "/usr/bin/firefox-esr"
#: where Firefox says how it is reached
SERVER = "WebDriverBiDiServer.json"


class Firefox:
    """Firefox with a profile in an empty folder; `wrong` collects what its console reports as errors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._open = contextlib.ExitStack()
        self.wrong: list[str] = []

    def __enter__(self) -> Self:
        """Start it, and open a session with one tab."""
        command = [FIREFOX, "--headless", "--no-remote", "--profile", str(self._folder), "--remote-debugging-port", "0"]
        with (self._folder / "firefox.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - Debian's Firefox
        self._open.callback(self._process.kill)
        with contextlib.ExitStack() as started:
            started.push(self._open)
            self._connection = self._open.enter_context(self._connect())
            self._call("session.new", capabilities={})
            self._call("session.subscribe", events=["log.entryAdded"])
            self._tab = self._call("browsingContext.getTree")["contexts"][0]["context"]
            started.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing running."""
        self._open.close()
        self._process.wait(PATIENCE)

    def open(self, url: str, width: int = 1280, height: int = 900) -> None:
        """Open a page in a window of a size, and wait until it is loaded."""
        self._call("browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height})
        self._call("browsingContext.navigate", context=self._tab, url="about:blank", wait="complete")
        self._call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return what an expression, or its promise, comes to in the page; it is plain JSON."""
        target = {"context": self._tab}
        source = f"(async () => JSON.stringify(await ({expression})) ?? 'null')()"
        found = self._call("script.evaluate", expression=source, target=target, awaitPromise=True)
        if found["type"] == "exception":
            raise AssertionError(found["exceptionDetails"]["text"])
        return json.loads(found["result"]["value"])

    def until(self, expression: str) -> None:
        """Wait until an expression is true in the page."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"never true: {expression}"
            time.sleep(STEP)

    def press(self, selector: str, key: str) -> None:
        """Press a key on an element."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")
        actions = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._call(
            "input.performActions", context=self._tab, actions=[{"type": "key", "id": "keys", "actions": actions}]
        )

    def _connect(self) -> ClientConnection:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                server = json.loads((self._folder / SERVER).read_text())
                return connect(f"ws://{server['ws_host']}:{server['ws_port']}/session", max_size=None, proxy=None)
            except (OSError, ValueError):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(STEP)

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(PATIENCE))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.wrong.append(message["params"]["text"])
            if message.get("id") == number:
                if message["type"] == "error":
                    raise RuntimeError(f"{method}: {message['message']}")
                result: dict[str, Any] = message["result"]
                return result
