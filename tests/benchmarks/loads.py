"""How a reading's cost grows with the streams, subscribers, rules and features: `python -m tests.benchmarks.loads`."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from streamnorm.engine.configuration.config import configuration
from streamnorm.engine.configuration.plan import plan
from streamnorm.engine.limits import Limits
from streamnorm.engine.reading import Reading, parse_reading
from streamnorm.stores.local.sqlite import SQLiteStore
from streamnorm.stores.local.write_behind import WriteBehindStreams
from tests.benchmarks.curves import Curve, drawn
from tests.benchmarks.report import Row, in_turns, show
from tests.benchmarks.servers import LOAD, Address, ours, peer, wrk

ROUNDS = 3
STREAMS = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
SUBSCRIBERS = (0, 1, 10, 100, 1_000)
RULES = (0, 1, 10, 100, 1_000)
FEATURES = (1, 8, 64, 512, 4096)
COLUMNS = 8
#: seconds that one measurement in process takes at least: a commit is made each 0.75 s
LEAST = 2.0
#: readings between turns of the event loop
TURN = 64
ECHO, RIVER = "bare uvicorn, an echo of the body", "river, a dict of StandardScaler"
#: stands above the table in docs/benchmarks.md
INTRODUCTION = """Streams: in process, each reading of a stream drawn at random, ours with its commits to SQLite
(`everysec`): the more streams, the fewer readings share one, and beyond 32 768 most are packed.
river keeps mean and variance only, and saves nothing.
Everything else: one reading a POST over 16 connections, for a second of the server's processor time, that of sending
events included; the echo, which has no subscribers and no rules, gets the same bodies.

![streams](pictures/curve-streams.png)
![subscribers of the stream](pictures/curve-subscribers.png)
![subscribers of other streams](pictures/curve-bystanders.png)
![rules, known streams](pictures/curve-rules.png)
![rules, first readings](pictures/curve-first-readings.png)
![features over HTTP](pictures/curve-http-features.png)

"""
SCRIPT = """
local n = {start}
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local body = '{body}'
function request()
  n = n + 1
  return wrk.format(nil, "/v1/streams/{stream}/readings", nil, body)
end
"""
TEN = json.dumps({"values": {f"f{n}": n + 0.5 for n in range(COLUMNS)}})
KNOWN, NEW = 's-" .. n % 256 .. "', 'n-" .. n .. "'
Measure = Callable[[], float]


def row(what: str, name: str, theirs: Sequence[float], own: Sequence[float], about: str) -> Row:
    """Return the comparison of readings a second that were measured in turns."""
    return Row(what, name, theirs, own, "/s", "", about)


def curve(name: str, axis: str, points: Sequence[int], rows: list[Row]) -> Curve:
    """Return a curve of readings a second."""
    return Curve(name, axis, points, rows, "Readings a second", "readings a CPU second")


class Fleet:
    """Streams that become more and more, ours in a repository as the service has it, and river's in a dictionary."""

    def __init__(self, store: SQLiteStore) -> None:
        self._limits = Limits()
        self._repository = WriteBehindStreams(store, plan(configuration({}, {})), max_resident=max(STREAMS))
        self._scalers: dict[str, Any] = {}
        self._scaler: Any = importlib.import_module("river.preprocessing").StandardScaler
        self._rng = np.random.default_rng(0)
        self._raw = [
            {f"f{place}": value for place, value in enumerate(values)}
            for values in self._rng.normal(20.0, 3.0, (1024, COLUMNS)).tolist()
        ]
        self._readings = [parse_reading(values, self._limits) for values in self._raw]

    async def start(self) -> None:
        """Begin to commit."""
        await self._repository.start()

    async def stop(self) -> None:
        """Commit, and end."""
        await self._repository.stop()

    async def grow(self, count: int) -> None:
        """Give new streams a reading each until there are so many."""
        for n in range(len(self._scalers), count):
            await self._observe(f"device-{n}", self._readings[n % len(self._readings)])
            self._scale(f"device-{n}", self._raw[n % len(self._raw)])
            if n % TURN == 0:
                await asyncio.sleep(0)
        await self._repository.flush()

    async def _observe(self, stream_id: str, reading: Reading) -> None:
        repository = self._repository
        stream = repository.get_for_inline_update(stream_id)
        if stream is None:
            await repository.update(stream_id, lambda draft: draft.observe(reading, time.time(), self._limits))
        else:
            stream.observe(reading, time.time(), self._limits)
            repository.commit_inline(stream_id, stream)

    def _scale(self, stream_id: str, values: dict[str, float]) -> dict[str, float]:
        scaler = self._scalers.get(stream_id)
        if scaler is None:
            scaler = self._scalers[stream_id] = self._scaler()
        scaler.learn_one(values)
        scaled: dict[str, float] = scaler.transform_one(values)
        return scaled

    def _drawn(self) -> Iterator[tuple[str, int]]:
        while True:
            for n in self._rng.integers(len(self._scalers), size=4096).tolist():
                yield f"device-{n}", n % len(self._raw)

    async def ours(self) -> float:
        """Return readings a second of processor time, their commits included."""
        began, until, count = time.process_time(), time.perf_counter() + LEAST, 0
        for stream_id, place in self._drawn():
            await self._observe(stream_id, self._readings[place])
            count += 1
            if count % TURN == 0:
                await asyncio.sleep(0)
                if time.perf_counter() > until:
                    break
        await self._repository.flush()
        return count / (time.process_time() - began)

    def theirs(self) -> float:
        """Return the same of river."""
        began, count = time.process_time(), 0
        for stream_id, place in self._drawn():
            self._scale(stream_id, self._raw[place])
            count += 1
            if count % TURN == 0 and time.process_time() - began > LEAST / 2:
                break
        return count / (time.process_time() - began)


