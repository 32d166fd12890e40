"""What the SDK costs its program, in processor time, beside `http.client`: `python -m tests.benchmarks.client`."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import numpy as np
import pandas as pd

from streamnorm_client import AsyncClient, Client
from tests.benchmarks.report import Row, in_turns, show
from tests.benchmarks.servers import ours

ROUNDS = 7
READINGS = 400
ROWS = 100_000
READING = {"temp": 21.4, "door": 0, "light": 3.5}
CONDITIONS = "processor time of the client alone, three features, one connection, JSON both ways"


def cost(call: Callable[[], object], times: int = READINGS) -> float:
    """Return the processor time of a call, in microseconds."""
    call()
    began = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - began) / times * 1e6


class Peer:
    """The same POST by `http.client`, and by httpx."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._plain = http.client.HTTPConnection(parts.hostname or "", parts.port)
        self._httpx = httpx.Client(base_url=url)
        self._seq = time.time_ns() // 1000

    def body(self) -> bytes:
        """Return the next reading."""
        self._seq += 1
        return json.dumps({"values": READING, "seq": self._seq}).encode()

    def plain(self) -> object:
        """Send it by `http.client`."""
        self._plain.request("POST", "/v1/streams/plain/readings", self.body(), {"content-type": "application/json"})
        return json.loads(self._plain.getresponse().read())

    def httpx(self) -> object:
        """Send it by httpx."""
        headers = {"content-type": "application/json"}
        return self._httpx.post("/v1/streams/httpx/readings", content=self.body(), headers=headers).json()


def asynchronous(url: str) -> float:
    """Return the processor time of an awaited `observe`, in microseconds."""

    async def main() -> float:
        async with AsyncClient(url) as client:
            stream = client.stream("asynchronous")
            await stream.observe(READING)
            began = time.process_time()
            for _ in range(READINGS):
                await stream.observe(READING)
            return (time.process_time() - began) / READINGS * 1e6

    return asyncio.run(main())


def measure() -> list[Row]:
    """Measure single readings in turns with the peers, and blocks with times."""
    with ours() as address, Client(address.url) as client, client.stream("live").live() as live:
        peer, stream = Peer(address.url), client.stream("single")
        plain, by_httpx, single, awaited, lively = in_turns(
            ROUNDS,
            lambda: cost(peer.plain),
            lambda: cost(peer.httpx),
            lambda: cost(lambda: stream.observe(READING)),
            lambda: asynchronous(address.url),
            lambda: cost(lambda: live.observe(READING)),
        )
        blocks = _blocks(client)
    rows = [
        _row("observe", "http.client", plain, single, "≤ 2"),
        _row("observe, asynchronous", "http.client", plain, awaited, "≤ 4"),
        _row("observe", "httpx alone", by_httpx, single, ""),
        _row("live.observe", "http.client", plain, lively, "≤ 100 µs"),
    ]
    return rows + blocks


def _row(what: str, name: str, theirs: list[float], mine: list[float], goal: str) -> Row:
    return Row(what, name, theirs, mine, "µs", goal, CONDITIONS)


def _blocks(client: Client) -> list[Row]:
    """Measure what times add to a block, in microseconds a row."""
    array = np.random.default_rng(0).normal(20, 3, (ROWS, 3))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments = [start + timedelta(seconds=n) for n in range(ROWS)]
    frame = pd.DataFrame(array, columns=["a", "b", "c"], index=pd.DatetimeIndex(moments))
    without, beside, index = in_turns(
        ROUNDS,
        lambda: cost(lambda: client.stream("block").bulk(array), 1) / ROWS,
        lambda: cost(lambda: client.stream("times").bulk(array, timestamps=moments), 1) / ROWS,
        lambda: cost(lambda: client.stream("index").bulk(frame), 1) / ROWS,
    )
    note = f"processor time of the client alone, a row of a block of {ROWS} rows, three features"
    rows = [("datetimes", beside), ("a DatetimeIndex", index)]
    return [
        Row(f"bulk, timestamps as {what}", "bulk without times", without, mine, "µs", "≤ 1 µs", note)
        for what, mine in rows
    ]


def main() -> None:
    """Print the table."""
    show(measure())


if __name__ == "__main__":
    main()
