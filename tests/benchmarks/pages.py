"""What the dashboard costs: `python -m tests.benchmarks.pages`.

- hub: microseconds a reading of 8 features takes in the service, with the hub (nobody listens) and without it;
- server: percent of a core of a service that gets 20 readings of 8 features a second, with nobody looking, with the
  page in Chromium looking, and with ten readers of the events;
- page: of Chromium with 500 streams that each get a reading a second: frames a second, and tasks longer than 50 ms.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
from playwright.sync_api import Page, sync_playwright

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import parse_reading
from streamnorm.events.hub import EventHub
from streamnorm.ingest import IngestService as Core
from streamnorm.stores.local.memory import MemoryStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from streamnorm_client import Client
from tests.support.browser import ARGUMENTS, CHROMIUM
from tests.support.processes import PATIENCE, FreshService, Service

READINGS = 10_000
ROUNDS = 10  # in turns, the best of which counts: the first warms up
FEATURES = 8
RATE = 20.0
SECONDS = 15.0
STREAMS = 500
READERS = 10
FRAMES = """(seconds) => new Promise((resolve) => {
  let frames = 0, long = 0, worst = 0, end = performance.now() + seconds * 1000;
  const note = (task) => { long += 1; worst = Math.max(worst, task.duration); };
  new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "longtask" });
  const step = (now) => {
    frames += 1;
    if (now < end) requestAnimationFrame(step);
    else resolve([frames / seconds, long, worst]);
  };
  requestAnimationFrame(step);
})"""


async def microseconds(*, hub: bool) -> float:
    """Time readings through the service."""
    residents = WriteBehindStreams(MemoryStore(), plan(configuration({}, {})), durability="no")
    core = Core(residents, limits=Limits())
    if hub:
        core.listeners.append(EventHub(residents.peek))
    one = parse_reading({f"f{n}": float(n) for n in range(FEATURES)}, core.limits)
    start = time.perf_counter()
    for _ in range(READINGS):
        await core.observe("boiler-7", one)
    return (time.perf_counter() - start) / READINGS * 1e6


@contextmanager
def fed(service: Service, streams: int, rate: float) -> Iterator[None]:
    """Send readings while the block runs."""
    done = threading.Event()

    def feed() -> None:
        n = 0
        begun = time.monotonic()
        with Client(service.url) as client:
            while not done.wait(max(0.0, begun + n / rate - time.monotonic())):
                values = {f"f{k}": float((n * (k + 7)) % 101) for k in range(FEATURES)}
                client.bulk([{"stream": f"s{s:03d}", "values": values} for s in range(streams)])
                n += 1

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        yield
    finally:
        done.set()
        feeding.join()


def load(service: Service) -> float:
    """Measure the service's percent of a core."""
    process = psutil.Process(service.pid)
    process.cpu_percent()
    time.sleep(SECONDS)
    return process.cpu_percent()


@contextmanager
def reading_events(service: Service) -> Iterator[None]:
    """Follow the events as many readers."""
    with ExitStack() as stack:
        for _ in range(READERS):
            url = f"{service.url}/v1/events?stream=s000&latest=true"
            response = stack.enter_context(httpx.stream("GET", url, timeout=PATIENCE))
            threading.Thread(target=drain, args=(response,), daemon=True).start()
        yield


def drain(response: httpx.Response) -> None:
    """Read until the end."""
    with suppress(httpx.HTTPError, httpx.StreamError):
        for _ in response.iter_raw():
            pass


@contextmanager
def looking(service: Service) -> Iterator[Page]:
    """Inspect the first stream with Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{service.url}/#s000")
        page.locator("article").first.wait_for()
        page.wait_for_timeout(3000)
        yield page
        browser.close()


def started(stack: ExitStack) -> Service:
    """Start a service with a folder of its own."""
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    return stack.enter_context(FreshService(Path(folder)))


def tell(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure everything, and print it."""
    tell(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    rounds = [[asyncio.run(microseconds(hub=hub)) for hub in (False, True)] for _ in range(ROUNDS)]
    without, with_hub = map(min, zip(*rounds, strict=True))
    tell(f"a reading in the service: {without:.2f} µs, with the hub {with_hub:.2f} µs, ratio {with_hub / without:.2f}")
    with ExitStack() as stack:
        service = started(stack)
        with fed(service, 1, RATE):
            tell(f"{RATE:g} readings of {FEATURES} features a second, percent of a core:")
            tell(f"  nobody looks        {load(service):.1f}")
            with looking(service):
                tell(f"  the page looks      {load(service):.1f}")
            with reading_events(service):
                tell(f"  {READERS} readers          {load(service):.1f}")
    with ExitStack() as stack:
        service = started(stack)
        with fed(service, STREAMS, 1.0), looking(service) as page:
            frames, long, worst = page.evaluate(FRAMES, SECONDS)
            tell(f"{STREAMS} streams, a reading a second each: {frames:.0f} frames a second")
            tell(f"  percent of a core: {load(service):.1f}")
            tell(f"  tasks of more than 50 ms in {SECONDS:g} s: {long}, the longest {worst:.0f} ms")


if __name__ == "__main__":
    main()
