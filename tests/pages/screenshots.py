"""Pictures of the pages, light, dark and on a phone: `python -m tests.pages.screenshots FOLDER`, `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from itertools import islice
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from streamnorm.demo import rig
from streamnorm_client import Client
from tests.support.browser import ARGUMENTS, CHROMIUM, card, link
from tests.support.processes import Service

#: what the README shows, and of which window
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "dashboard.png"
README = "light"
STREAMS = ("boiler-7", "cold-room-2", "demo-rig", "line-3.press", "line-3.robot", "pump-1", "roof.weather")
STEP = 0.05  # seconds between two readings
WINDOWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 780}, "color_scheme": "light", "device_scale_factor": 2},
}


def feed(client: Client, ready: threading.Event, done: threading.Event) -> None:
    """Send readings of several streams until told to stop."""
    rigs = {name: rig.readings(seed) for seed, name in enumerate(STREAMS)}
    for place, (name, readings) in enumerate(rigs.items()):
        past = list(islice(readings, 100 * place, 100 * place + 800))
        begun = time.time() - STEP * len(past)
        client.bulk(
            [{"stream": name, "values": reading, "timestamp": begun + STEP * n} for n, reading in enumerate(past)]
        )
    ready.set()
    while not done.wait(STEP):
        client.bulk([{"stream": name, "values": next(readings)} for name, readings in rigs.items()])


def take(page: Page, url: str, folder: Path, name: str) -> None:
    """Take the pictures of one window."""
    page.goto(f"{url}/#demo-rig")
    expect(link(page)).to_have_text("Live")
    expect(card(page, "temperature").locator("header .badge")).to_be_visible()
    page.wait_for_timeout(12_000)  # sparklines and rates take their time
    page.screenshot(path=folder / f"{name}.png")
    if name == README:
        page.screenshot(path=PICTURE)
    page.get_by_text("Configuration").click()
    page.get_by_text("Try it").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-message")).to_contain_text("Answered")
    page.screenshot(path=folder / f"{name}-panels.png")
    card(page, "motor").scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    page.screenshot(path=folder / f"{name}-below.png")
    page.goto(f"{url}/docs")
    page.wait_for_timeout(2000)
    page.screenshot(path=folder / f"{name}-docs.png")


def main(folder: Path) -> None:
    """Take all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    done = threading.Event()
    with tempfile.TemporaryDirectory() as data, Service(Path(data)) as service, Client(service.url) as client:
        ready = threading.Event()
        feeding = threading.Thread(target=feed, args=(client, ready, done))
        feeding.start()
        ready.wait()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                for name, window in WINDOWS.items():
                    take(browser.new_context(**window).new_page(), service.url, folder, name)
                browser.close()
        finally:
            done.set()
            feeding.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
