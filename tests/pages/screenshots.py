"""Pictures of the pages with 3, 50 and 2 000 streams: `make screenshots`."""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright

from streamnorm.demo import rig
from streamnorm_client import Client
from tests.support.browser import ARGUMENTS, CHROMIUM, card, link
from tests.support.processes import Service

#: what the README shows
PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "dashboard.png"
LIVE = ("boiler-7", "demo-rig", "roof.weather")
STEP = 0.05  # seconds between two readings
SETTLED = 12_000  # milliseconds that sparklines and rates take
DESKTOP: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 780}, "device_scale_factor": 2}


def feed(client: Client, ready: threading.Event, done: threading.Event) -> None:
    """Send readings of the live streams until told to stop."""
    rigs = {name: rig.readings(seed) for seed, name in enumerate(LIVE)}
    for place, (name, readings) in enumerate(rigs.items()):
        past = list(islice(readings, 100 * place, 100 * place + 800))
        begun = time.time() - STEP * len(past)
        client.bulk(
            [{"stream": name, "values": reading, "timestamp": begun + STEP * n} for n, reading in enumerate(past)]
        )
    ready.set()
    while not done.wait(STEP):
        client.bulk([{"stream": name, "values": next(readings)} for name, readings in rigs.items()])


def add_outage(client: Client) -> None:
    """Add a stream with an outage of two hours."""
    now = time.time()
    times = [now - 7200 - 500 + n for n in range(250)] + [now - 250 + n for n in range(250)]
    rows = zip(times, islice(rig.readings(3), 500), strict=True)
    client.bulk([{"stream": "line-3.press", "values": values, "timestamp": at} for at, values in rows])


def add_sites(client: Client, streams: int) -> None:
    """Add streams of many sites; some sensors are stuck, constant or drifting."""
    noise = random.Random(streams)
    now = time.time()
    for first in range(0, streams, 250):
        rows = []
        for n in range(first, min(streams, first + 250)):
            stuck, drifting, constant = noise.random() < 0.02, noise.random() < 0.04, noise.random() < 0.05
            for k in range(200):
                temp = 21.5 if stuck and k > 80 else noise.gauss(20 + (k / 10 if drifting else 0), 0.5)
                values = {"temp": temp, "supply": 24.0 if constant else noise.gauss(24, 0.1), "door": float(k % 40 < 5)}
                rows.append(
                    {"stream": f"site-{n % 40:02d}.sensor-{n:04d}", "values": values, "timestamp": now - 200 + k}
                )
        for name in sorted({str(row["stream"]) for row in rows}):
            client.stream(name).configure(horizon=60)
        client.bulk(rows)


def open_stream(url: str, query: str = "") -> Callable[[Page], None]:
    """Return what opens a stream, and waits until it is drawn."""

    def opening(page: Page) -> None:
        page.goto(f"{url}/#{query or 'demo-rig'}")
        expect(link(page)).to_have_text("Live")
        expect(card(page, "temperature").locator("header .badge")).to_be_visible()
        page.wait_for_timeout(SETTLED)

    return opening


def open_overview(url: str) -> Callable[[Page], None]:
    """Return what opens the overview, and waits until it is drawn."""

    def opening(page: Page) -> None:
        page.goto(f"{url}/#?")
        expect(page.locator("#kinds li").first).to_be_visible()
        page.wait_for_timeout(SETTLED // 3)

    return opening


def shoot(browser: Browser, folder: Path, name: str, opening: Callable[[Page], None], **window: Any) -> Page:
    """Take a picture of what opens, and return the page."""
    page = browser.new_context(**window).new_page()
    opening(page)
    page.screenshot(path=folder / f"{name}.png")
    return page


def shoot_few(browser: Browser, folder: Path, url: str) -> None:
    """Take the pictures of three streams."""
    page = shoot(browser, folder, "three", open_stream(url), **DESKTOP)
    page.screenshot(path=PICTURE)
    page.get_by_text("Configuration").click()
    page.get_by_text("Try it").click()
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#try-message")).to_contain_text("Answered")
    page.screenshot(path=folder / "three-panels.png")
    card(page, "motor").scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    page.screenshot(path=folder / "three-below.png")
    page.goto(f"{url}/docs")
    page.wait_for_timeout(2000)
    page.screenshot(path=folder / "docs.png")
    shoot(browser, folder, "dark", open_stream(url), **DESKTOP, color_scheme="dark")
    compared = open_stream(url, "demo-rig?compare=temperature,pressure")
    shoot(browser, folder, "compared", compared, **DESKTOP).get_by_role("button", name="Zoom in").click()
    shoot(browser, folder, "phone", open_stream(url), **PHONE)


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
                shoot_few(browser, folder, service.url)
                add_outage(client)
                shoot(browser, folder, "outage", open_stream(service.url, "line-3.press"), **DESKTOP)
                for streams, name in ((46, "fifty"), (1996, "two-thousand")):
                    add_sites(client, streams)
                    shoot(browser, folder, name, open_overview(service.url), **DESKTOP)
                shoot(browser, folder, "two-thousand-dark", open_overview(service.url), **DESKTOP, color_scheme="dark")
                shoot(browser, folder, "two-thousand-phone", open_overview(service.url), **PHONE)
                browser.close()
        finally:
            done.set()
            feeding.join()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
