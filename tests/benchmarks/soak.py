"""Minutes of mixed load with faults: flat memory and no error.

python -m tests.benchmarks.soak [MINUTES]

Devices send numbered readings and blocks; watchers follow events, list streams and read figures; strangers send
nonsense, hold connections open and go away half-way; now and then the disk takes no more for a second. Nothing but
the 503 of those seconds may go wrong, and at the end every stream is what a replay of its readings says.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import psutil

import streamnorm
from tests.faults.test_store import disk_that_takes_no_more
from tests.support.disks import Device
from tests.support.processes import FreshService, Service

MINUTES = 5.0
GROUPS = 3
STREAMS = 40  # of a group; half of all find room in memory
FAULT_EVERY = 20.0  # seconds
FAULT = 1.0
GROWTH = 0.10  # of memory, from the second fifth of the time to the last, that passes for flat


class Soak:
    """What all take part in."""

    def __init__(self, service: Service) -> None:
        self.service = service
        #: watchers and strangers end first: events come only while devices send
        self.over = threading.Event()
        self.quiet = threading.Event()
        self.seen: Counter[str] = Counter()
        self.failures: list[str] = []

    def again(self, name: str, work: Callable[[], None], over: threading.Event, pause: float = 0.0) -> threading.Thread:
        """Do something again and again until it is over."""

        def run() -> None:
            while not over.is_set():
                try:
                    work()
                    self.seen[name] += 1
                except Exception as error:  # noqa: BLE001 - every failure is told at the end
                    self.failures.append(f"{name}: {type(error).__name__}: {error}")
                over.wait(pause)

        return threading.Thread(target=run, name=name)


def devices(soak: Soak, group: list[Device]) -> Callable[[], None]:
    """Send for a group's devices in turn; what is refused for the disk's sake is sent again."""
    client = httpx.Client(base_url=soak.service.url, timeout=60)
    turn = iter(range(10**12))

    def send() -> None:
        device = group[next(turn) % len(group)]
        try:
            device.send(client)
        except AssertionError as refused:
            if "store-unavailable" not in str(refused):
                raise
            soak.seen["refused for the disk"] += 1
            time.sleep(0.1)

    return send


def watch(soak: Soak) -> None:
    """Follow events for a while, list streams, read figures."""
    with httpx.Client(base_url=soak.service.url, timeout=60) as client:
        with client.stream("GET", "/v1/events?prefix=device-0") as events:
            for _ in zip(range(200), events.iter_lines(), strict=False):
                pass
        for path in ("/v1/streams?limit=20", "/metrics", "/v1/streams/device-0-1/profile", "/"):
            client.get(path).raise_for_status()


def strange(soak: Soak) -> None:
    """Send nonsense, too much, or half of something."""
    url = soak.service.url
    assert httpx.post(f"{url}/v1/streams/x/readings", content=b"{").status_code in {400, 415}
    headers = {"content-type": "application/json"}
    large = httpx.post(f"{url}/v1/streams/x/readings", content=b"[" * 2_000_000, headers=headers)
    assert large.status_code == 413
    with socket.create_connection(("127.0.0.1", soak.service.port)) as connection:
        connection.sendall(b"POST /v1/bulk HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")


def main(minutes: float = MINUTES) -> None:
    """Run and print."""
    groups = [[Device(f"device-{g}-{n}", 1000 * g + n) for n in range(STREAMS)] for g in range(GROUPS)]
    settings = {"STREAMNORM_MAX_RESIDENT_STREAMS": str(GROUPS * STREAMS // 2), "STREAMNORM_BODY_TIMEOUT": "2"}
    with tempfile.TemporaryDirectory() as folder, FreshService(Path(folder), **settings) as service:
        soak = Soak(service)
        senders = [soak.again("requests of devices", devices(soak, group), soak.quiet) for group in groups]
        others = [
            soak.again("rounds of a watcher", lambda: watch(soak), soak.over, 0.2),
            soak.again("rounds of a stranger", lambda: strange(soak), soak.over, 0.5),
        ]
        memory: list[float] = []
        process = psutil.Process(service.pid)
        for thread in (*senders, *others):
            thread.start()
        began = time.monotonic()
        fault = began + FAULT_EVERY
        while (passed := time.monotonic() - began) < 60 * minutes:
            time.sleep(0.5)
            memory.append(process.memory_info().rss / 2**20)
            if time.monotonic() > fault:
                with disk_that_takes_no_more(service):
                    time.sleep(FAULT)
                soak.seen["full disks"] += 1
                fault = time.monotonic() + FAULT_EVERY
        for event, threads in ((soak.over, others), (soak.quiet, senders)):
            event.set()
            for thread in threads:
                thread.join()
        with httpx.Client(base_url=service.url, timeout=60) as client:
            for device in (one for group in groups for one in group):
                while device.pending is not None:
                    device.send(client)
                device.replay()
                device.assert_like_twin(client)
    fifth = max(1, len(memory) // 5)
    early, late = float(np.median(memory[fifth : 2 * fifth])), float(np.median(memory[-fifth:]))
    print(f"streamnorm {streamnorm.__version__}, Python {sys.version.split()[0]}: {passed / 60:.1f} minutes")
    for name, count in sorted(soak.seen.items()):
        print(f"{count:>9} {name}")
    print(f"memory: {early:.1f} MiB early, {late:.1f} MiB late ({late / early - 1:+.1%})")
    print(f"failures: {len(soak.failures)} {soak.failures[:5]}")
    print(f"all {GROUPS * STREAMS} streams equal a replay of what was acknowledged, to the bit")
    if soak.failures or late > early * (1 + GROWTH):
        raise SystemExit(1)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else MINUTES)