def streams() -> Curve:
    """Measure a reading with more and more streams in memory."""

    async def measured() -> list[Row]:
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            fleet = Fleet(SQLiteStore(Path(folder), synchronous="normal"))
            await fleet.start()
            for count in STREAMS:
                await fleet.grow(count)
                found = [(fleet.theirs(), await fleet.ours()) for _ in range(ROUNDS)]
                theirs, own = zip(*found, strict=True)
                rows.append(row(f"resident streams: {count}", RIVER, theirs, own, f"{COLUMNS} features, in process"))
            await fleet.stop()
        return rows

    return curve("streams", "resident streams", STREAMS, asyncio.run(measured()))


@contextlib.contextmanager
def subscribed(address: Address, count: int, stream: str) -> Iterator[None]:
    """Let so many subscribers read the events of a stream, all of them as fast as they come."""
    selector, ended = selectors.DefaultSelector(), threading.Event()
    request = f"GET /v1/events?stream={stream} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def read() -> None:
        buffer = bytearray(1 << 16)
        while not ended.is_set():
            for key, _ in selector.select(0.1):
                key.fileobj.recv_into(buffer)  # type: ignore[union-attr] # sockets all
            ended.wait(0.02)  # the fewer calls, the more is left of the core to wrk

    with contextlib.ExitStack() as stack:
        for n in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", address.port)))
            connection.sendall(request.replace(b"{n}", b"%d" % n))
            connection.recv(1 << 16)
            selector.register(connection, selectors.EVENT_READ)
        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield
        finally:
            ended.set()
            reader.join()
            selector.close()


class Load:
    """Runs wrk; each run's streams, where they shall be new, have numbers that no other run had."""

    def __init__(self) -> None:
        self._start = 0

    def rate(self, address: Address, stream: str, body: str = TEN, seconds: float = 2.0) -> float:
        """Return readings a second of the server's processor time."""
        self._start += 10_000_000
        return wrk(address, SCRIPT.format(start=self._start, stream=stream, body=body), seconds=seconds)


