"""A page whose errors and requests are watched, and what is asked of it again and again."""

from __future__ import annotations

import re
import shutil
import time
from itertools import islice

from playwright.sync_api import ConsoleMessage, Locator, Page, Request, expect

from streamnorm.demo import rig
from streamnorm_client import Client
from tests.support.processes import PATIENCE

#: Chromium, if it may be without a window's frame, which takes half of the processor's time
CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium") or "/usr/bin/chromium"
#: Names lead nowhere, so a request to any other host fails; root may not use Chromium's sandbox.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]

#: the pixels of a canvas that have exactly a colour of the page's
PIXELS = """(canvas, name) => {
  const probe = document.createElement("i");
  probe.style.color = getComputedStyle(document.documentElement).getPropertyValue(name);
  document.body.append(probe);
  const wanted = getComputedStyle(probe).color.match(/\\d+/g).slice(0, 3).map(Number);
  probe.remove();
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4)
    if (data[at + 3] > 200 && wanted.every((part, c) => Math.abs(data[at + c] - part) < 12)) found += 1;
  return found;
}"""

expect.set_options(timeout=PATIENCE * 1000)


class Watched:
    """Takes down what goes wrong on a page."""

    def __init__(self, page: Page) -> None:
        self.page = page
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
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            self.wrong.append(f"foreign request: {request.url}")


def fill(client: Client, stream: str, readings: int = 200) -> None:
    """Send readings of the simulated rig."""
    client.bulk([{"stream": stream, "values": reading} for reading in islice(rig.readings(0), readings)])


def link(page: Page) -> Locator:
    """Find what tells of the line to the service."""
    return page.get_by_role("status").filter(has_text=re.compile("Live|Reconnecting|Connecting|Key needed"))


def card(page: Page, feature: str) -> Locator:
    """Find a feature's card."""
    return page.locator("article", has=page.get_by_role("heading", name=feature, exact=True))


def painted(place: Locator, colour: str) -> int:
    """Count the pixels of a colour."""
    found: int = place.evaluate(PIXELS, colour)
    return found


def eventually_painted(page: Page, place: Locator, colour: str) -> None:
    """Wait until something is drawn in a colour."""
    deadline = time.monotonic() + PATIENCE
    while painted(place, colour) < 30 and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert painted(place, colour) >= 30
