"""A page whose errors and requests are watched, and what is asked of it again and again."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page, Request, expect

from tests.processes import PATIENCE

CHROMIUM = "/usr/bin/chromium"
#: Names lead nowhere, so a request to any other host fails; root may not use Chromium's sandbox.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

expect.set_options(timeout=PATIENCE * 1000)


class Watched:
    """Takes down what goes wrong on a page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url
        self.wrong: list[str] = []
        #: what the console may say because a test brings it about; at first, that tests look at pixels
        self.excused: tuple[str, ...] = ("willReadFrequently",)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(part in message.text for part in self.excused):
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self._url, "data:", "blob:")):
            self.wrong.append(f"foreign request: {request.url}")