def followed(name: str, axis: str, stream: str) -> Curve:
    """Measure a POST with more and more subscribers of a stream; wrk sends readings of the one named `s-0`."""
    load = Load()
    with ours() as us, peer("echo") as echo:
        load.rate(us, "s-0", seconds=1.0)

        def under(count: int) -> Measure:
            def measured() -> float:
                with subscribed(us, count, stream):
                    return load.rate(us, "s-0")

            return measured

        found = in_turns(ROUNDS, lambda: load.rate(echo, "s-0"), *map(under, SUBSCRIBERS))
    about = f"{COLUMNS} features, one stream"
    pairs = zip(SUBSCRIBERS, found[1:], strict=True)
    rows = [row(f"{axis}: {count}", ECHO, found[0], own, about) for count, own in pairs]
    return curve(name, axis, SUBSCRIBERS, rows)


def subscribers() -> Curve:
    """Measure a POST with subscribers that are sent each reading."""
    return followed("subscribers", "subscribers of the stream", "s-0")


def bystanders() -> Curve:
    """Measure a POST with subscribers of other streams, each of one of its own."""
    return followed("bystanders", "subscribers of other streams", "other-{n}")


def rules() -> tuple[Curve, Curve]:
    """Measure a POST on known streams, and on streams that were never seen, with more and more rules.

    Each rule is for other streams, but for the last, which is for all that are measured.
    """
    load = Load()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        echo = stack.enter_context(peer("echo"))
        addresses = []
        for count in RULES:
            globs = [f"site-{n}-*" for n in range(count - 1)] + ["*"] * (count > 0)
            file = folder / f"{count}.toml"
            file.write_text("".join(f'[[rules]]\nstreams = "{glob}"\nhorizon = 500\n' for glob in globs))
            addresses.append(stack.enter_context(ours(config=str(file))))
        curves = []
        for name, axis, stream in (
            ("rules", "rules, known streams", KNOWN),
            ("first-readings", "rules, first readings", NEW),
        ):
            measures: list[Measure] = [partial(load.rate, each, stream) for each in (echo, *addresses)]
            for measured in measures:
                measured()
            found = in_turns(ROUNDS, *measures)
            pairs = zip(RULES, found[1:], strict=True)
            rows = [row(f"{axis}: {count}", ECHO, found[0], own, f"{COLUMNS} features") for count, own in pairs]
            curves.append(curve(name, axis, RULES, rows))
    return curves[0], curves[1]


def features() -> Curve:
    """Measure a POST of readings with more and more features."""
    load = Load()
    values = np.random.default_rng(0).normal(20.0, 3.0, max(FEATURES)).round(3).tolist()
    with ours() as us, peer("echo") as echo:
        measures: list[Measure] = []
        for count in FEATURES:
            body = json.dumps({"values": {f"f{n}": values[n] for n in range(count)}})
            stream = f'{count}-" .. n % 16 .. "'
            load.rate(us, stream, body)
            measures += [partial(load.rate, each, stream, body) for each in (echo, us)]
        found = in_turns(ROUNDS, *measures)
    pairs = zip(FEATURES, found[::2], found[1::2], strict=True)
    rows = [row(f"features a POST: {count}", ECHO, theirs, own, "16 streams") for count, theirs, own in pairs]
    return curve("http-features", "features a POST", FEATURES, rows)


PARTS: dict[str, Callable[[], Curve | tuple[Curve, ...]]] = {
    "streams": streams,
    "subscribers": subscribers,
    "bystanders": bystanders,
    "rules": rules,
    "features": features,
}


def measure(names: Sequence[str] = tuple(PARTS)) -> list[Row]:
    """Measure the curves, draw a picture of each, and return their points."""
    allowed = os.sched_getaffinity(0)
    curves: list[Curve] = []
    for name in names:
        os.sched_setaffinity(0, allowed if name == "streams" else {LOAD})
        found = PARTS[name]()
        curves += [found] if isinstance(found, Curve) else found
    os.sched_setaffinity(0, allowed)
    return drawn(curves)


def main() -> None:
    """Print the table, of all curves or those named."""
    show(measure(sys.argv[1:] or tuple(PARTS)))


if __name__ == "__main__":
    main()
