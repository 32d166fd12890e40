"""Blocks as npy and npz, and small requests beside them: `python -m tests.benchmarks.blocks`."""

from __future__ import annotations

import io
import json
import os
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from itertools import count

import numpy as np

from tests.benchmarks.report import Row, in_turns, show
from tests.benchmarks.servers import LOAD, Address, ours, peer, worked

ROUNDS = 5
MEGABYTE = 1e6
SECONDS = 3.0
_names = (f"s-{n}" for n in count())

Kind = tuple[str, bytes]


def npy(rows: int, columns: int, kind: str) -> Kind:
    """Write an npy file of so many rows and columns."""
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).normal(20.0, 3.0, (rows, columns)).astype(kind))
    return "application/x-npy", file.getvalue()


def npz(streams: int, rows: int, columns: int) -> Kind:
    """Write an npz file of so many streams."""
    file = io.BytesIO()
    values = np.random.default_rng(0).normal(20.0, 3.0, (streams, rows, columns))
    np.savez(file, streams=np.array([f"m-{n}" for n in range(streams)]), values=values)
    return "application/x-npz", file.getvalue()


def echoed(address: Address, kind: Kind) -> float:
    """Send a body to a new stream and read its answer; returns the bytes a second of the server's processor time."""
    media, body = kind
    path = "/v1/bulk" if media.endswith("npz") else f"/v1/streams/{next(_names)}/bulk"
    before = worked(address.process)
    connection = HTTPConnection("127.0.0.1", address.port)
    connection.request("POST", path, body, {"content-type": media})
    answer = connection.getresponse()
    into = memoryview(bytearray(1 << 20))
    size = 0
    while got := answer.readinto(into):
        size += got
    connection.close()
    if answer.status != 200 or size < len(body) * 0.9:
        raise RuntimeError(f"{answer.status}, {size} bytes")
    return len(body) / MEGABYTE / (worked(address.process) - before)


def latencies(address: Address) -> list[float]:
    """Send small requests one after the other, two hundred a second; returns the seconds that each took, in order."""
    took = []
    connection = HTTPConnection("127.0.0.1", address.port)
    body = b'{"values":{"temp":21.4,"door":0,"light":3.5}}'
    until = time.perf_counter() + SECONDS
    while (began := time.perf_counter()) < until:
        connection.request("POST", "/v1/streams/small/readings", body, {"content-type": "application/json"})
        json.loads(connection.getresponse().read())
        took.append(time.perf_counter() - began)
        time.sleep(0.005)
    connection.close()
    return sorted(took)


@contextmanager
def blocks_meanwhile(address: Address, kind: Kind) -> Iterator[None]:
    """Send one block after the other in another process."""
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            echoed(address, kind)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        time.sleep(0.5)
        yield
    finally:
        stop.set()
        sender.join()


def p99(took: list[float]) -> float:
    """Return the 99th percentile in milliseconds."""
    return took[int(len(took) * 0.99)] * 1e3


def beside_blocks() -> list[Row]:
    """Measure small requests beside large blocks, against the same beside an echo of the blocks."""
    kind = npy(250_000, 8, "f8")

    def beside(address: Address) -> float:
        with blocks_meanwhile(address, kind):
            return p99(latencies(address))

    with ours(core=None) as us, peer("echo", core=None) as echo:
        for address in (us, echo):
            latencies(address)
        theirs, mine, alone = in_turns(ROUNDS, lambda: beside(echo), lambda: beside(us), lambda: p99(latencies(us)))
    note = f"200 requests a second, one connection; ours alone {statistics.median(alone):.2f} ms; "
    note += "both cores are shared with the load"
    what = "p99 of small requests beside 16 MB blocks without pause"
    return [Row(what, "the same beside a bare echo", theirs, mine, "ms", "", note)]


def measure() -> list[Row]:
    """Compare with a bare echo of the same body."""
    os.sched_setaffinity(0, {LOAD})
    kinds = {
        "npy, 1 000 000 × 10 float64": npy(1_000_000, 10, "f8"),
        "npy, 1 000 000 × 10 float32": npy(1_000_000, 10, "f4"),
        "npy, 10 000 × 1 000 float64": npy(10_000, 1_000, "f8"),
        "npz, 1 000 streams × 1 000 × 10 float64": npz(1_000, 1_000, 10),
    }
    rows = []
    for what, kind in kinds.items():
        with ours() as us, peer("echo") as echo:
            for address in (us, echo):
                echoed(address, kind)
            theirs, mine = in_turns(ROUNDS, partial(echoed, echo, kind), partial(echoed, us, kind))
        size = f"{len(kind[1]) / MEGABYTE:.0f} MB in one request, server and load on a core each"
        rows.append(Row(what, "bare echo of the body", theirs, mine, "MB/s", "≥ 0.9", size))
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    return [*rows, *beside_blocks()]


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
